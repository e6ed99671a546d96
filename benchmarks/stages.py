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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.timing import judge_at_most, print_table, summarize
from digits.errors import DigitsError
from digits.files import ArtifactError
from digits.paths import RAW_DIR
from digits.stage import run

STARTED = re.compile(r"Running stage '(\w+)':")
BEFORE = "DVC, before the first stage"
STAGES = ("fetch", "decode", "train", "evaluate", "analyze")
ROUND_COUNT = 5
REST_WANTED, IDLE_WANTED = 25, 1.5  # seconds: all stages but train, and nothing to do


class CommandError(DigitsError):
    """A command that was to be timed failed."""


@contextmanager
def copied_project() -> Iterator[Path]:
    """Copy what Git tracks, or would track, as it stands, to a repository that goes away.

    MNIST lies beside it: `fetch` is not timed by the network of the day.
    """
    if not RAW_DIR.is_dir():
        raise ArtifactError(f"{RAW_DIR}: expected MNIST's files, received none: run make repro")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        project, mirror = Path(folder) / "project", Path(folder) / "mirror"
        for name in listed.split("\0"):
            if Path(name).is_file():  # not the last, empty one, nor a deleted file
                (project / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(name, project / name)
        shutil.copytree(RAW_DIR, mirror)
        subprocess.run(["git", "init", "--quiet", project], check=True)
        edit(project / "datasets/mnist.yaml", {"mirrors": ["../mirror"]})
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
        CommandError: it failed, or other parts ran.
    """
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SHELL": "/bin/sh",
        "DVC_SITE_CACHE_DIR": str(project.parent / "site"),  # its memory of files' digests
        "PYTHONUNBUFFERED": "1",  # a line is timed when it is written
    }
    output = ""
    marks = {BEFORE: time.perf_counter()}
    with subprocess.Popen(
        ["dvc", "repro"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            output += line
            if started := STARTED.match(line):
                marks[started[1]] = time.perf_counter()
    ends = [*list(marks.values())[1:], time.perf_counter()]
    if process.returncode or tuple(marks) != tuple(parts):
        raise CommandError(f"dvc repro: expected {', '.join(parts)}, received\n{output}")
    return {part: end - start for (part, start), end in zip(marks.items(), ends, strict=True)}


def print_stages(colds: list[dict[str, float]], idles: list[float]) -> None:
    """Print the parts, what all but `train` add up to, and a run that has nothing to do."""
    rows: list[tuple[object, ...]] = [
        (part, summarize(cold[part] for cold in colds), len(colds), "")
        for part in (BEFORE, *STAGES)
    ]
    rest = summarize(sum(cold.values()) - cold["train"] for cold in colds)
    rows.append(("all but train", rest, len(colds), judge_at_most(rest.median, REST_WANTED)))
    idle = summarize(idles)
    rows.append(("nothing to do", idle, len(idles), judge_at_most(idle.median, IDLE_WANTED)))
    print_table("`dvc repro`, cold", ("stage, with DVC's work on it", "s", "runs", "wanted"), rows)


def main() -> None:
    colds: list[dict[str, float]] = []
    idles: list[float] = []
    for _ in range(ROUND_COUNT):
        with copied_project() as project:
            colds.append(time_repro(project, [BEFORE, *STAGES]))
            idles.append(time_repro(project, [BEFORE])[BEFORE])
    print_stages(colds, idles)


if __name__ == "__main__":
    run(main)
