"""Failures, and how a process ends with one: a line; a traceback only of a mistake of ours."""

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
    """Run a program's `main` and return the exit status, the reason of a failure printed.

    What the terminal cannot show is printed as `?`, and no warning is taken for an error, whatever
    the user has set for other programs.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if "error" in os.environ.get("PYTHONWARNINGS", ""):
        warnings.simplefilter("default")
    try:
        try:
            return _run(main)
        finally:
            sys.stdout.flush()  # Python would do it later, where nobody answers what follows
    except BrokenPipeError:  # whoever read the output, such as `head`, has enough of it
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
    except OSError as error:  # a full disk, a read-only folder: the system says it in one line
        print(f"ERROR: {error}", file=sys.stderr)
        return os.EX_IOERR
    except Exception:  # noqa: BLE001 - a mistake of ours or of a library: the whole of it helps
        traceback.print_exc()
        return os.EX_SOFTWARE
    return 0
