"""Run a stage as a process: failures as one line, no traceback, no orphan."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

from digits.errors import DigitsError

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main` and exit; a failure that a person can act on becomes one line."""
    _end_with_parent()
    try:
        main()
    except DigitsError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except OSError as error:  # a full disk, a read-only folder: the system says it in one line
        print(f"ERROR: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("ERROR: interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _end_with_parent() -> None:
    # A stage whose `dvc repro` was killed would train on unseen, beside the next run's.
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if _is_orphan():
        sys.exit(128 + signal.SIGTERM)


def _is_orphan() -> bool:
    """Tell whether the parent died before now, while this process imported TensorFlow perhaps.

    A process is of its parent's session unless it leads one; who adopts orphans is of another.
    """
    session = os.getsid(0)
    try:
        return session not in (os.getpid(), os.getsid(os.getppid()))
    except ProcessLookupError:
        return True
