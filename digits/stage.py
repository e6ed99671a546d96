"""Run a stage as a process: failures as one line, no orphan."""

import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from digits.errors import run_main

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# The file to which each stage adds a line about its run, for the command that had DVC run it: DVC
# passes on neither the exit status nor the time, and neither may be in an output.
JOURNAL_VARIABLE = "DIGITS_JOURNAL"


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main` and exit; a failure that a person can act on becomes one line."""
    _end_with_parent()
    # What has been imported stays. Keras collects garbage often, and would pass over all of that.
    gc.freeze()
    start, cpu_start = time.perf_counter(), time.process_time()
    status = run_main(main)
    line = {
        "stage": Path(sys.argv[0]).stem,
        "exit_status": status,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - cpu_start, 1),
    }
    if path := os.environ.get(JOURNAL_VARIABLE):
        with Path(path).open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")
    sys.exit(status)


def _end_with_parent() -> None:
    """Have Linux end this process with the `dvc repro` that started it, killed or not.

    It would train on unseen, beside the next run's. The parent may have died before, while this
    process imported TensorFlow: then it is of another session than the process that adopted it.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    session = os.getsid(0)
    try:
        is_orphan = session not in (os.getpid(), os.getsid(os.getppid()))
    except ProcessLookupError:
        is_orphan = True
    if is_orphan:
        sys.exit(128 + signal.SIGTERM)
