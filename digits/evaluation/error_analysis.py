"""Misclassified images: a table, the most frequent kinds of error, captions and mean images."""

import numpy as np
import pandas as pd
from scipy.stats import entropy

from digits.data.splits import Card, cut_blocks
from digits.evaluation import metrics
from digits.evaluation.predictions import Predictions

CONFIDENT = 0.9  # an error of a higher predicted probability was no close call


def tabulate_errors(predictions: Predictions) -> pd.DataFrame:
    """List the misclassified images, a row each, the largest loss first."""
    index = np.flatnonzero(predictions.predicted != predictions.labels)
    true, predicted = predictions.labels[index], predictions.predicted[index]
    probabilities = predictions.probabilities[index].astype(np.float64)
    rows = np.arange(len(index))
    runner_up = np.sort(probabilities, axis=1)[:, -2]
    table = pd.DataFrame(
        {
            "index": index,
            "true": true,
            "predicted": predicted,
            "true_probability": probabilities[rows, true],
            "predicted_probability": probabilities[rows, predicted],
            "margin": probabilities[rows, predicted] - runner_up,
            "loss": metrics.score_losses(true, probabilities),
            "entropy": entropy(probabilities, axis=1),
        }
    )
    return table.sort_values(["loss", "index"], ascending=[False, True], ignore_index=True)


def tabulate_pairs(predictions: Predictions, card: Card) -> pd.DataFrame:
    """List the kinds of error, a row a (true, predicted) pair, most frequent first."""
    names = card.class_names
    errors = metrics.count_confusion(predictions.labels, predictions.predicted, card.class_count)
    np.fill_diagonal(errors, 0)
    true, predicted = np.nonzero(errors)
    pairs = [f"{names[t]} as {names[p]}" for t, p in zip(true, predicted, strict=True)]
    table = pd.DataFrame({"pair": pairs, "count": errors[true, predicted]})
    return table.sort_values("count", ascending=False, kind="stable", ignore_index=True)


def summarize_errors(errors: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, object]:
    """Summarize the errors in numbers, by name."""
    return {
        "error_count": len(errors),
        "confident_error_count": int((errors["predicted_probability"] > CONFIDENT).sum()),
        "most_confused_pair": pairs["pair"].iloc[0] if len(pairs) else "none",
        "most_confused_count": int(pairs["count"].iloc[0]) if len(pairs) else 0,
    }


def choose_errors(errors: pd.DataFrame, count: int, pair_limit: int) -> pd.DataFrame:
    """Choose the errors of the highest loss for the gallery, only some of each pair."""
    return errors.groupby(["true", "predicted"], sort=False).head(pair_limit).head(count)


def caption_errors(errors: pd.DataFrame, card: Card) -> list[str]:
    """Write each error's true and predicted class, the predicted probability and the index."""
    names = card.class_names
    columns = (errors[name] for name in ("true", "predicted", "predicted_probability", "index"))
    return [
        f"true {names[true]},\npredicted {names[predicted]}\n{probability:.0%}, #{index}"
        for true, predicted, probability, index in zip(*columns, strict=True)
    ]


def average_images(predictions: Predictions) -> np.ndarray:
    """Average the images of each (true, predicted) pair: float64 (k, k, 28, 28), 0 for none."""
    images, class_count = predictions.images, predictions.probabilities.shape[1]
    pairs = predictions.labels.astype(int) * class_count + predictions.predicted
    sums = np.zeros((class_count**2, images[0].size))
    for some, of in zip(cut_blocks(images), cut_blocks(pairs), strict=True):
        of_pair = (of == np.arange(class_count**2)[:, np.newaxis]).astype(float)
        sums += of_pair @ some.reshape(len(some), -1).astype(float)
    counts = np.bincount(pairs, minlength=class_count**2)
    means = sums / np.maximum(counts, 1)[:, np.newaxis]
    return means.reshape(class_count, class_count, *images.shape[1:])
