"""Predictions for tests of what is computed from them."""

from collections.abc import Sequence

import numpy as np

from digits.evaluation.predictions import Predictions


def make_predictions(
    labels: Sequence[int] | np.ndarray,
    guesses: Sequence[int] | np.ndarray,
    confidence: float | Sequence[float] | np.ndarray = 1.0,
    class_count: int = 10,
) -> Predictions:
    """Make predictions of which the other classes share the rest evenly; image i is grey i."""
    numbers = np.arange(len(labels))
    sure = np.broadcast_to(confidence, numbers.shape).astype(np.float32)
    probabilities = np.repeat((1 - sure[:, np.newaxis]) / (class_count - 1), class_count, axis=1)
    probabilities[numbers, guesses] = sure
    images = np.ones((1, 28, 28), np.uint8) * numbers[:, np.newaxis, np.newaxis].astype(np.uint8)
    return Predictions(images, np.array(labels, np.uint8), probabilities)
