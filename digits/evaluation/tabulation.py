"""Tables that `dvc plots` draws: one row a cell, a class, a bin, a share."""

import numpy as np
import pandas as pd

from digits.data.splits import Card
from digits.evaluation import scores

REJECTED = (*np.arange(0, 0.1, 0.005), *np.arange(0.1, 1, 0.1))  # shares in the table


def tabulate_confusion(confusion: np.ndarray) -> pd.DataFrame:
    """List the counts (k, k), a row a cell, as `dvc plots` wants them."""
    true, predicted = np.indices(confusion.shape)
    columns = {"true": true.ravel(), "predicted": predicted.ravel(), "count": confusion.ravel()}
    return pd.DataFrame(columns)


def tabulate_classes(labels: np.ndarray, predicted: np.ndarray, card: Card) -> pd.DataFrame:
    """List precision, recall, F1, support and missed images, a row a class that was tested."""
    classes = scores.score_classes(labels, predicted, card.class_count)
    missed = np.bincount(labels[labels != predicted], minlength=card.class_count)
    table = pd.DataFrame({"class": card.class_names, **vars(classes), "error_count": missed})
    return table.query("support > 0").reset_index(drop=True)


def tabulate_reliability(bins: scores.ConfidenceBins) -> pd.DataFrame:
    """List confidence, accuracy, its interval and images, a row a bin that has any."""
    table = pd.DataFrame(vars(bins)).query("count > 0").reset_index(drop=True)
    table[["accuracy_low", "accuracy_high"]] = [
        scores.score_accuracy_interval(round(accuracy * count), count)
        for accuracy, count in zip(table["accuracy"], table["count"], strict=True)
    ]
    return table


def tabulate_rejection(coverage: np.ndarray, accuracy: np.ndarray) -> pd.DataFrame:
    """List how accurate the rest is when at least so large a share is rejected."""
    rows = []
    for rejected in REJECTED:
        answered = int(np.searchsorted(coverage, 1 - rejected + 1e-9, side="right"))
        if answered:  # otherwise the most certain images are so many: none would be left
            rows.append((rejected, accuracy[answered - 1]))
    return pd.DataFrame(rows, columns=["rejected", "accuracy"])
