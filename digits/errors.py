"""Failures, printed as one line; a traceback is printed only for a bug."""

import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from io import TextIOWrapper

# Not a file of Git's HEAD, such as HEAD:data@2.csv, nor a stage such as dvc.yaml:train@mnist.
LOGIN = re.compile(r"//[^\s'\"]*@|(?<![^\s'\"(])(?!HEAD\b|\w+\.yaml:)[^\s'\"/:@]+:(?!//)[^\s'\"]*@")
QUERY = re.compile(r"\?[^\s'\"<>?]*=[^\s'\"<>?]*")


class DigitsError(Exception):
    """A failure whose message says where, what was expected and what was received.

    It is shown without the passwords, tokens and signatures of addresses.
    """

    exit_status = 1

    def __str__(self) -> str:
        return mask_urls(super().__str__())


def mask_urls(text: str) -> str:
    """Mask what is before an address's last @, and queries that have a value.

    `user:password@host` counts as an address; `user@host:path` of SSH does not.
    """
    masked = LOGIN.sub(lambda found: f"{'//' * found[0].startswith('//')}***@", text)
    return QUERY.sub("?***", masked)


def run_main(main: Callable[[], None]) -> int:
    """Run a program's `main`, print the reason of a failure, and return the exit status.

    Characters that the terminal lacks are printed as `?`.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        main()
        sys.stdout.flush()  # at exit Python could not handle a broken pipe
    except DigitsError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("ERROR: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:  # a full disk, a read-only folder: the system's message is one line
        print(f"ERROR: {error}", file=sys.stderr)
        return os.EX_IOERR
    except Exception:  # noqa: BLE001 - a bug of ours or of a library
        traceback.print_exc()
        return os.EX_SOFTWARE
    return 0
