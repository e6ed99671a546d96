"""A trained model that answers in a fraction of a second: without TensorFlow, once it was there.

Importing TensorFlow takes seconds. LiteRT reads a form of the model that is made once, and is kept
beside it under the digest of the model.
"""

import hashlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digits.data.splits import IMAGE_SHAPE, check_probabilities, load_card
from digits.files import ArtifactError, write_bytes
from digits.imaging.splitting import Judge
from digits.model.runtimes import Predict, load_litert
from digits.paths import CARD_PATH, MODEL_PATH

KEPT_DIR = MODEL_PATH.parent
RUNTIME = "ai_edge_litert"
DIGITS = list("0123456789")
BATCH_SIZE = 500  # a matter of memory, not of results


@dataclass(frozen=True)
class Classifier:
    """A model, and the names of the classes whose probabilities it gives."""

    path: Path
    class_names: list[str]
    run: Predict

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return float32 (n, k): the probabilities of images float32 (n, 28, 28).

        Raises:
            ArtifactError: the model gives something else, NaN for example.
        """
        starts = range(0, len(images), BATCH_SIZE)
        parts = [self.run(images[it : it + BATCH_SIZE, ..., np.newaxis]) for it in starts]
        probabilities = np.concatenate(parts)
        check_probabilities(self.path, probabilities)
        return probabilities

    @property
    def judge(self) -> Judge | None:
        """What decides whether ink is one digit or two; nothing for letters, clothes and others."""
        return self.predict if self.class_names == DIGITS else None


@contextmanager
def finding_model(path: Path | None, revision: str | None) -> Iterator[tuple[Path, Path]]:
    """Return where the model and the card of its dataset are: the project's, or a revision's.

    Raises:
        RevisionError: no such revision, or files that are nowhere to be had.
    """
    if revision is None:
        yield path or MODEL_PATH, CARD_PATH
        return
    from digits.dvc.revisions import bring  # noqa: PLC0415 (DVC takes a second)

    with tempfile.TemporaryDirectory() as folder:
        bring(revision, [MODEL_PATH, CARD_PATH], Path(folder))
        yield Path(folder, MODEL_PATH), Path(folder, CARD_PATH)


def load_classifier(path: Path | None = None, revision: str | None = None) -> Classifier:
    """Load the trained model, that of a file, or that of a revision, branch or experiment.

    Raises:
        ArtifactError: no model, or one that is damaged, unsafe or of other classes.
        RevisionError: no such revision, or files that are nowhere to be had.
    """
    with finding_model(path, revision) as (model_path, card_path):
        if not model_path.is_file():
            raise ArtifactError(
                f"{model_path}: expected a model, received none: `make repro` trains one, "
                "`dvc pull` brings one"
            )
        class_names = load_card(card_path).class_names
        return Classifier(model_path, class_names, _load(model_path, len(class_names)))


def _load(path: Path, class_count: int) -> Predict:
    if importlib.util.find_spec(RUNTIME) is None:
        return _load_keras(path, class_count)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    kept = KEPT_DIR / f"{digest}.tflite"
    if not kept.is_file() and not _keep(kept, path, class_count):
        return _load_keras(path, class_count)
    try:
        predict = load_litert(kept)
        received = predict(np.zeros((1, *IMAGE_SHAPE), np.float32)).shape[1]
    except ValueError as error:
        raise ArtifactError(
            f"{kept}: expected what was kept there, received a damaged file: remove it"
        ) from error
    if received != class_count:
        raise ArtifactError(
            f"{path}: expected {class_count} classes, as {CARD_PATH} has, received {received}"
        )
    return predict


def _keep(kept: Path, path: Path, class_count: int) -> bool:
    """Convert the model, and tell whether LiteRT has all of its layers."""
    from digits.model.conversion import ConversionError, to_litert  # noqa: PLC0415
    from digits.model.saving import load_model  # noqa: PLC0415 (TensorFlow takes seconds)

    print(f"{path}: being converted, so that answers need no TensorFlow", file=sys.stderr)
    try:
        write_bytes(kept, to_litert(load_model(path, class_count)))
    except ConversionError as error:
        print(f"WARNING: {error}: Keras answers, which takes seconds", file=sys.stderr)
        return False
    return True


def _load_keras(path: Path, class_count: int) -> Predict:
    from digits.model.saving import load_model, predict_probabilities  # noqa: PLC0415

    model = load_model(path, class_count)
    return lambda images: predict_probabilities(model, images, BATCH_SIZE)
