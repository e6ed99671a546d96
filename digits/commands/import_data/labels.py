"""Convert labels, integers, texts or one-hot, to class numbers and names."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from digits.commands.import_data.pairing import Named, join_texts
from digits.errors import DigitsError

NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.IGNORECASE | re.ASCII)
NO_NAME = re.compile(r"|[-+]?(nan|inf|infinity)", re.IGNORECASE)


class Images(NamedTuple):
    """Images uint8 (n, 28, 28) and their labels (n,)."""

    pixels: np.ndarray
    labels: np.ndarray


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
        bad = [text for text in found.tolist() if NO_NAME.fullmatch(text)]
    else:
        bad = found[~((np.rint(found) == found) & (np.abs(found) < 2**31))].tolist()
    if bad:
        raise DigitsError(
            f"{where}: expected integers of 32 bits or names, received {bad[0] or 'none'}"
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
