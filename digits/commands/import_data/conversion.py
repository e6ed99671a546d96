"""Convert images and labels of any type and shape to those of IDX files, without loss or guess."""

import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from digits.commands.import_data.pairing import Named, join_texts
from digits.data.datasets import CONTROL
from digits.data.splits import IMAGE_SIDE, cut_blocks
from digits.errors import DigitsError

PIXEL_COUNT = IMAGE_SIDE**2
BRIGHT = 0.6  # of the range of pixels: paper that is brighter is no background of MNIST's form
OTHER_SIZE = (
    "cut padding off, of 32x32 by images[:, 2:30, 2:30]; or save each image as a picture: those "
    "of any size are taken"
)
NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.IGNORECASE | re.ASCII)
NO_NAME = re.compile(r"|[-+]?(nan|inf|infinity)", re.IGNORECASE)


class Images(NamedTuple):
    """Images uint8 (n, 28, 28) and their labels (n,)."""

    pixels: np.ndarray
    labels: np.ndarray


def convert(images: Named, labels: Named) -> Images:
    """Convert images, and labels to int64 or texts, of any form.

    Raises:
        DigitsError: something would be lost, or is left to guess.
    """
    found = flatten_labels(labels)
    return Images(convert_images(images, len(found)), found)


def convert_images(named: Named, count: int) -> np.ndarray:
    """Turn the images of `count` labels, in any shape that is 28x28 and grey, into uint8.

    Pixels of 0 to 1 are multiplied by 255. Images of bright paper are inverted, with a message.

    Raises:
        DigitsError: another shape or type, or pixels that uint8 does not hold.
    """
    side, where, images = IMAGE_SIDE, named.name, _drop_colours(named, count)
    shapes = ((side, side), (PIXEL_COUNT,), (side, side, 1), (1, side, side))
    if images.shape[1:] not in shapes or images.dtype.kind not in "buif" or not len(images):
        advice = f": {OTHER_SIZE}" if images.shape[1:] not in shapes else ""
        raise DigitsError(
            f"{where}: expected images as numbers (n, {side}, {side}), (n, {PIXEL_COUNT}) or "
            f"(n, {side}, {side}, 1), received {images.dtype.name} {images.shape}{advice}"
        )
    if len(images) != count:
        raise DigitsError(f"{where}: expected {count} images, as labels, received {len(images)}")
    return _make_ink_bright(where, _narrow(where, images))


def _drop_colours(named: Named, count: int) -> np.ndarray:
    """Bring the axis of the images to the front, and take one of three channels that are equal."""
    images = named.array
    if len(images) != count and images.shape[-1] == count:  # as MATLAB has them
        images = np.moveaxis(images, -1, 0)
    if images.ndim == 4 and images.shape[1] in (3, 4):
        images = np.moveaxis(images, 1, 3)
    if images.shape[1:3] != (IMAGE_SIDE, IMAGE_SIDE) or images.shape[3:] not in ((3,), (4,)):
        return images
    if any((part[..., :1] != part[..., 1:3]).any() for part in cut_blocks(images)):
        raise DigitsError(
            f"{named.name}: expected grey images, received colours {images.shape}: {OTHER_SIZE}"
        )
    return images[..., 0]


def _narrow(where: str, numbers: np.ndarray) -> np.ndarray:
    """Turn images of 784 numbers each into uint8 (n, 28, 28).

    Raises:
        DigitsError: neither integers 0-255 nor 0 to 1, or a constant.
    """
    scale = np.float64(255 if numbers.max() <= 1 else 1)
    narrowed: list[np.ndarray] = []
    for part in cut_blocks(numbers):
        values = part if scale == 1 else part * scale
        rounded = np.rint(values)
        is_good = (rounded >= 0) & (rounded <= 255) & ((rounded == values) | (scale > 1))
        if not is_good.all():
            index = tuple(np.argwhere(~is_good)[0])
            raise DigitsError(
                f"{where}: expected integers 0-255, or 0 to 1, received {part[index]} in image "
                f"{sum(map(len, narrowed)) + index[0]}: of -1 to 1, save (images + 1) / 2 first"
            )
        narrowed.append(rounded.astype(np.uint8))
    images = np.concatenate(narrowed).reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
    if images.max() - images.min() <= (scale > 1):
        raise DigitsError(
            f"{where}: expected pixels that differ, received {numbers.min()} to {numbers.max()}"
        )
    return images


def _make_ink_bright(where: str, images: np.ndarray) -> np.ndarray:
    """Invert uint8 (n, 28, 28) if the paper, the median of the border, is bright."""
    low, high = int(images.min()), int(images.max())
    border = np.concatenate([images[:, [0, -1]], images[:, :, [0, -1]].swapaxes(1, 2)], axis=1)
    if np.median(border) <= low + BRIGHT * (high - low):
        return images
    print(f"{where}: inverted, since its paper is bright")
    return high - images


def flatten_labels(named: Named) -> np.ndarray:
    """Return labels (n,), (n, 1), (1, n) or one-hot (n, k) as int64, or as texts, (n,).

    Raises:
        DigitsError: they are none of these; or measurements, or missing.
    """
    where, labels, shape = named.name, named.array, named.array.shape
    if labels.dtype.kind in "SOU":
        labels = np.char.strip(np.where(pd.isna(labels), "", labels).astype(str))
        if all(map(NUMBER.fullmatch, np.unique(labels).tolist())):
            labels = labels.astype(np.float64)
    if labels.ndim == 2 and 1 in shape:
        labels = labels.ravel()
    elif labels.ndim == 2 and labels.dtype.kind in "buif" and _is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.dtype.kind not in "uifU" or labels.ndim != 1:
        raise DigitsError(
            f"{where}: expected integers or texts (n,), or one-hot (n, classes), received "
            f"{labels.dtype.name} {shape}"
        )
    found, is_text = np.unique(labels), labels.dtype.kind == "U"
    if is_text:
        bad = [name for name in found.tolist() if NO_NAME.fullmatch(name) or CONTROL.search(name)]
    else:
        bad = found[~((np.rint(found) == found) & (np.abs(found) < 2**31))].tolist()
    if bad:
        raise DigitsError(
            f"{where}: expected integers of 32 bits or names, received {join_texts(bad[:1])}"
        )
    return labels if is_text else labels.astype(np.int64)


def _is_one_hot(labels: np.ndarray) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def number_classes(sets: Sequence[Images], least: int) -> tuple[dict[str, int], Images, Images]:
    """Return the number of each class by name, and images to train and to test with numbers.

    Integers stay what they are, texts are numbered from 0 in their order.

    Raises:
        DigitsError: fewer classes than `least`, too many, or labels of test images only.
    """
    found, tested = ({str(label): label for label in set(labels.tolist())} for _, labels in sets)
    names = sorted(found, key=lambda name: found[name])
    strange = sorted(tested.keys() - found.keys())
    if strange:
        raise DigitsError(
            f"test labels: expected those of the training images, {join_texts(names)}, "
            f"received {join_texts(strange)}, too"
        )
    if not least <= len(names) <= 256:
        raise DigitsError(
            f"train labels: expected {least} to 256 classes, received {len(names)}: "
            f"{join_texts(names)}"
        )
    is_numbered = sets[0].labels.dtype.kind == "i"
    classes = {name: found[name] if is_numbered else place for place, name in enumerate(names)}
    is_small = min(classes.values()) >= 0 and max(classes.values()) <= 255
    dtype = np.uint8 if is_small else np.int32
    train, test = (
        Images(pixels, np.array([classes[str(label)] for label in labels.tolist()], dtype))
        for pixels, labels in sets
    )
    return classes, train, test


def warn_of_shared(train: np.ndarray, test: np.ndarray) -> None:
    """Count the test images uint8 (n, 28, 28) that are training images, too."""
    known = {image.tobytes() for image in train}
    shared = sum(image.tobytes() in known for image in test)
    if shared:
        print(
            f"WARNING: {shared:,} of {len(test):,} test images are training images, too: "
            "test accuracy will be too high",
            file=sys.stderr,
        )
