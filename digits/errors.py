"""Failures, and how a process ends with one: a line, no traceback."""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TextIO, cast

from digits.settings import disregard_settings
from digits.urls import mask_urls

ROOT = Path(__file__).resolve().parents[1]
OURS = ("digits", "pipeline")  # folders there
MESSAGE_LENGTH = 300


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
    disregard_settings()
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
        return _report_interrupt()
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a mistake of ours or of a library, kept whole
        return _report_unexpected(error)
    return 0


def answer_uncaught(
    _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> NoReturn:
    """End a program, as its `sys.excepthook`, for what is raised before `run_main` can answer."""
    if isinstance(error, KeyboardInterrupt):
        sys.exit(_report_interrupt())
    sys.exit(_report_unexpected(error))


def _report_interrupt() -> int:
    print("ERROR: interrupted", file=sys.stderr)
    return 128 + signal.SIGINT


def _report_unexpected(error: BaseException) -> int:
    """Say in one line what happened where, and keep the traceback for a bug report."""
    kind = type(error).__name__
    try:
        # What the functions that failed still hold may be all the memory there is.
        traceback.clear_frames(error.__traceback__)
        line = f"unexpected {kind} in {_find_place(error)}{_shorten(error)}"
        text = mask_urls("".join(traceback.format_exception(error)))
        try:
            print(f"ERROR: {line}; the traceback is in {_keep(text)}", file=sys.stderr)
        except OSError as reason:
            print(f"ERROR: {line}; no file for the traceback: {reason}", file=sys.stderr)
            print(text, end="", file=sys.stderr)
    except Exception:  # noqa: BLE001 - still no memory, or an error that cannot be shown
        print(f"ERROR: unexpected {kind}, of which nothing more can be said", file=sys.stderr)
    return os.EX_SOFTWARE


def _find_place(error: BaseException) -> str:
    """Return file, line and function of the innermost call that is ours."""
    place = "code that is not ours"
    called = error.__traceback__.tb_next if error.__traceback__ else None  # by `_run`
    for frame, line in traceback.walk_tb(called):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS:
            place = f"{path.relative_to(ROOT)}:{line} ({frame.f_code.co_name})"
    return place


def _shorten(error: BaseException) -> str:
    """Return what an exception says as the end of a line."""
    words = mask_urls(" ".join(str(error).split()))
    cut = words if len(words) <= MESSAGE_LENGTH else f"{words[:MESSAGE_LENGTH]}..."
    return f": {cut}" if cut else ""


def _keep(text: str) -> str:
    """Write a private file that Git and DVC ignore, wherever it may lie; return its path."""
    descriptor, path = tempfile.mkstemp(prefix="digits-", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        Path(path).unlink()
        raise
    return path
