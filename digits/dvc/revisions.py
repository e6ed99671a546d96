"""What a revision of this project predicted, brought by DVC from its cache or its remote."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from dvc.utils.flatten import flatten

from digits.config import PARAMS_PATH
from digits.data.splits import load_card
from digits.dvc.experiments import list_names
from digits.dvc.git import ask_git, is_commit, try_git
from digits.errors import DigitsError
from digits.evaluation.predictions import FILES, load_predictions
from digits.evaluation.records import Record
from digits.evaluation.results import LOCK_PATH, check_evaluated, load_stages, read_models
from digits.files import load_json
from digits.paths import (
    CARD_PATH,
    TEST_PREDICTIONS_DIR,
    TRAIN_METRICS_PATH,
    VALIDATION_PREDICTIONS_DIR,
)

WORKSPACE = "workspace"
SPLITS = {"validation": VALIDATION_PREDICTIONS_DIR, "test": TEST_PREDICTIONS_DIR}
FACTS = (LOCK_PATH, CARD_PATH, TRAIN_METRICS_PATH)


def load_record(name: str, split: str = "validation") -> Record:
    """Load what a Git revision, branch or experiment, or the workspace, predicted for a split.

    Raises:
        DigitsError: no such revision, files that are neither in the cache nor on the remote, or
            test predictions of another model than the revision's.
        GitError: no repository, or one that Git does not open.
        ArtifactError: damaged files.
    """
    if name == WORKSPACE:
        return _load(name, split, Path())
    with tempfile.TemporaryDirectory() as folder:
        bring(name, [*FACTS, *(SPLITS[split] / file for file in FILES)], Path(folder))
        return _load(name, split, Path(folder))


def bring(name: str, paths: Iterable[Path], target: Path) -> None:
    """Bring files of a revision into a folder, each under its own path.

    Raises:
        DigitsError: no such revision, or files that are neither in the cache nor on the remote.
    """
    # DVC sees a revision from Git's root, of which this project may be a subfolder.
    prefix = Path(ask_git("rev-parse", "--show-prefix"))
    if not is_commit(name) and name not in list_names():
        raise DigitsError(
            f"{name}: expected a Git revision, a branch, an experiment with a result or "
            f"{WORKSPACE!r}, received none of them: `git log`, `dvc exp list`, `dvc queue status`"
        )
    files = DVCFileSystem(rev=name, subrepos=True)
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            files.get_file((prefix / path).as_posix(), str(target / path))
        except Exception as error:  # the cache's, or any remote's
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise DigitsError(
                f"{name}: expected {path} in Git, in this clone's cache or on its remote, received "
                f"{reason}: `dvc push` where it was trained, or compare with a run of your own: "
                "`make repro && git add --all && git commit`"
            ) from error


def _load(name: str, split: str, root: Path) -> Record:
    card = load_card(root / CARD_PATH)
    if split == "test":
        check_evaluated(root / LOCK_PATH, name)
    trained = load_json(root / TRAIN_METRICS_PATH)
    return Record(
        name,
        card,
        read_models(root / LOCK_PATH).get("train", ""),
        load_predictions(root / SPLITS[split], card.class_count),
        _load_settings(root / LOCK_PATH),
        bool(trained.get("early_stopping")),
        _is_candidate(name),
        trained.get("val_robustness"),
    )


def _load_settings(lock_path: Path) -> dict[str, Any]:
    """Return the parameters that the model came from, as the lock has them: those of the run."""
    settings: dict[str, Any] = {}
    stages = load_stages(lock_path)
    for stage in ("decode", "train"):
        for file, values in stages.get(stage, {}).get("params", {}).items():
            start = "" if file == str(PARAMS_PATH) else f"{file}:"
            settings |= {f"{start}{key}": value for key, value in flatten(values).items()}
    return settings


def _is_candidate(name: str) -> bool:
    """Tell whether no branch or tag has it; Git knows no experiment by its name, and fails."""
    if name == WORKSPACE:
        return bool(try_git("status", "--porcelain", "--", str(PARAMS_PATH), "recipes"))
    refs = ("refs/heads", "refs/remotes", "refs/tags")
    return not try_git("for-each-ref", "--count=1", f"--contains={name}", *refs)
