"""Accuracy on other writers: the 1,797 digits that scikit-learn carries, in MNIST's form.

`digits/data/optdigits.py` says whose they are; a model of another dataset cannot have seen them.
"""

from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits

from digits.data.splits import Card, Split
from digits.imaging.normalization import centre

NAME = "optdigits"  # of the dataset whose digits these are
DIGITS = list("0123456789")
MAX_COUNT = 16  # of ink in a pixel of theirs


def score_optdigits(predict: Callable[[np.ndarray], np.ndarray], card: Card) -> dict[str, float]:
    """Score what turns float32 (n, 28, 28, 1) into classes (n,).

    Nothing for a model that reads something else than digits, or has learnt these.
    """
    if card.class_names != DIGITS or card.name == NAME:
        return {}
    other = load_optdigits()
    return {"optdigits_accuracy": float((predict(other.images) == other.labels).mean())}


def load_optdigits() -> Split:
    """Load them as images float32 (1797, 28, 28, 1), centred as MNIST's are, and labels."""
    digits = load_digits()
    images = np.stack([centre(ink) for ink in digits.images / MAX_COUNT])
    return Split(images[..., np.newaxis], digits.target.astype(np.uint8))
