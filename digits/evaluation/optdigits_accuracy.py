"""Accuracy on other writers: the 1,797 digits that scikit-learn carries, in MNIST's form.

`digits/data/optdigits.py` names their source; a model of another dataset has not seen them.
"""

from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits

from digits.data.splits import Card, Split
from digits.imaging.normalization import centre

NAME = "optdigits"  # of the dataset whose digits these are
DIGITS = list("0123456789")
MAX_COUNT = 16  # of ink in one of their pixels


def score_optdigits(predict: Callable[[np.ndarray], np.ndarray], card: Card) -> dict[str, float]:
    """Score a model, by a function of float32 (n, 28, 28, 1) to classes (n,).

    Nothing for a model of other classes than digits, or one that was trained on these.
    """
    if card.class_names != DIGITS or card.name == NAME:
        return {}
    other = load_optdigits()
    return {"optdigits_accuracy": float((predict(other.images) == other.labels).mean())}


def load_optdigits() -> Split:
    """Load images float32 (1797, 28, 28, 1), centred as MNIST's are, and labels."""
    digits = load_digits()
    images = np.stack([centre(ink) for ink in digits.images / MAX_COUNT])
    return Split(images[..., np.newaxis], digits.target.astype(np.uint8))
