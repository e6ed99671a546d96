"""Labels of any kind, integers, texts or one-hot, as a dataset file has them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digits.commands.import_data.naming import Named, SourceError, join_texts
from digits.data.splits import hold_out

NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.IGNORECASE | re.ASCII)
INTEGER = re.compile(r"\s*[-+]?\d{1,10}(\.0*)?\s*", re.ASCII)
NOT_FINITE = re.compile(r"\s*[-+]?(nan|inf|infinity)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Classes:
    """The labels of the classes as they were found, in order, and their names."""

    found: list[int | str]
    names: list[str]

    @property
    def labels(self) -> list[int]:
        """The label of each class in the files: texts are numbered from 0."""
        return [
            place if isinstance(label, str) else label for place, label in enumerate(self.found)
        ]

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Return integers (n,) as they are, texts as their places; uint8, or int32 if too small."""
        found, places = np.unique(labels, return_inverse=True)
        numbers = dict(zip(self.found, self.labels, strict=True))
        fits = min(self.labels) >= 0 and max(self.labels) <= 255
        values = [numbers[label] for label in found.tolist()]
        return np.array(values, np.uint8 if fits else np.int32)[places]


def flatten_labels(named: Named) -> np.ndarray:
    """Return labels (n,), (n, 1), (1, n) or one-hot (n, k) as int64 or texts (n,).

    Raises:
        SourceError: they are none of these, or no integers, or an empty text.
    """
    where, labels, shape = named.name, named.array, named.array.shape
    if labels.dtype.kind == "S":
        labels = labels.astype(str)
    if labels.ndim == 2 and 1 in shape:
        labels = labels.ravel()
    elif labels.ndim == 2 and labels.dtype.kind in "buif" and _is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.dtype.kind not in "uifU" or labels.ndim != 1:
        raise SourceError(
            f"{where}: expected integers or texts (n,), or one-hot (n, classes), received "
            f"{labels.dtype.name} {shape}"
        )
    is_text = labels.dtype.kind == "U"
    good = labels != "" if is_text else (np.rint(labels) == labels) & (np.abs(labels) < 2**31)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise SourceError(
            f"{where}: expected an integer of 32 bits or a text, received "
            f"{labels[first] or 'none'} for image {first}"
        )
    return labels if is_text else labels.astype(np.int64)


def _is_one_hot(labels: np.ndarray) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def unify(where: str, labels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the labels of each split, (n,): as integers if all are, as texts otherwise.

    Raises:
        SourceError: numbers that are no integers: measurements, or a damaged table.
    """
    whole = np.concatenate(labels)
    if whole.dtype.kind == "U":
        texts, numbers = np.unique(whole, return_inverse=True)
        for text in texts:
            number = NUMBER.fullmatch(text) and not INTEGER.fullmatch(text)
            if number or NOT_FINITE.fullmatch(text):
                raise SourceError(f"{where}: expected integers or names, received {text}")
        if all(INTEGER.fullmatch(text) for text in texts):
            whole = np.array([int(text.partition(".")[0]) for text in texts])[numbers]
    return np.split(whole, np.cumsum([len(it) for it in labels])[:-1])


def find_classes(train: np.ndarray, test: np.ndarray, names: Sequence[str], least: int) -> Classes:
    """Return the classes of the training images, named as given or as their labels are.

    Numbers are in their order, before texts. There must be `least` of them.

    Raises:
        SourceError: too few, too many, labels of test images only, or another number of names.
    """
    found = sorted(np.unique(train).tolist(), key=_order)
    strange = sorted(set(np.unique(test).tolist()).difference(found), key=_order)
    if strange:
        raise SourceError(
            f"test labels: expected those of the training images, {join_texts(found)}, "
            f"received {join_texts(strange)}, too"
        )
    if not least <= len(found) <= 256:
        raise SourceError(
            f"train labels: expected {least} to 256 classes, received {len(found)}: "
            f"{join_texts(found)}"
        )
    if names and len(names) != len(found):
        raise SourceError(
            f"--class-names: expected {len(found)} names, of the labels {join_texts(found)}, "
            f"received {len(names)}: {join_texts(names)}"
        )
    return Classes(found, list(names) or [str(label) for label in found])


def _order(label: int | str) -> tuple[bool, int, str]:
    text = str(label)
    is_number = isinstance(label, int) or text.isdecimal()
    return not is_number, int(text) if is_number else 0, text


def divide(
    images: np.ndarray, labels: np.ndarray, fraction: float | None, seed: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Hold a fraction of each class out: images of train and of test, and the labels of both.

    Raises:
        SourceError: no fraction, or a class of one image.
    """
    if fraction is None:
        raise SourceError(
            "SOURCE: expected images to train and images to test, received one set: "
            "--test-fraction 0.2 makes a fifth of it the test images"
        )
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise SourceError(
            f"{classes[counts.argmin()]}: expected two images or more, one to train and one to "
            "test, received 1"
        )
    sides = hold_out(labels, fraction, seed)
    return [images[it] for it in sides], [labels[it] for it in sides]
