"""What a revision of this project predicted, brought by DVC from its cache or its remote."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.scm import RevError

from digits.data.splits import Card, load_card
from digits.errors import DigitsError
from digits.evaluation.predictions import Predictions, load_predictions
from digits.paths import CARD_PATH, PREDICTIONS_DIR

WORKSPACE = "workspace"

T = TypeVar("T")


class RevisionError(DigitsError):
    """There is no such revision, or its files are nowhere to be had."""


@dataclass(frozen=True)
class Record:
    """A revision's predictions, and the card of the dataset they are about."""

    name: str
    card: Card
    predictions: Predictions


def load_record(name: str) -> Record:
    """Load what a Git revision, branch or experiment predicted, or the workspace.

    Raises:
        RevisionError: no such revision, or files that are neither in the cache nor on the remote.
        ArtifactError: damaged files.
    """
    if name == WORKSPACE:
        return _load(name, CARD_PATH, PREDICTIONS_DIR)
    return _with_files(
        name, lambda folder: _load(name, folder / CARD_PATH.name, folder / PREDICTIONS_DIR.name)
    )


def _load(name: str, card_path: Path, predictions_dir: Path) -> Record:
    card = load_card(card_path)
    return Record(name, card, load_predictions(predictions_dir, card.class_count))


def _with_files(name: str, use: Callable[[Path], T]) -> T:
    """Bring the revision's files into a folder that exists as long as `use` runs."""
    with tempfile.TemporaryDirectory() as temporary:
        try:
            files = DVCFileSystem(rev=name)
            for path in (CARD_PATH, PREDICTIONS_DIR):
                files.get(path.as_posix(), f"{temporary}/{path.name}", recursive=True)
        except RevError as error:
            raise RevisionError(
                f"{name}: expected a Git revision, a branch, an experiment or {WORKSPACE!r}, "
                "received a name that is none of them"
            ) from error
        except (DvcException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise RevisionError(
                f"{name}: expected its predictions in the cache or on the remote, "
                f"received {reason}: `dvc push` where it was trained"
            ) from error
        return use(Path(temporary))
