"""A trained model for fast predictions: by LiteRT, since importing TensorFlow takes seconds.

The model is converted once; the result is kept beside it, under the digest of the model.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digits.data.splits import IMAGE_SHAPE, check_probabilities, load_card
from digits.deployment.runtimes import Predict, load_litert
from digits.files import ArtifactError, write_bytes
from digits.paths import CARD_PATH, MODEL_PATH

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
        parts = [self.run(images[at : at + BATCH_SIZE, ..., np.newaxis]) for at in starts]
        probabilities = np.concatenate(parts)
        check_probabilities(self.path, probabilities)
        return probabilities

    @property
    def judge(self) -> Predict | None:
        """What tells one digit from two that touch; None if the classes are not digits."""
        return self.predict if self.class_names == DIGITS else None


def load_classifier(path: Path = MODEL_PATH, card_path: Path = CARD_PATH) -> Classifier:
    """Load a trained model, and the names of its classes from the card of its dataset.

    Raises:
        ArtifactError: no model, or one that is damaged, unsafe or of other classes.
    """
    if not path.is_file():
        raise ArtifactError(
            f"{path}: expected a model, received none: a training that runs writes one at its "
            "end; `digits repro` trains one, `dvc pull` brings one"
        )
    class_names = load_card(card_path).class_names
    return Classifier(path, class_names, _load(path, len(class_names)))


def _load(path: Path, class_count: int) -> Predict:
    kept = MODEL_PATH.with_name(f"{hashlib.sha256(path.read_bytes()).hexdigest()}.tflite")
    if not kept.is_file() and (predict := _convert(path, class_count, kept)):
        return predict
    try:
        predict = load_litert(kept)
    except ValueError as error:
        raise ArtifactError(
            f"{kept}: expected a LiteRT model, received {error}: remove it"
        ) from error
    received = predict(np.zeros((1, *IMAGE_SHAPE), np.float32)).shape[1]
    if received != class_count:
        raise ArtifactError(f"{path}: expected {class_count} classes, received {received}")
    return predict


def _convert(path: Path, class_count: int, kept: Path) -> Predict | None:
    """Convert the model; return what answers in its place if LiteRT lacks one of its layers."""
    from digits.deployment.conversion import ConversionError, to_litert  # noqa: PLC0415
    from digits.model.loading import load_model  # noqa: PLC0415 (TensorFlow takes seconds)
    from digits.model.saving import predict_probabilities  # noqa: PLC0415

    print(f"{path}: being converted, so that answers need no TensorFlow", file=sys.stderr)
    model = load_model(path, class_count)
    try:
        write_bytes(kept, to_litert(model))
    except ConversionError as error:
        print(f"WARNING: {error}: Keras answers, which takes seconds", file=sys.stderr)
        return lambda images: predict_probabilities(model, images, BATCH_SIZE)
    return None
