"""Bring the arrays of a dataset's files into one form: images uint8 (n, 28, 28), labels from 0.

Integer types, flat images, columns of labels and the first class's label differ from publisher to
publisher: they are converted where nothing is lost, and refused otherwise.
"""

import sys

import numpy as np

from digits.data.datasets import Dataset
from digits.data.splits import IMAGE_SIDE
from digits.errors import DigitsError


def normalize_images(split: str, images: np.ndarray, *, transpose: bool) -> np.ndarray:
    """Convert integer images of one channel to uint8 (n, 28, 28).

    Raises:
        DigitsError: another size, values outside 0 to 255, no integers, or a constant.
    """
    side = IMAGE_SIDE
    shape = images.shape
    if shape[1:] in ((side * side,), (side, side, 1), (1, side, side)):
        images = images.reshape(-1, side, side)
    if images.dtype.kind not in "ui" or images.shape[1:] != (side, side) or not len(images):
        raise DigitsError(
            f"{split} images: expected integers (n, {side}, {side}), "
            f"received {images.dtype.name} {shape}"
        )
    low, high = int(images.min()), int(images.max())
    if low < 0 or high > 255:
        raise DigitsError(f"{split} images: expected pixels 0-255, received {low} to {high}")
    if low == high:
        raise DigitsError(f"{split} images: expected pixels that differ, received a constant")
    images = images.astype(np.uint8, copy=False)
    return images.swapaxes(1, 2) if transpose else images


def normalize_labels(split: str, labels: np.ndarray, count: int, dataset: Dataset) -> np.ndarray:
    """Convert the labels of the file to uint8 (n,): indices of the class names.

    Raises:
        DigitsError: not as many as images, several columns and none chosen, not integers, or a
            label that is not a class.
    """
    shape, column = labels.shape, dataset.label_column
    if labels.ndim == 2 and (column is not None or labels.shape[1] == 1):
        if column is not None and column >= labels.shape[1]:
            raise DigitsError(f"{split} labels: expected a column {column}, received {shape}")
        labels = labels[:, column or 0]
    if labels.dtype.kind not in "ui" or labels.shape != (count,):
        hint = ": label_column says which" if len(shape) == 2 and shape[0] == count else ""
        raise DigitsError(
            f"{split} labels: expected integers ({count},), received {labels.dtype.name} "
            f"{shape}{hint}"
        )
    found = np.unique(labels)
    known = np.array(dataset.labels)
    unknown = np.setdiff1d(found, known).tolist()
    if unknown:
        raise DigitsError(
            f"{split} labels: expected {dataset.labels}, as label_values and class_names of the "
            f"dataset say, received {unknown[:12]}, too"
        )
    order = np.argsort(known)
    return order[np.searchsorted(known, labels, sorter=order)].astype(np.uint8)


def check_classes(split: str, labels: np.ndarray, class_names: list[str]) -> None:
    """Refuse classes without a training image; warn of those without a test image."""
    counts = np.bincount(labels, minlength=len(class_names))
    absent = [class_names[index] for index in np.flatnonzero(counts == 0)]
    if not absent:
        return
    message = f"{split} labels: expected all classes, received no image of {', '.join(absent)}"
    if split == "train":
        raise DigitsError(message)
    print(f"WARNING: {message}: these have no scores", file=sys.stderr)
