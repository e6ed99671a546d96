"""The training images that are most similar to a digit.

Compared is the cosine similarity of 14x14 means of 2x2 pixels: strokes that are a pixel apart, or
of another thickness, are still similar. One matrix product compares all images.
"""

from dataclasses import dataclass

import numpy as np

from digits.data.splits import IMAGE_SIDE, Split, cut_blocks

BLOCK = 2  # pixels
COUNT = 8  # images shown


@dataclass(frozen=True)
class Nearest:
    """Training images uint8 (n, 28, 28), their labels (n,), and their features (n, k)."""

    images: np.ndarray
    labels: np.ndarray
    features: np.ndarray

    def find(self, ink: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Return labels and pixels of those most similar to float (28, 28), the nearest first."""
        similarity = self.features @ describe(ink[np.newaxis])[0]
        order = np.argsort(-similarity, kind="stable")[:COUNT]
        return [(int(self.labels[index]), self.images[index]) for index in order]


def index_images(split: Split) -> Nearest:
    """Compute the features of images float (n, 28, 28, 1)."""
    blocks = cut_blocks(split.images[..., 0])
    pixels = [(255 * block).round().astype(np.uint8) for block in blocks]
    features = [describe(block) for block in blocks]
    return Nearest(np.concatenate(pixels), split.labels, np.concatenate(features))


def describe(images: np.ndarray) -> np.ndarray:
    """Turn float (n, 28, 28) into float32 (n, 196) rows of length 1; a blank image gives 0."""
    side = IMAGE_SIDE // BLOCK
    means = images.reshape(-1, side, BLOCK, side, BLOCK).mean(axis=(2, 4), dtype=np.float32)
    rows = means.reshape(-1, side**2)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-6)
