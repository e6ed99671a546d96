"""Failures, printed as one line; a traceback is printed only for a bug."""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from io import TextIOWrapper


class DigitsError(Exception):
    """A failure whose message says where, what was expected and what was received."""

    exit_status = 1


def run_main(main: Callable[[], None]) -> int:
    """Run a program's `main`, print the reason of a failure, and return the exit status.

    Characters that the terminal lacks are printed as `?`, and warnings are never errors, whatever
    PYTHONWARNINGS says.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if "error" in os.environ.get("PYTHONWARNINGS", ""):
        warnings.simplefilter("default")
    try:
        try:
            return _run(main)
        finally:
            sys.stdout.flush()  # at exit Python could not handle a broken pipe
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(main: Callable[[], None]) -> int:
    try:
        main()
    except DigitsError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("ERROR: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a read-only folder: the system's message is one line
        print(f"ERROR: {error}", file=sys.stderr)
        return os.EX_IOERR
    except Exception:  # noqa: BLE001 - a bug of ours or of a library
        traceback.print_exc()
        return os.EX_SOFTWARE
    return 0
