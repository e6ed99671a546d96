"""What a model said of the test images: a record that later stages need nothing else beside."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digits.data.datasets import IMAGE_SIDE
from digits.data.splits import check_labels, check_probabilities
from digits.files.artifacts import ArtifactError, load_array, write_array


@dataclass(frozen=True)
class Predictions:
    """Test images uint8 (n, 28, 28), labels uint8 (n,), probabilities float32 (n, k)."""

    images: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Most probable class of each image, int (n,)."""
        return self.probabilities.argmax(axis=1)


def write_predictions(folder: Path, predictions: Predictions) -> None:
    """Write one `.npy` an array."""
    write_array(folder / "images.npy", predictions.images)
    write_array(folder / "labels.npy", predictions.labels)
    write_array(folder / "probabilities.npy", predictions.probabilities)


def load_predictions(folder: Path, class_count: int) -> Predictions:
    """Load what `evaluate` wrote.

    Raises:
        ArtifactError: damaged files, arrays that do not fit each other, no probabilities.
    """
    probabilities = load_array(folder / "probabilities.npy", "float32", (None, class_count))
    count = len(probabilities)
    if count == 0:
        raise ArtifactError(f"{folder}: expected predictions, received none")
    images = load_array(folder / "images.npy", "uint8", (count, IMAGE_SIDE, IMAGE_SIDE))
    labels = load_array(folder / "labels.npy", "uint8", (count,))
    check_labels(folder, labels, class_count)
    check_probabilities(folder, probabilities)
    return Predictions(images, labels, probabilities)
