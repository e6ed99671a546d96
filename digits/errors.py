"""Failures that a person can act on, and how a process ends with one: a line, no traceback."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

from digits.urls import mask_urls


class DigitsError(Exception):
    """A failure whose message says where, what was expected and what was received."""

    exit_status = 1


class _Masked:
    """A stream on which no address shows its secrets; all but `write` is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(mask_urls(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def mask_stderr() -> None:
    """Mask the secrets of addresses in whatever this process says: errors, warnings, tracebacks.

    The libraries' words are among them, and what they quote is theirs to choose.
    """
    sys.stderr = cast("TextIO", _Masked(sys.stderr))


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
