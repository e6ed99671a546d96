"""A trial: an experiment of DVC for each of its seeds, trained in a clone that is there for it.

Not by `dvc exp run --temp` in the checkout itself: that puts the user's edits aside and HEAD on no
branch as it begins, takes whatever commit HEAD is on by then, and of two at the same moment one
runs both. A clone is on the study's commit, whatever people do in the checkout, and what a kill
leaves of it is a folder.
"""

import fcntl
import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study

from digits.commands.search import SEED, TUNE_PATH, Point, Value
from digits.commands.study import (
    COMMIT,
    ERROR,
    TICKET,
    TOKEN,
    TrialEndError,
    read_search,
)
from digits.dvc.cache import lend_cache
from digits.dvc.experiments import name_ref, run_experiment_in
from digits.dvc.git import ask_git, is_commit
from digits.dvc.run import run_dvc
from digits.errors import DigitsError
from digits.files import HISTORY_COLUMNS, ArtifactError, load_json, load_table
from digits.paths import HISTORY_PATH, TRAIN_METRICS_PATH

TRIALS_DIR = Path(".dvc/tmp/tune")  # DVC and Git ignore it
LOCK_NAME = "lock"


class TrialError(DigitsError):
    """An experiment could not run, for a reason that is not its parameters."""


class Trainer:
    """Trains the trials of a study, in a folder of this worker's own."""

    def __init__(self, study: Study, folder: Path) -> None:
        self.search, self.folder = read_search(study), folder
        self.commit, self.token = study.user_attrs[COMMIT], study.user_attrs[TOKEN]

    def train(self, trial: optuna.Trial) -> float:
        """Return the mean of the metrics over the seeds.

        Raises:
            TrialEndError: it has no result, for its own reasons.
            TrialError: this worker cannot run it.
        """
        search = self.search
        point = {key: dimension.suggest(trial, key) for key, dimension in search.space.items()}
        values = []
        for seed in search.list_seeds(point):
            name = name_experiment(self.token, trial.user_attrs[TICKET], seed)
            if not is_commit(name_ref(self.commit, name)):  # else it has run here, before a kill
                self._run(trial, name, search.settings | point | {SEED: seed})
            if search.push:
                push(search.push, name)
            values.append(search.weigh(read_metrics(name_ref(self.commit, name))))
        mean = sum(values) / len(values)
        if not math.isfinite(mean):
            fail(trial, f"expected finite {', '.join(search.metrics)}, received {mean}")
        return mean

    def _run(self, trial: optuna.Trial, name: str, settings: Point) -> None:
        print(f"\n=== {name} ===", flush=True)
        repository = self.folder / "clone"
        clone = make_clone(repository, self.commit)
        is_first = settings[SEED] == self.search.list_seeds(settings)[0]
        pruned = is_first and self.search.pruner != "none"
        watch = Watch(trial, clone, self.search.watched) if pruned else lambda: None
        outcome = run_experiment_in(clone, settings, watch, "--name", name, "train")
        status = outcome.stages.get("train", {}).get("exit_status", 0)
        if status:
            fail(trial, f"train: exit status {status}")
        if outcome.status:
            raise TrialError(
                f"{name}: expected `dvc exp run` to succeed, received exit status "
                f"{outcome.status}, reasons above; its trial waits for a worker again"
            )
        ref = name_ref(self.commit, name)
        ask_git("fetch", "--quiet", "--no-write-fetch-head", str(repository), f"+{ref}:{ref}")


class Watch:
    """Tells Optuna of each new epoch, and ends a trial that is worse than most."""

    def __init__(self, trial: optuna.Trial, clone: Path, column: str) -> None:
        self.trial, self.clone, self.column = trial, clone, column
        self.last = 0

    def __call__(self) -> None:
        for epoch, value in read_epochs(self.clone, self.column):
            if epoch > self.last:
                self.last = epoch
                self.trial.report(value, epoch)
                if self.trial.should_prune():
                    raise optuna.TrialPruned(f"after epoch {epoch}")


def fail(trial: optuna.Trial, reason: str) -> None:
    trial.set_user_attr(ERROR, reason)
    raise TrialEndError(reason)


def name_experiment(token: str, ticket: int, seed: Value) -> str:
    return f"{token}-{ticket}-{seed}"


def read_metrics(ref: str) -> dict[str, Any]:
    """Read the metrics that an experiment has in Git."""
    scores: dict[str, Any] = json.loads(ask_git("show", f"{ref}:./{TRAIN_METRICS_PATH}"))
    return scores


def read_epochs(folder: Path, column: str) -> list[tuple[int, float]]:
    """Read how a running training has done, epoch by epoch; nothing until it has begun.

    Only while it runs do the metrics count the epochs: before, the files are the commit's.
    """
    with suppress(ArtifactError):  # DVC has just removed them
        if "epoch_count" in load_json(folder / TRAIN_METRICS_PATH):
            table = load_table(folder / HISTORY_PATH, HISTORY_COLUMNS)
            return [(int(row["epoch"]), float(row[column])) for _, row in table.iterrows()]
    return []


def push(remote: str, name: str) -> None:
    """Push an experiment to a Git remote, and its data to DVC's.

    Raises:
        TrialError: DVC failed.
    """
    # By force: a trial that was taken for lost may have been pushed by another worker.
    arguments = ("--wait-for-lock", "exp", "push", "--quiet", "--force", remote, name)
    status = run_dvc(*arguments).status
    if status:
        raise TrialError(
            f"{TUNE_PATH}: push: expected {name} to be pushed to {remote} and to DVC's remote, "
            f"received exit status {status}, reasons above"
        )


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
    """Open a folder for this worker's clones; those that dead workers have left are removed.

    A worker holds a lock for as long as it lives, by whatever it ends, on shared disks, too.
    """
    TRIALS_DIR.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        with locking():
            for left in filter(Path.is_dir, TRIALS_DIR.iterdir()):
                with _locking(left / LOCK_NAME, fcntl.LOCK_NB) as is_dead:
                    if is_dead:  # what still dies there and writes is removed the next time
                        shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(dir=TRIALS_DIR)).resolve()
            held.enter_context(_locking(folder / LOCK_NAME))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locking() -> Iterator[None]:
    """Hold the lock of all workers of this clone: for what one of them does at a time."""
    with _locking(TRIALS_DIR / LOCK_NAME):
        yield


@contextmanager
def _locking(path: Path, options: int = 0) -> Iterator[bool]:
    """Lock a file; yield whether it is locked, and not another process's."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | options)
        except BlockingIOError:
            yield False
        else:
            yield True
