"""Misclassified images: which, as what, how surely, and what they look like."""

import numpy as np
import pandas as pd
from scipy.stats import entropy

from digits.data.datasets import CLASS_COUNT
from digits.data.splits import Card
from digits.evaluation import scores
from digits.evaluation.galleries import Strip
from digits.evaluation.predictions import Predictions


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
            "loss": scores.score_losses(true, probabilities),
            "entropy": entropy(probabilities, axis=1),
        }
    )
    return table.sort_values(["loss", "index"], ascending=[False, True], ignore_index=True)


def tabulate_pairs(predictions: Predictions, card: Card) -> pd.DataFrame:
    """List the kinds of error, a row a (true, predicted) pair, most frequent first."""
    confusion = scores.count_confusion(predictions.labels, predictions.predicted)
    names = card.class_names
    return pd.DataFrame(
        [
            (f"{names[true]} as {names[predicted]}", count)
            for true, predicted, count in scores.rank_confused_pairs(confusion)
        ],
        columns=["pair", "count"],
    )


def choose_errors(errors: pd.DataFrame, count: int, pair_limit: int) -> pd.DataFrame:
    """Choose the costliest errors for the gallery, of each pair a few at most."""
    few = errors.groupby(["true", "predicted"], sort=False).head(pair_limit)
    return few.head(count)


def caption_errors(errors: pd.DataFrame, card: Card) -> list[str]:
    """Say of each listed error what it is, what it was taken for, how surely, and its index."""
    names = card.class_names
    columns = (errors[name] for name in ("true", "predicted", "predicted_probability", "index"))
    return [
        f"{names[true]} as {names[predicted]}, {probability:.0%}\n#{index}"
        for true, predicted, probability, index in zip(*columns, strict=True)
    ]


def cut_strips(errors: pd.DataFrame, images: np.ndarray, card: Card, count: int) -> list[Strip]:
    """Cut a strip for each of the most confused pairs: its name, its images, their captions."""
    # A stable sort: equally frequent kinds stay in the order of the classes.
    groups = [group for _, group in errors.groupby(["true", "predicted"], sort=True)]
    strips: list[Strip] = []
    for group in sorted(groups, key=len, reverse=True)[:count]:
        true, predicted = (card.class_names[group[side].iloc[0]] for side in ("true", "predicted"))
        probabilities = group["predicted_probability"]
        captions = [f"#{i}, {p:.0%}" for i, p in zip(group["index"], probabilities, strict=True)]
        often = "once" if len(group) == 1 else f"{len(group)} times"
        name = f"{true}\nas {predicted}\n{often}"
        strips.append((name, images[group["index"]], captions))
    return strips


def average_images(predictions: Predictions) -> np.ndarray:
    """Average the images of each (true, predicted) pair: float64 (10, 10, 28, 28), 0 for none."""
    images, pairs = predictions.images, predictions.labels * CLASS_COUNT + predictions.predicted
    of_pair = pairs == np.arange(CLASS_COUNT**2)[:, np.newaxis]
    sums = of_pair.astype(float) @ images.reshape(len(images), -1).astype(float)
    means = sums / np.maximum(of_pair.sum(axis=1, keepdims=True), 1)
    return means.reshape(CLASS_COUNT, CLASS_COUNT, *images.shape[1:])
