"""Convert labels, integers, texts or one-hot, to class numbers and names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from digits.commands.import_data.pairing import Named, join_texts
from digits.data.splits import hold_out
from digits.errors import DigitsError

NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.IGNORECASE | re.ASCII)
INTEGER = re.compile(r"\s*[-+]?\d{1,10}(\.0*)?\s*", re.ASCII)
NO_NAME = re.compile(rf"\s*|{NUMBER.pattern}|\s*[-+]?(nan|inf|infinity)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Classes:
    """The label of each class in the files, and its name."""

    values: list[int]
    names: list[str]


def flatten_labels(named: Named) -> np.ndarray:
    """Return labels (n,), (n, 1), (1, n) or one-hot (n, k) as int64, or as texts, (n,).

    Raises:
        DigitsError: they are none of these; or measurements, or missing.
    """
    where, labels, shape = named.name, named.array, named.array.shape
    if labels.dtype.kind in "SO":
        labels = np.where(pd.isna(labels), "", labels).astype(str)
    if labels.dtype.kind == "U":
        labels = np.char.strip(labels)  # of a table: `seven ` is no class of its own
    if labels.ndim == 2 and 1 in shape:
        labels = labels.ravel()
    elif labels.ndim == 2 and labels.dtype.kind in "buif" and _is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.dtype.kind not in "uifU" or labels.ndim != 1:
        raise DigitsError(
            f"{where}: expected integers or texts (n,), or one-hot (n, classes), received "
            f"{labels.dtype.name} {shape}"
        )
    found, places = np.unique(labels, return_inverse=True)
    if labels.dtype.kind == "U":
        is_good = [bool(INTEGER.fullmatch(text) or not NO_NAME.fullmatch(text)) for text in found]
        if all(map(INTEGER.fullmatch, found)):
            found = np.array([int(text.partition(".")[0]) for text in found.tolist()])
    else:
        is_good = ((np.rint(found) == found) & (np.abs(found) < 2**31)).tolist()
        found = found.astype(np.int64) if all(is_good) else found
    if not all(is_good):
        received = found[is_good.index(False)] or "none"
        raise DigitsError(f"{where}: expected integers of 32 bits or names, received {received}")
    return np.asarray(found[places])


def _is_one_hot(labels: np.ndarray) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def number_classes(
    train: np.ndarray, test: np.ndarray, names: Sequence[str], least: int
) -> tuple[Classes, list[np.ndarray]]:
    """Return the classes of the training images, and the labels of both as integers.

    Integers stay what they are, texts are numbered from 0: numbers in their order, then words.
    Classes are named as given, or as their labels are; there must be `least` of them.

    Raises:
        DigitsError: too few, too many, labels of test images only, or another number of names.
    """
    if train.dtype.kind != test.dtype.kind:
        train, test = train.astype(str), test.astype(str)
    found = sorted(np.unique(train).tolist(), key=_order)
    strange = sorted(set(np.unique(test).tolist()).difference(found), key=_order)
    if strange:
        raise DigitsError(
            f"test labels: expected those of the training images, {join_texts(found)}, "
            f"received {join_texts(strange)}, too"
        )
    if not least <= len(found) <= 256:
        raise DigitsError(
            f"train labels: expected {least} to 256 classes, received {len(found)}: "
            f"{join_texts(found)}"
        )
    if names and len(names) != len(found):
        raise DigitsError(
            f"--class-names: expected {len(found)} names, of the labels {join_texts(found)}, "
            f"received {len(names)}: {join_texts(names)}"
        )
    values = found if train.dtype.kind == "i" else list(range(len(found)))
    numbers = dict(zip(found, values, strict=True))
    dtype = np.uint8 if min(values) >= 0 and max(values) <= 255 else np.int32
    encoded = [np.array([numbers[key] for key in both.tolist()], dtype) for both in (train, test)]
    return Classes(values, list(names) or [str(label) for label in found]), encoded


def _order(label: int | str) -> tuple[bool, int, str]:
    text = str(label)
    is_number = isinstance(label, int) or text.isdecimal()
    return not is_number, int(text) if is_number else 0, text


def divide(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a fraction of each class; return the indices of training and of test images.

    Raises:
        DigitsError: a class of one image.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise DigitsError(
            f"{classes[counts.argmin()]}: expected two images or more, one to train and one to "
            "test, received 1"
        )
    return hold_out(labels, fraction, seed)
