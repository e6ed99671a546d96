"""Failures that a person can act on, and how a process ends with one: a line, no traceback."""

import os
import signal
import sys
from collections.abc import Callable


class DigitsError(Exception):
    """A failure whose message says where, what was expected and what was received."""

    exit_status = 1


def run_main(main: Callable[[], None]) -> int:
    """Run a program's `main` and return the exit status, the reason of a failure printed."""
    try:
        try:
            return _run(main)
        finally:
            sys.stdout.flush()  # Python would do it later, where nobody answers what follows
    except BrokenPipeError:  # whoever read the output, such as `head`, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:  # a full disk, a read-only folder: the system says it in one line
        print(f"ERROR: {error}", file=sys.stderr)
        return 1


def _run(main: Callable[[], None]) -> int:
    try:
        main()
    except DigitsError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("ERROR: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0
