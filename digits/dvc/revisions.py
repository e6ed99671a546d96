"""What a revision of this project predicted, brought by DVC from its cache or its remote."""

import fnmatch
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.scm import RevError

from digits.commands import neighbours
from digits.config import PARAMS_PATH, load_params
from digits.data.splits import Card, load_card
from digits.dvc.git import ask_git, is_commit, try_git
from digits.dvc.results import LOCK_PATH, check_evaluated, read_models
from digits.errors import DigitsError
from digits.evaluation.predictions import FILES, Predictions, load_predictions
from digits.files.artifacts import load_json
from digits.paths import (
    CARD_PATH,
    TEST_PREDICTIONS_DIR,
    TRAIN_METRICS_PATH,
    VALIDATION_PREDICTIONS_DIR,
)

WORKSPACE = "workspace"
SPLITS = {"validation": VALIDATION_PREDICTIONS_DIR, "test": TEST_PREDICTIONS_DIR}
FACTS = (CARD_PATH, LOCK_PATH, TRAIN_METRICS_PATH)
SEED = "train.seed"
LONGEST = 160  # letters of a name or a reason, in a message
# Where DVC keeps tasks without a result, as stashes whose subjects end in the tasks' names.
TASKS = {
    "refs/exps/celery/failed": "an experiment that failed: `dvc queue logs {}` says why",
    "refs/exps/celery/stash": "an experiment that waits: `dvc queue start` runs it",
}


class RevisionError(DigitsError):
    """There is no such revision, or its files are nowhere to be had."""


@dataclass(frozen=True)
class Record:
    """What a revision says of a split, how its model came about, and the card of the dataset."""

    name: str
    card: Card
    predictions: Predictions
    settings: dict[str, Any]  # all that the model depends on, by key as in `-S`
    stopped_early: bool  # at an epoch that was chosen on validation
    is_candidate: bool  # an experiment, or edits: no branch says that it was chosen
    val_robustness: float | None = None  # runs of an earlier version have none


def load_record(name: str, split: str = "validation") -> Record:
    """Load what a Git revision, branch or experiment, or the workspace, predicted for a split.

    Raises:
        RevisionError: no such revision, or files that are neither in the cache nor on the remote.
        ResultError: test predictions of another model than the revision's.
        GitError: no repository, or one that Git does not open.
        ArtifactError: damaged files.
    """
    if name == WORKSPACE:
        return _load(name, split, Path())
    with tempfile.TemporaryDirectory() as folder:
        paths = [*FACTS, *(SPLITS[split] / file for file in FILES)]
        bring(name, paths, Path(folder))
        return _load(name, split, Path(folder))


def find_experiments(pattern: str) -> list[str]:
    """Find the experiments whose names match a pattern of the shell.

    Raises:
        RevisionError: there is none.
    """
    own = (it for it in neighbours.find_experiments() if not it.is_foreign())
    names = sorted({it.name for it in own})
    chosen = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    if not chosen:
        raise RevisionError(
            f"{_show(pattern)}: expected a pattern of experiments' names, received one that none "
            f"of {len(names)} matches: `make experiments` lists those of this commit"
        )
    return chosen


def _load(name: str, split: str, root: Path) -> Record:
    card = load_card(root / CARD_PATH)
    if split == "test":
        apply = "" if name == WORKSPACE else f"dvc exp apply {_show(name)} && "
        check_evaluated(root / LOCK_PATH, _show(name), apply)
    settings = _list_settings(root / LOCK_PATH)
    trained = load_json(root / TRAIN_METRICS_PATH)
    robustness = trained.get("val_robustness")
    return Record(
        name,
        card,
        load_predictions(root / SPLITS[split], card.class_count),
        settings,
        bool(trained.get("early_stopping")),
        _is_candidate(name),
        robustness if isinstance(robustness, float) else None,
    )


def _list_settings(lock_path: Path) -> dict[str, Any]:
    """List the parameters that the model came from, as the lock has them: those of the run."""
    stages = load_params("stages", dict[str, Any], lock_path)
    return {
        key: value
        for stage in ("decode", "train")
        for file, values in stages.get(stage, {}).get("params", {}).items()
        for key, value in _flatten("" if file == str(PARAMS_PATH) else f"{file}:", values)
    }


def _flatten(prefix: str, value: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        return [(prefix, value)]
    start = prefix if prefix == "" or prefix.endswith(":") else f"{prefix}."
    return [pair for key, it in value.items() for pair in _flatten(f"{start}{key}", it)]


def _is_candidate(name: str) -> bool:
    if name == WORKSPACE:
        return bool(try_git("status", "--porcelain", "--", str(PARAMS_PATH)))
    refs = ("refs/heads", "refs/remotes", "refs/tags")
    return not try_git("for-each-ref", "--count=1", f"--contains={name}", *refs)


def read_model(name: str) -> str:
    """Return the MD5 of a revision's model.

    Raises:
        RevisionError: no such revision.
    """
    with tempfile.TemporaryDirectory() as folder:
        bring(name, [LOCK_PATH], Path(folder))
        return read_models(Path(folder) / LOCK_PATH)["train"]


def bring(name: str, paths: Iterable[Path], target: Path) -> None:
    """Bring files of a revision into a folder, each under its own path."""
    if not is_commit(name) and neighbours.has_only_foreign(name):
        raise _no_revision(name, "an experiment of another project in this repository")
    # DVC sees a revision from Git's root, of which this project may be a subfolder.
    prefix = Path(ask_git("rev-parse", "--show-prefix"))
    try:
        files = DVCFileSystem(rev=name, subrepos=True)
        for path in paths:  # by name: a folder's list may name files elsewhere
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            files.get_file((prefix / path).as_posix(), str(target / path))
    except (DvcException, OSError) as error:
        if is_commit(name) and not try_git("ls-tree", name, "--", str(LOCK_PATH)):
            raise RevisionError(
                f"{_show(name)}: expected a commit of a run, received one without {LOCK_PATH}: "
                "nothing that was run is committed there"
            ) from error
        if is_commit(name) or not isinstance(error, RevError):
            raise RevisionError(
                f"{_show(name)}: expected its files in this clone's cache or on its remote, "
                f"received {_reason(error)}: they are brought by `dvc push` where it was trained; "
                "or compare with a run of your own: `make repro && git add --all && git commit`"
            ) from error
        raise _no_revision(name, find_task(name) or "a name that is none of them") from error
    except Exception as error:
        # What is no commit, or no text, fails in one of several libraries, each in its own way.
        raise _no_revision(name, _reason(error)) from error


def find_task(name: str) -> str:
    """Say how a task of the queue stands that has no result; nothing if there is none."""
    for ref, fate in TASKS.items():
        tasks = try_git("reflog", "show", "--format=%gs", ref, "--").splitlines()
        if any(task.endswith(f":{name}") for task in tasks):
            return fate.format(_show(name))
    return ""


def _no_revision(name: str, received: str) -> RevisionError:
    return RevisionError(
        f"{_show(name)}: expected a Git revision, a branch, an experiment or {WORKSPACE!r}, "
        f"received {received}"
    )


def _show(name: str) -> str:
    """Return a name as it can be printed, whatever its bytes and its length are."""
    text = name if name.isprintable() else ascii(name)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return _show(lines[0])
