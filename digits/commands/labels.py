"""Labels of any kind, integers or texts, as the integers and the names that a dataset file has."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digits.commands.sources import NUMBER, Split, join_texts
from digits.errors import DigitsError

INTEGER = re.compile(r"\s*[-+]?\d{1,10}(\.0*)?\s*", re.ASCII)
NOT_FINITE = re.compile(r"\s*[-+]?(nan|inf|infinity)\s*", re.IGNORECASE)


class LabelError(DigitsError):
    """Labels that name no class for each image, or classes that do not fit together."""


@dataclass(frozen=True)
class Classes:
    """The labels of the classes as they were found, ascending, and their names."""

    found: list[int | str]
    names: list[str]

    @property
    def are_texts(self) -> bool:
        return isinstance(self.found[0], str)

    @property
    def labels(self) -> list[int]:
        """The label of each class in the files."""
        return [
            place if isinstance(label, str) else label for place, label in enumerate(self.found)
        ]

    def __str__(self) -> str:
        if self.are_texts and self.names == self.found:
            return f"{join_texts(self.names)}: the texts of the labels, sorted"
        pairs = zip(self.names, self.found, strict=True)
        return join_texts(
            name if name == str(label) else f"{name} (label {label})" for name, label in pairs
        )

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Return integers as they are, texts as their places; uint8, or int32 if that is small."""
        values = np.searchsorted(self.found, labels) if self.are_texts else labels
        fits = self.labels[0] >= 0 and self.labels[-1] <= 255
        return values.astype(np.uint8 if fits else np.int32)


def read_labels(splits: Sequence[Split]) -> list[np.ndarray]:
    """Return the labels of each split, (n,): all as integers, or all as texts.

    Raises:
        LabelError: they are neither.
    """
    each = [tidy_labels(split) for split in splits]
    labels = np.concatenate(each)
    if labels.dtype.kind == "U":
        labels = parse_texts(splits[0].where, labels)
    ends = np.cumsum([len(it) for it in each])
    return np.split(labels, ends[:-1])


def tidy_labels(split: Split) -> np.ndarray:
    """Return the labels of a split as int64 or texts, (n,).

    Raises:
        LabelError: another number than images, one-hot, no integers, an empty text.
    """
    labels, count, shape = split.labels, len(split.images), split.labels.shape
    if shape == (count, 1):
        labels = labels[:, 0]
    if labels.dtype.kind not in "uifU" or labels.shape != (count,):
        one_hot = len(shape) == 2 and shape[0] == count
        hint = ": if they are one-hot, save labels.argmax(axis=1)" if one_hot else ""
        raise LabelError(
            f"{split.where}: expected integers or texts ({count},), received "
            f"{labels.dtype.name} {shape}{hint}"
        )
    is_text = labels.dtype.kind == "U"
    good = labels != "" if is_text else (np.rint(labels) == labels) & (np.abs(labels) < 2**31)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise LabelError(
            f"{split.where}: expected an integer of 32 bits or a text, received "
            f"{labels[first] or 'none'} for image {first}"
        )
    return labels if is_text else labels.astype(np.int64)


def parse_texts(where: str, labels: np.ndarray) -> np.ndarray:
    """Return labels as integers if all of them are, as the texts otherwise.

    Raises:
        LabelError: numbers that are no integers: measurements, or a damaged table.
    """
    texts, numbers = np.unique(labels, return_inverse=True)
    if all(INTEGER.fullmatch(text) for text in texts):
        return np.array([int(text.partition(".")[0]) for text in texts])[numbers]
    for text in texts:
        number = NUMBER.fullmatch(text) and not INTEGER.fullmatch(text)
        if number or NOT_FINITE.fullmatch(text):
            raise LabelError(f"{where}: expected integers or names, received {text}")
    return labels


def find_classes(train: np.ndarray, test: np.ndarray, names: Sequence[str]) -> Classes:
    """Return the classes of the training images, named as given or as their labels are.

    Raises:
        LabelError: too few, too many, labels of test images only, or another number of names.
    """
    found = np.unique(train).tolist()
    strange = sorted(set(np.unique(test).tolist()).difference(found))
    if strange:
        raise LabelError(
            f"test labels: expected those of the training images, {join_texts(found)}, "
            f"received {join_texts(strange)}, too"
        )
    if not 2 <= len(found) <= 256:
        raise LabelError(
            f"train labels: expected 2 to 256 classes, received {len(found)}: {join_texts(found)}"
        )
    if names and len(names) != len(found):
        raise LabelError(
            f"--class-names: expected {len(found)} names, of the labels {join_texts(found)}, "
            f"received {len(names)}: {join_texts(names)}"
        )
    return Classes(found, list(names) or [str(label) for label in found])
