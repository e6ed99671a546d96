"""The ledger: a line for every run of the leaderboard, in Git, so that none needs training again.

`benchmarks/ledger.json` is a list for `pandas.read_json`; `describe_run` says what is in a line:
also the misread test images, from which all statistics of accuracy can be computed.
"""

import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from digits.errors import DigitsError
from digits.files import write_text

LEDGER_PATH = Path("benchmarks/ledger.json")

Run = dict[str, Any]


def load_ledger() -> list[Run]:
    """Load all runs; none if there is no file.

    Raises:
        DigitsError: the file is no JSON.
    """
    if not LEDGER_PATH.exists():
        return []
    try:
        runs: list[Run] = json.loads(LEDGER_PATH.read_bytes())
    except ValueError as error:
        raise DigitsError(
            f"{LEDGER_PATH}: expected a list of runs as JSON, received a file that was cut or has "
            f"a conflict ({error}): `git checkout {LEDGER_PATH}` brings back the last commit's"
        ) from error
    return runs


def write_ledger(runs: Iterable[Run]) -> None:
    """Write the runs by recipe and seed, a line each: a new run is a new line of the diff."""
    ordered = sorted(runs, key=lambda run: (run["recipe"], run["seed"], run["date"], run["inputs"]))
    lines = ",\n".join(map(json.dumps, ordered))
    write_text(LEDGER_PATH, f"[\n{lines}\n]\n")


def describe_machine() -> dict[str, Any]:
    """Describe the processor, the cores that this process may use, and the libraries."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    model = re.search(r"model name\s*: (.+)", text)
    linux = hasattr(os, "sched_getaffinity")
    return {
        "processor": model[1].strip() if model else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if linux else os.cpu_count(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")},
    }
