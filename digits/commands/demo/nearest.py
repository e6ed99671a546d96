"""The training images that are most like a digit: what the network has met of its kind.

They are compared as 14x14 means of 2x2 pixels, so that a stroke a pixel beside another is still
near it, each of length 1, so that a thick pen is near a fine one (cosine similarity). One product
of matrices compares all of them.
"""

from dataclasses import dataclass

import numpy as np

from digits.data.splits import IMAGE_SIDE, Split, cut_blocks

BLOCK = 2  # pixels
COUNT = 8  # images shown


@dataclass(frozen=True)
class Nearest:
    """Training images uint8 (n, 28, 28), their labels (n,), and what is compared of them (n, k)."""

    images: np.ndarray
    labels: np.ndarray
    features: np.ndarray

    def find(self, ink: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Return the labels and pixels of those most like float (28, 28), the nearest first."""
        likeness = self.features @ describe(ink[np.newaxis])[0]
        order = np.argsort(-likeness, kind="stable")[:COUNT]
        return [(int(self.labels[index]), self.images[index]) for index in order]


def index_images(split: Split) -> Nearest:
    """Prepare images float (n, 28, 28, 1) for being searched."""
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
