"""What a revision of this project predicted, brought by DVC from its cache or its remote."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.scm import RevError

from digits.commands.git import ask_git, is_commit
from digits.data.splits import Card, load_card
from digits.errors import DigitsError
from digits.evaluation.predictions import Predictions, load_predictions
from digits.paths import CARD_PATH, PREDICTIONS_DIR

WORKSPACE = "workspace"
ARRAYS = ("images.npy", "labels.npy", "probabilities.npy")
FILES = (CARD_PATH, *(PREDICTIONS_DIR / name for name in ARRAYS))
LONGEST = 160  # letters of a name or a reason, in a message

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
        GitError: no repository, or one that Git does not open.
        ArtifactError: damaged files.
    """
    if name == WORKSPACE:
        return _load(name, CARD_PATH, PREDICTIONS_DIR)
    return _with_files(
        name,
        lambda folder: _load(
            name, folder / CARD_PATH.parent.name / CARD_PATH.name, folder / PREDICTIONS_DIR.name
        ),
    )


def _load(name: str, card_path: Path, predictions_dir: Path) -> Record:
    card = load_card(card_path)
    return Record(name, card, load_predictions(predictions_dir, card.class_count))


def _with_files(name: str, use: Callable[[Path], T]) -> T:
    """Bring the revision's files into a folder that exists as long as `use` runs."""
    # DVC sees a revision from Git's root, of which this project may be a subfolder.
    prefix = Path(ask_git("rev-parse", "--show-prefix"))
    with tempfile.TemporaryDirectory() as temporary:
        try:
            files = DVCFileSystem(rev=name, subrepos=True)
            for folder in {path.parent.name for path in FILES}:
                (Path(temporary) / folder).mkdir()
            for path in FILES:  # by name: a folder's list may name files elsewhere
                target = Path(temporary) / path.parent.name / path.name
                files.get_file((prefix / path).as_posix(), str(target))
        except (DvcException, OSError) as error:
            if is_commit(name) or not isinstance(error, RevError):
                raise RevisionError(
                    f"{_show(name)}: expected its predictions in the cache or on the remote, "
                    f"received {_reason(error)}: `dvc push` where it was trained"
                ) from error
            raise _no_revision(name, "a name that is none of them") from error
        except Exception as error:
            # What is no commit, or no text, fails in one of several libraries, each in its own way.
            raise _no_revision(name, _reason(error)) from error
        return use(Path(temporary))


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
