"""Evaluate a trial: an experiment of DVC for each of its seeds, trained in a clone of its own.

Not by `dvc exp run --temp` in the checkout: that puts the user's edits aside and HEAD on no branch
as it begins, and of two at the same moment one fails. A clone is on the study's commit, whatever
people do in the checkout, and what a kill leaves of it is a folder.
"""

import fcntl
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study

from digits.commands.tune.search import SEED, TUNE_PATH, Point, Value
from digits.commands.tune.study import COMMIT, EXPERIMENTS, TOKEN, read_search
from digits.commands.tune.worker import TrialFailedError
from digits.dvc.cache import lend_cache
from digits.dvc.experiments import name_ref, run_experiment_in
from digits.dvc.git import ask_git, is_commit
from digits.dvc.run import run_dvc
from digits.errors import DigitsError
from digits.files import HISTORY_COLUMNS, ArtifactError, load_json, load_table
from digits.paths import HISTORY_PATH, TRAIN_METRICS_PATH

TRIALS_DIR = Path(".dvc/tmp/tune")  # DVC and Git ignore it
LOCK_NAME = "lock"


class Objective:
    """Trains the trials of a study, in a folder of this worker's own."""

    def __init__(self, study: Study, folder: Path) -> None:
        self.search, self.folder = read_search(study), folder
        self.commit, self.token = study.user_attrs[COMMIT], study.user_attrs[TOKEN]

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the mean of the metrics over the seeds."""
        search, point = self.search, trial.params
        names, values = [], []
        for seed in search.list_seeds(point):
            names.append(name_experiment(self.token, trial.number, seed))
            ref = name_ref(self.commit, names[-1])
            if not is_commit(ref):  # else it has run here, before an interrupt
                self._run(trial, names, search.settings | point | {SEED: seed})
            if search.push:
                self._push(names[-1])
            values.append(search.weigh(read_metrics(ref)))
        mean = sum(values) / len(values)
        if not math.isfinite(mean):
            raise TrialFailedError(f"expected finite {', '.join(search.metrics)}, received {mean}")
        return mean

    def _run(self, trial: optuna.Trial, names: list[str], settings: Point) -> None:
        """Run the experiment of the last name; the others are of the trial's earlier seeds."""
        *others, name = names
        print(f"\n=== {name} ===", flush=True)
        repository = self.folder / "clone"
        clone = make_clone(repository, self.commit)
        is_pruned = self.search.pruner != "none" and not others  # by its first seed
        watch = PruningCallback(trial, clone, self.search.watched) if is_pruned else lambda: None
        outcome = run_experiment_in(clone, settings, watch, "--name", name, "train")
        status = outcome.stages.get("train", {}).get("exit_status", 0)
        if status not in (0, os.EX_IOERR):
            raise TrialFailedError(f"train: exit status {status}")
        if outcome.status:
            raise DigitsError(
                f"{name}: expected `dvc exp run` to succeed, received exit status "
                f"{outcome.status}, reasons above; its trial waits for a worker again"
            )
        # Refused where the trial was taken for lost: what another worker's retry makes, counts.
        trial.set_user_attr(EXPERIMENTS, names)
        ref = name_ref(self.commit, name)
        ask_git("fetch", "--quiet", "--no-write-fetch-head", str(repository), f"+{ref}:{ref}")

    def _push(self, name: str) -> None:
        """Push an experiment to a Git remote, and its data to DVC's."""
        remote = str(self.search.push)
        words = ("--wait-for-lock", "exp", "push", "--quiet", "--force", remote, name)
        if status := run_dvc(*words).status:
            raise DigitsError(
                f"{TUNE_PATH}: push: expected {name} to be pushed to {remote} and to DVC's remote, "
                f"received exit status {status}, reasons above"
            )


class PruningCallback:
    """Tells Optuna of each new epoch, and ends a trial that is worse than most."""

    def __init__(self, trial: optuna.Trial, clone: Path, column: str) -> None:
        self.trial, self.clone, self.column = trial, clone, column
        self.last = 0

    def __call__(self) -> None:
        for epoch, value in self._read_epochs()[self.last :]:
            self.last = epoch
            self.trial.report(value, epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned(f"after epoch {epoch}")

    def _read_epochs(self) -> list[tuple[int, float]]:
        with suppress(ArtifactError):  # DVC has just removed them
            # Before the training begins, the files are the commit's.
            if "epoch_count" in load_json(self.clone / TRAIN_METRICS_PATH):
                table = load_table(self.clone / HISTORY_PATH, HISTORY_COLUMNS)
                return [(int(row["epoch"]), float(row[self.column])) for _, row in table.iterrows()]
        return []


def name_experiment(token: str, number: int, seed: Value) -> str:
    return f"{token}-{number}-{seed}"


def read_metrics(ref: str) -> dict[str, Any]:
    """Read the metrics that an experiment has in Git."""
    scores: dict[str, Any] = json.loads(ask_git("show", f"{ref}:./{TRAIN_METRICS_PATH}"))
    return scores


# Clones


def make_clone(folder: Path, commit: str) -> Path:
    """Clone this repository at a commit, in place of what is there; return the project in it."""
    shutil.rmtree(folder, ignore_errors=True)
    top, prefix = (ask_git("rev-parse", f"--show-{part}") for part in ("toplevel", "prefix"))
    ask_git("clone", "--quiet", "--shared", "--no-checkout", top, str(folder))
    ask_git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    lend_cache(folder / prefix)
    return folder / prefix


@contextmanager
def opening_folder() -> Iterator[Path]:
    """Make a folder for a worker's clones, and remove those of workers that have died.

    A worker holds a lock while it lives. The system releases it, on shared disks, too.
    """
    with ExitStack() as held:
        with locking():
            for left in filter(Path.is_dir, TRIALS_DIR.iterdir()):
                with suppress(BlockingIOError), _locking(left / LOCK_NAME, fcntl.LOCK_NB):
                    shutil.rmtree(left, ignore_errors=True)
            made = tempfile.TemporaryDirectory(dir=TRIALS_DIR, ignore_cleanup_errors=True)
            folder = Path(held.enter_context(made)).resolve()
            held.enter_context(_locking(folder / LOCK_NAME))
        yield folder


@contextmanager
def locking() -> Iterator[None]:
    """Hold the lock that all workers of this clone share."""
    TRIALS_DIR.mkdir(parents=True, exist_ok=True)
    with _locking(TRIALS_DIR / LOCK_NAME):
        yield


@contextmanager
def _locking(path: Path, options: int = 0) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | options)
        yield
