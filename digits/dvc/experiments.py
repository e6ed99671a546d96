"""DVC's experiments: run them here or in a clone, and list their names."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from digits.dvc.git import try_git
from digits.dvc.run import DVC, Outcome, journaling, run_dvc
from digits.errors import DigitsError

WATCH_SECONDS = 0.5  # between two looks at an experiment: few epochs are that short


def run_experiment(settings: Mapping[str, object], *options: str) -> Outcome:
    """Run an experiment with changed parameters.

    Raises:
        DigitsError: a merge is under way, which DVC would have Git forget.
    """
    if try_git("rev-parse", "--verify", "--quiet", "MERGE_HEAD"):
        raise DigitsError(
            "expected no merge under way, received one: end it with `git merge --quit`"
        )
    return run_dvc("exp", "run", *list_options(settings), *options)


def list_options(settings: Mapping[str, object]) -> list[str]:
    """Write changed parameters as options of `dvc exp run`; None is DVC's `null`."""
    values = {key: "null" if value is None else value for key, value in settings.items()}
    return [part for key, value in values.items() for part in ("-S", f"{key}={value}")]


def run_experiment_in(
    clone: Path, settings: Mapping[str, object], watch: Callable[[], None], *options: str
) -> Outcome:
    """Run an experiment in a clone made for it; `watch` is called every half second.

    If `watch` raises, or this process ends in any way, DVC and its stage are killed.
    """
    leash = ["setpriv", "--pdeathsig", "KILL"] if sys.platform == "linux" else []
    command = [*leash, *DVC, "exp", "run", *list_options(settings), *options]
    with journaling() as (environment, stages):
        environment["DVC_SITE_CACHE_DIR"] = str(clone / ".dvc/tmp/state")  # gone with the clone
        with subprocess.Popen(
            command, cwd=clone, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                while process.poll() is None:
                    watch()
                    time.sleep(WATCH_SECONDS)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
    return Outcome(process.returncode, stages)


def list_names() -> list[str]:
    """List the experiments of all commits by name."""
    refs = try_git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    # refs/exps/AB/CDEF.../NAME; DVC keeps its own at refs/exps/exec, refs/exps/stash and so on.
    return sorted({ref.split("/", 4)[4] for ref in refs if len(ref.split("/")[2]) == 2})


def name_ref(commit: str, name: str) -> str:
    """Return the Git ref of a commit's experiment."""
    return f"refs/exps/{commit[:2]}/{commit[2:]}/{name}"
