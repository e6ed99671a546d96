"""Run DVC experiments: `dvc exp run` with changed parameters, as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping

from digits.errors import DigitsError


class ExperimentError(DigitsError):
    """DVC failed at what an experiment needs."""


def fetch_data() -> None:
    """Bring the dataset into DVC's cache: mirrors beside the checkout are not beside a run.

    Raises:
        ExperimentError: DVC failed.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", "repro", "decode"], check=False)
    if done.returncode != 0:
        raise ExperimentError(f"dvc repro decode: exit status {done.returncode}, reasons above")


def run_experiment(settings: Mapping[str, object], *options: str) -> int:
    """Run an experiment in the workspace, or as the options say; return DVC's exit status."""
    command = _build_command(settings, *options)
    return subprocess.run(command, env=_build_environment(), check=False).returncode


def tee_experiment(settings: Mapping[str, object], *options: str) -> tuple[int, str]:
    """Run an experiment with further options; return DVC's exit status and what it printed.

    Everything is shown as it comes; errors are shown only.
    """
    printed = []
    with subprocess.Popen(
        _build_command(settings, *options),
        # Into a pipe DVC's lines would come late, after those of its stages.
        env=_build_environment() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            printed.append(line)
    return process.returncode, "".join(printed)


def _build_command(settings: Mapping[str, object], *options: str) -> list[str]:
    changes = [part for key, value in settings.items() for part in ("-S", f"{key}={value}")]
    return [sys.executable, "-m", "dvc", "exp", "run", *changes, *options]


def _build_environment() -> dict[str, str]:
    """Return the environment with an identity for Git: an experiment is a commit and needs one."""
    identity = {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", "digits-pipeline"), ("EMAIL", "digits@localhost"))
    }
    known = subprocess.run(["git", "config", "user.email"], capture_output=True, check=False)
    return dict(os.environ) if known.returncode == 0 else {**identity, **os.environ}
