"""Run a stage as a process: failures as one line, no traceback, no orphan."""

import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from digits.errors import mask_stderr, run_main

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# The file to which each stage adds a line about its run, for the command that had DVC run it: DVC
# passes on neither the exit status nor the time, and neither may be in an output.
JOURNAL_VARIABLE = "DIGITS_JOURNAL"


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main` and exit; a failure that a person can act on becomes one line."""
    _end_with_parent()
    mask_stderr()
    # What has been imported stays. Keras collects garbage often, and would pass over all of that.
    gc.freeze()
    start, cpu_start = time.perf_counter(), time.process_time()
    status = run_main(main)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    _write_journal(
        stage=Path(sys.argv[0]).stem,
        exit_status=status,
        seconds=round(seconds, 1),
        cpu_seconds=round(cpu_seconds, 1),
    )
    sys.exit(status)


def _write_journal(**line: object) -> None:
    path = os.environ.get(JOURNAL_VARIABLE)
    if path:
        with Path(path).open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")


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
