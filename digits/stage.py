"""Run a stage as a process that ends together with the `dvc repro` that started it."""

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
# The file to which each stage appends a line about its run, for commands that run DVC: DVC does not
# pass on exit status and time, and outputs must not depend on them.
JOURNAL_VARIABLE = "DIGITS_JOURNAL"


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`, append to the journal, and exit."""
    _end_with_parent()
    # Keras collects garbage often: do not let it traverse all that has been imported.
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
    """Have Linux end this process when its parent, `dvc repro`, ends, even if that is killed.

    Otherwise it would keep training beside the next run. If the parent died while this process was
    importing TensorFlow, the process that adopted this one is of another session.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getsid(0) not in (os.getpid(), os.getsid(os.getppid())):
        sys.exit(128 + signal.SIGTERM)
