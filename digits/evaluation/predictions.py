"""A model's predictions for a split, on disk together with the images and labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digits.data.splits import IMAGE_SIDE, Split, check_labels, check_probabilities, cut_blocks
from digits.files import ArtifactError, load_array, write_array

FILES = ("images.npy", "labels.npy", "probabilities.npy")


@dataclass(frozen=True)
class Predictions:
    """Images uint8 (n, 28, 28), labels uint8 (n,), probabilities float32 (n, k)."""

    images: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of_split(cls, split: Split, probabilities: np.ndarray) -> "Predictions":
        """Join probabilities with the images of a split, as pixels, and their labels."""
        blocks = (np.rint(block[..., 0] * 255) for block in cut_blocks(split.images))
        pixels = np.concatenate([block.astype(np.uint8) for block in blocks])
        return cls(pixels, split.labels, probabilities)

    @property
    def predicted(self) -> np.ndarray:
        """Most probable class of each image, int (n,)."""
        return self.probabilities.argmax(axis=1)


def write_predictions(folder: Path, predictions: Predictions) -> None:
    """Write a `.npy` file for each array."""
    for name, array in zip(FILES, vars(predictions).values(), strict=True):
        write_array(folder / name, array)


def load_predictions(folder: Path, class_count: int) -> Predictions:
    """Load what `train` or `evaluate` wrote.

    Raises:
        ArtifactError: damaged files, arrays of different lengths, rows that do not sum to 1.
    """
    images_path, labels_path, probabilities_path = (folder / name for name in FILES)
    probabilities = load_array(probabilities_path, "float32", (None, class_count))
    count = len(probabilities)
    if count == 0:
        raise ArtifactError(f"{folder}: expected predictions, received none")
    images = load_array(images_path, "uint8", (count, IMAGE_SIDE, IMAGE_SIDE))
    labels = load_array(labels_path, "uint8", (count,))
    check_labels(folder, labels, class_count)
    check_probabilities(folder, probabilities)
    return Predictions(images, labels, probabilities)
