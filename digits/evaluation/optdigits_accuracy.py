"""Digits of other writers and another scanner, brought into MNIST's form.

They are the 1,797 that scikit-learn carries (`digits/data/optdigits.py` says whose), none of which
a model of another dataset can have seen.
"""

from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits

from digits.data.splits import Card, Split
from digits.imaging.normalization import centre

Predict = Callable[[np.ndarray], np.ndarray]  # float32 (n, 28, 28, 1) to classes (n,)

NAME = "optdigits"  # of the dataset whose digits these are
DIGITS = list("0123456789")
MAX_COUNT = 16  # of ink in a pixel of theirs


def score_other_hands(predict: Predict, card: Card) -> dict[str, float]:
    """Score a model on them; not one that reads something else than digits, or has learnt these."""
    if card.class_names != DIGITS or card.name == NAME:
        return {}
    other = load_other_hands()
    return {"other_hands": float((predict(other.images) == other.labels).mean())}


def load_other_hands() -> Split:
    """Load them as images float32 (1797, 28, 28, 1), centred as MNIST's are, and labels."""
    digits = load_digits()
    images = np.stack([centre(ink) for ink in digits.images / MAX_COUNT])
    return Split(images[..., np.newaxis], digits.target.astype(np.uint8))
