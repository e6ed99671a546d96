"""What the pipeline costs beside the training: the other stages and DVC's own work.

Everything runs in copies of the working tree, each without data and with an empty cache of DVC, so
that nothing of the checkout is touched. They train for one epoch, which is timed apart.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.timing import judge_at_most, print_table, summarize
from digits.data.datasets import load_dataset
from digits.errors import DigitsError
from digits.files.artifacts import ArtifactError
from digits.paths import RAW_DIR
from digits.stage import run

STAGES = ("fetch", "decode", "train", "evaluate", "analyze")
STARTED = re.compile(r"Running stage '(\w+)':")
BEFORE = "DVC, before the first stage"

COLD_COUNT = 5
IDLE_COUNT = 7
IMPORT_COUNT = 3
COLD_WANTED = 25  # seconds, without train
IDLE_WANTED = 1.5  # seconds


class CommandError(DigitsError):
    """A command that was to be timed failed."""


@contextmanager
def copied_project() -> Iterator[Path]:
    """Copy the working tree, with a mirror of MNIST beside it, to a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        project, mirror = Path(folder) / "project", Path(folder) / "mirror"
        copy_sources(project)
        mirror.mkdir()
        for file in load_dataset("mnist").files:
            copy_raw(RAW_DIR / file.name, mirror)
        edit_params(project)
        edit_mirrors(project / "datasets/mnist.yaml")
        yield project


def copy_sources(project: Path) -> None:
    """Copy what Git tracks, or would track, as it stands, into a new repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if Path(name).is_file():  # not the last, empty one, nor a deleted file
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, project / name)
    subprocess.run(["git", "init", "--quiet", project], check=True)


def copy_raw(path: Path, mirror: Path) -> None:
    """Copy a published file: fetch is timed from a folder, not from the network of the day."""
    if not path.is_file():
        raise ArtifactError(f"{path}: expected a file, received none: run make repro")
    shutil.copy(path, mirror)


def edit_params(project: Path) -> None:
    """Select MNIST, and one epoch."""
    values = load_yaml(project / "params.yaml")
    values["dataset"] = "mnist"
    YAML().dump(values, project / "params.yaml")
    recipe = project / f"recipes/{values['train']['recipe']}.yaml"
    YAML().dump({**load_yaml(recipe), "epochs": 1}, recipe)


def edit_mirrors(path: Path) -> None:
    """Take the dataset from the mirror beside the project."""
    values = load_yaml(path)
    values["mirrors"] = ["../mirror"]
    YAML().dump(values, path)


def load_yaml(path: Path) -> Any:
    return YAML().load(path.read_text(encoding="utf-8"))


def make_environment(project: Path) -> dict[str, str]:
    """Make the environment of a `dvc` that shares nothing with the checkout's."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SHELL": "/bin/sh",
        "DVC_SITE_CACHE_DIR": str(project.parent / "site"),  # its memory of files' digests
        "PYTHONUNBUFFERED": "1",  # a line is timed when it is written
    }


def time_cold(project: Path) -> dict[str, float]:
    """Run all stages; return the seconds of each and of DVC before them, adding up to the whole.

    A stage lasts from DVC's announcement of it to that of the next one: what DVC does about it
    (digests, cache, lock file) counts as its own.
    """
    marks = {BEFORE: time.perf_counter()}
    output = ""
    with subprocess.Popen(
        ["dvc", "repro"],
        cwd=project,
        env=make_environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            output += line
            if started := STARTED.match(line):
                marks[started[1]] = time.perf_counter()
    end = time.perf_counter()
    if process.returncode or tuple(marks) != (BEFORE, *STAGES):
        raise CommandError(f"dvc repro: expected {STAGES} to run, received\n{output}")
    ends = [*list(marks.values())[1:], end]
    return {name: after - start for (name, start), after in zip(marks.items(), ends, strict=True)}


def time_idle(project: Path) -> float:
    """Return the seconds of a `dvc repro` that has nothing to do."""
    start = time.perf_counter()
    done = subprocess.run(
        ["dvc", "repro"],
        cwd=project,
        env=make_environment(project),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if "Data and pipelines are up to date." not in done.stdout:
        raise CommandError(f"dvc repro: expected nothing to do, received\n{done.stdout}")
    return seconds


def import_stage(stage: str) -> tuple[float, bool]:
    """Import a stage in a process of its own: its seconds, and whether TensorFlow came along."""
    script = f"import sys, pipeline.{stage}; print('tensorflow' in sys.modules)"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, done.stdout == "True\n"


def print_cold(colds: list[dict[str, float]]) -> None:
    """Print the stages and what all but `train` add up to."""
    rows: list[tuple[object, ...]] = [
        (name, summarize(cold[name] for cold in colds), len(colds), "")
        for name in (BEFORE, *STAGES)
    ]
    rest = summarize(sum(cold.values()) - cold["train"] for cold in colds)
    rows.append(("**all but train**", rest, rest.count, judge_at_most(rest.median, COLD_WANTED)))
    print_table("`dvc repro`, cold", ("stage, with DVC's work on it", "s", "runs", "wanted"), rows)


def print_idle(seconds: list[float]) -> None:
    """Print what `dvc repro` costs when nothing has changed."""
    spread = summarize(seconds)
    row = ("`dvc repro`", spread, spread.count, judge_at_most(spread.median, IDLE_WANTED))
    print_table("Nothing to do", ("", "s", "runs", "wanted"), [row])


def print_imports() -> None:
    """Print what importing each stage costs; TensorFlow is wanted where a network is run."""
    rows = []
    for stage in STAGES:
        taken = [import_stage(stage) for _ in range(IMPORT_COUNT)]
        imported = taken[0][1]
        fits = imported == (stage in {"train", "evaluate"})
        wanted = f"{'yes' if imported == fits else 'no'}: {'PASS' if fits else 'MISS'}"
        said = "yes" if imported else "no"
        rows.append((stage, summarize(seconds for seconds, _ in taken), IMPORT_COUNT, said, wanted))
    print_table("Imports", ("stage", "s", "runs", "TensorFlow", "wanted"), rows)


def main() -> None:
    colds: list[dict[str, float]] = []
    idles: list[float] = []
    for number in range(COLD_COUNT):
        with copied_project() as project:
            colds.append(time_cold(project))
            if number == COLD_COUNT - 1:
                idles = [time_idle(project) for _ in range(IDLE_COUNT)]
    print_cold(colds)
    print_idle(idles)
    print_imports()


if __name__ == "__main__":
    run(main)
