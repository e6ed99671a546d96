"""Scores of predictions: pure functions of labels and probabilities.

Throughout, `labels` is integer (n,) from 0 and `probabilities` float (n, k), rows summing to 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

SMALLEST_PROBABILITY = 1e-7  # Keras's epsilon: a certain error costs 16.1, not infinity
LISTED = ("image_count", "error_count", "accuracy", "loss")  # by `dvc metrics`
REJECTED = np.concatenate([np.arange(0, 0.1, 0.005), np.arange(0.1, 1, 0.1)])  # shares listed
BIN_COUNT = 15  # Guo et al. 2017, "On Calibration of Modern Neural Networks"


def score_predictions(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the numbers that `digits report` lists, by name; `dvc metrics` lists `LISTED`.

    Precision, recall and F1 are means over the classes that have test images.
    """
    predicted = probabilities.argmax(axis=1)
    *means, _ = precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
    )
    return {
        **count_errors(labels, predicted),
        "loss": float(score_losses(labels, probabilities).mean()),
        **dict(zip(("precision", "recall", "f1"), map(float, means), strict=True)),
        "top2_accuracy": score_top2_accuracy(labels, probabilities),
        "calibration_error": score_calibration_error(tabulate_reliability(labels, probabilities)),
    }


def count_errors(labels: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Count images and errors; return the accuracy with Wilson's 95 % interval, by name."""
    correct_count = int((predicted == labels).sum())
    low, high = score_accuracy_interval(correct_count, len(labels))
    return {
        "image_count": len(labels),
        "error_count": len(labels) - correct_count,
        "accuracy": correct_count / len(labels),
        "accuracy_low": low,
        "accuracy_high": high,
    }


def count_confusion(labels: np.ndarray, predicted: np.ndarray, class_count: int) -> np.ndarray:
    """Count int (k, k): rows are true classes, columns predicted ones."""
    return confusion_matrix(labels, predicted, labels=range(class_count))


def score_accuracy_interval(correct_count: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % confidence interval of the accuracy."""
    interval = binomtest(correct_count, count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def score_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return each image's cross-entropy, float64 (n,), in nats."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(of_label.clip(SMALLEST_PROBABILITY))


def score_top2_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of images whose label is among the two most probable classes."""
    # scikit-learn's top_k_accuracy_score does not take two classes.
    best = np.argsort(probabilities, axis=1, kind="stable")[:, -2:]
    return float((best == labels[:, np.newaxis]).any(axis=1).mean())


def tabulate_reliability(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Group images by the probability of their predicted class, in BIN_COUNT equal bins.

    A row for each bin that has images: lower edge, images, their mean confidence, their accuracy
    and its interval. The last bin is closed (Guo et al. 2017).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    number = np.minimum((confidence * BIN_COUNT).astype(int), BIN_COUNT - 1)
    correct = probabilities.argmax(axis=1) == labels
    images = pd.DataFrame({"low": number / BIN_COUNT, "confidence": confidence, "correct": correct})
    bins = images.groupby("low", as_index=False).agg(
        count=("correct", "size"), confidence=("confidence", "mean"), accuracy=("correct", "mean")
    )
    bins[["accuracy_low", "accuracy_high"]] = [
        score_accuracy_interval(round(accuracy * count), count)
        for accuracy, count in zip(bins["accuracy"], bins["count"], strict=True)
    ]
    return bins


def score_calibration_error(bins: pd.DataFrame) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy, weighted by images."""
    gaps = (bins["accuracy"] - bins["confidence"]).abs()
    return float(np.average(gaps, weights=bins["count"]))


def score_coverage(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score a model that rejects images below a confidence, for all thresholds.

    Returns the coverage, float (k,) rising to 1, and the accuracy on these images: the
    risk-coverage curve of selective classification (Geifman and El-Yaniv 2017, arXiv 1705.08500).
    Images with the same confidence are accepted or rejected together.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    answered = np.flatnonzero(np.diff(confidence[order], append=-1.0)) + 1
    hits = np.cumsum((probabilities.argmax(axis=1) == labels)[order])
    return answered / len(labels), hits[answered - 1] / answered


def find_coverage(coverage: np.ndarray, accuracy: np.ndarray, goal: float) -> float:
    """Find the largest coverage with at least this accuracy; 0 if there is none."""
    return float(coverage[accuracy >= goal].max(initial=0.0))


def tabulate_confusion(confusion: np.ndarray) -> pd.DataFrame:
    """List the counts (k, k), a row a cell, for `dvc plots`."""
    true, predicted = np.indices(confusion.shape)
    columns = {"true": true.ravel(), "predicted": predicted.ravel(), "count": confusion.ravel()}
    return pd.DataFrame(columns)


def tabulate_classes(
    labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]
) -> pd.DataFrame:
    """List precision, recall, F1, support and errors, a row a class that has test images.

    A class that is never predicted has precision 0.
    """
    tested = np.unique(labels)
    scores = precision_recall_fscore_support(labels, predicted, labels=tested, zero_division=0)
    errors = np.bincount(labels[labels != predicted], minlength=len(class_names))
    return pd.DataFrame(
        {
            "class": np.array(class_names)[tested],
            **dict(zip(("precision", "recall", "f1", "support"), scores, strict=True)),
            "error_count": errors[tested],
        }
    )


def tabulate_rejection(coverage: np.ndarray, accuracy: np.ndarray) -> pd.DataFrame:
    """List the accuracy of the rest when at least a share of the images is rejected."""
    answered = np.searchsorted(coverage, 1 - REJECTED + 1e-9, side="right")
    table = pd.DataFrame({"rejected": REJECTED, "accuracy": accuracy[answered - 1]})
    return table[answered > 0]  # none may be left, where many images have the highest confidence
