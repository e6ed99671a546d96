"""Bring the arrays of a dataset's files into one form: images uint8 (n, 28, 28), labels from 0.

What differs from publisher to publisher (integer types, flat images, columns of labels, the value
of the first class) is narrowed or reshaped where nothing is lost, and refused where something is.
"""

import sys

import numpy as np

from digits.data.datasets import Dataset
from digits.data.splits import IMAGE_SIDE
from digits.errors import DigitsError


def normalize_images(split: str, images: np.ndarray, *, transpose: bool) -> np.ndarray:
    """Bring integer images of one channel into the form uint8 (n, 28, 28), if nothing is lost.

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
    """Turn the labels of the file into uint8 (n,), from 0, in the order of the class names.

    Raises:
        DigitsError: another number than images, several columns of which none is chosen, no
            integers, a label of no class.
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
    strange = np.setdiff1d(found, known).tolist()
    if strange:
        raise DigitsError(
            f"{split} labels: expected {dataset.labels}, as label_values and class_names of the "
            f"dataset say, received {strange[:12]}, too"
        )
    order = np.argsort(known)
    return order[np.searchsorted(known, labels, sorter=order)].astype(np.uint8)


def check_classes(split: str, labels: np.ndarray, class_names: list[str]) -> None:
    """Refuse classes without an image to train on; warn of those that cannot be tested.

    Raises:
        DigitsError: says which.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    absent = [class_names[index] for index in np.flatnonzero(counts == 0)]
    if not absent:
        return
    message = f"{split} labels: expected all classes, received no image of {', '.join(absent)}"
    if split == "train":
        raise DigitsError(message)
    print(f"WARNING: {message}: these have no scores", file=sys.stderr)
