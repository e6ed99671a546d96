"""Misclassified images: a table, the most frequent kinds of error, captions and mean images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import entropy

from digits.evaluation.metrics import score_losses
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
            "loss": score_losses(true, probabilities),
            "entropy": entropy(probabilities, axis=1),
        }
    )
    return table.sort_values(["loss", "index"], ascending=[False, True], ignore_index=True)


def tabulate_pairs(errors: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """List the kinds of error, a row a (true, predicted) pair, most frequent first."""
    counts = errors.groupby(["true", "predicted"]).size()
    counts = counts.sort_values(ascending=False, kind="stable")
    pairs = [f"{names[true]} as {names[predicted]}" for true, predicted in counts.index]
    return pd.DataFrame({"pair": pairs, "count": counts.to_numpy()})


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


def caption_errors(errors: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Write each error's true and predicted class, the predicted probability and the index."""
    return [
        f"true {names[row['true']]},\npredicted {names[row['predicted']]}\n"
        f"{row['predicted_probability']:.0%}, #{row['index']}"
        for row in errors.to_dict("records")
    ]


def average_images(predictions: Predictions) -> np.ndarray:
    """Average the images of each (true, predicted) pair: float64 (k, k, 28, 28), 0 for none."""
    images, class_count = predictions.images, predictions.probabilities.shape[1]
    pairs = predictions.labels.astype(int) * class_count + predictions.predicted
    means = np.zeros((class_count**2, *images.shape[1:]))
    for pair in np.unique(pairs):
        means[pair] = images[pairs == pair].mean(axis=0)
    return means.reshape(class_count, class_count, *images.shape[1:])
