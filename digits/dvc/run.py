"""DVC as a process of its own, with a journal of the stages that it ran."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digits.dvc.git import try_git
from digits.errors import DigitsError
from digits.stage import JOURNAL_VARIABLE

DVC = (sys.executable, "-m", "dvc")  # of this environment, activated or not


@dataclass(frozen=True)
class Outcome:
    """DVC's exit status, and of each stage that it ran the exit status and the seconds."""

    status: int
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)


def run_dvc(*arguments: str) -> Outcome:
    """Run `dvc` with these arguments, its output shown as it comes."""
    with journaling() as (environment, stages):
        status = subprocess.run([*DVC, *arguments], env=environment, check=False).returncode
    return Outcome(status, stages)


def fetch_data() -> None:
    """Bring the dataset into DVC's cache: relative paths of mirrors do not hold in a run's folder.

    Raises:
        DigitsError: DVC failed.
    """
    status = run_dvc("repro", "decode").status
    if status != 0:
        raise DigitsError(f"dvc repro decode: exit status {status}, reasons above")


def read_dvc(*arguments: str) -> str:
    """Return what `dvc` prints, without the last line's end.

    Raises:
        DigitsError: it failed; its own last line says why.
    """
    done = subprocess.run([*DVC, *arguments], capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no reason given"]
        raise DigitsError(f"dvc {' '.join(arguments)}: {lines[-1].removeprefix('ERROR: ')}")
    return done.stdout.strip()


@contextmanager
def journaling() -> Iterator[tuple[dict[str, str], dict[str, dict[str, Any]]]]:
    """Yield the environment for `dvc`, and a record of its stages that is filled in at the end."""
    stages: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        yield _build_environment() | {JOURNAL_VARIABLE: str(path)}, stages
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        stages.update((record.pop("stage"), record) for record in map(json.loads, lines))


def _build_environment() -> dict[str, str]:
    """Return the environment in which DVC runs stages and commits experiments."""
    # The stages' `python` is this one, whether an environment is activated or not.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    # A service's account may have a shell that runs nothing.
    given = {**os.environ, "PATH": path, "SHELL": "/bin/sh"}
    if try_git("config", "user.email"):
        return given
    # An experiment is a commit, and needs an identity.
    names = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "digits-pipeline")
    emails = dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "digits@localhost")
    return names | emails | given
