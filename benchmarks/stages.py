"""What the pipeline costs beside the training: the other stages and DVC's own work.

Everything runs in clones of the last commit, each without data and with an empty cache of DVC, so
that nothing of the checkout is touched. They train for one epoch, which is timed apart.
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from benchmarks.timing import judge_at_most, print_machine, print_table, summarize
from digits.errors import DigitsError
from digits.paths import RAW_DIR
from digits.stage import run

STARTED = re.compile(r"Running stage '(\w+)':")
BEFORE = "DVC, before the first stage"
STAGES = ("fetch", "decode", "train", "evaluate", "analyze")
ROUND_COUNT = 5
REST_WANTED, IDLE_WANTED = 25, 1.5  # seconds: all stages but train, and nothing to do


@contextmanager
def cloned_project() -> Iterator[Path]:
    """Clone the last commit to a folder that goes away; its mirror is the checkout's `data/raw`."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        subprocess.run(["git", "clone", "--quiet", ".", project], check=True)
        edit(project / "datasets/mnist.yaml", {"mirrors": [str(RAW_DIR.resolve())]})
        params = edit(project / "params.yaml", {"dataset": "mnist"})
        edit(project / f"recipes/{params['train']['recipe']}.yaml", {"epochs": 1})
        yield project


def edit(path: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change keys of a YAML file; return all its values."""
    values: dict[str, Any] = YAML().load(path)
    values.update(changes)
    YAML().dump(values, path)
    return values


def time_repro(project: Path, parts: Sequence[str]) -> dict[str, float]:
    """Run `dvc repro`; return the seconds of its parts, which add up to the whole.

    A stage lasts from DVC's announcement of it to that of the next one: what DVC does about it
    (digests, cache, lock file) counts as its own.

    Raises:
        DigitsError: it failed, or other parts ran.
    """
    environment = os.environ | {
        "DVC_SITE_CACHE_DIR": str(project.parent / "site"),  # its memory of digests
        "PYTHONUNBUFFERED": "1",  # a line is timed when it is written
    }
    marks = {BEFORE: time.perf_counter()}
    with subprocess.Popen(
        ["dvc", "repro"], cwd=project, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            if started := STARTED.match(line):
                marks[started[1]] = time.perf_counter()
    ends = [*list(marks.values())[1:], time.perf_counter()]
    if process.returncode or tuple(marks) != tuple(parts):
        raise DigitsError(f"dvc repro: expected {', '.join(parts)}, received {', '.join(marks)}")
    return {part: end - start for (part, start), end in zip(marks.items(), ends, strict=True)}


def main() -> None:
    print_machine()
    colds, idles = [], []
    for _ in range(ROUND_COUNT):
        with cloned_project() as project:
            colds.append(time_repro(project, [BEFORE, *STAGES]))
            idles.append(time_repro(project, [BEFORE])[BEFORE])
    rest = [sum(cold.values()) - cold["train"] for cold in colds]
    rows = [(part, summarize([cold[part] for cold in colds]), "") for part in (BEFORE, *STAGES)]
    rows += [
        ("all but train", summarize(rest), judge_at_most(np.median(rest), REST_WANTED)),
        ("nothing to do", summarize(idles), judge_at_most(np.median(idles), IDLE_WANTED)),
    ]
    print_table("`dvc repro`, cold", ("stage, with DVC's work on it", "s", "wanted"), rows)


if __name__ == "__main__":
    run(main)
