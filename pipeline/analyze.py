"""Analyse the errors from the predictions alone: which images, which pairs, how sure."""

from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.stats import entropy

from digits import figures, scores
from digits.artifacts import load_json, write_json
from digits.params import Params, load_params
from digits.predictions import Predictions, load_predictions
from digits.splits import Card, load_card
from digits.stage import run
from digits.tables import write_table

CARD_PATH = Path("data/decoded/dataset.json")
PREDICTIONS_DIR = Path("data/predictions")
EVALUATE_METRICS_PATH = Path("metrics/evaluate.json")

ERRORS_PATH = Path("data/analysis/errors.csv")
METRICS_PATH = Path("metrics/errors.json")
PLOTS_DIR = Path("plots")

CONFIDENT = 0.9  # an error made with more probability than this was not a close call


class AnalyzeParams(Params):
    """How much of the analysis is shown."""

    gallery_count: int = Field(ge=0, le=200)


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


def caption_errors(errors: pd.DataFrame, card: Card) -> list[str]:
    """Say of each listed error what it is, what it was taken for, how surely, and its index."""
    names = card.class_names
    columns = (errors[name] for name in ("true", "predicted", "predicted_probability", "index"))
    return [
        f"{names[true]} as {names[predicted]}, {probability:.0%}\n#{index}"
        for true, predicted, probability, index in zip(*columns, strict=True)
    ]


def main() -> None:
    params = load_params("analyze", AnalyzeParams)
    card = load_card(CARD_PATH)
    recipe = load_json(EVALUATE_METRICS_PATH)["recipe"]
    predictions = load_predictions(PREDICTIONS_DIR)
    errors = tabulate_errors(predictions)
    pairs = tabulate_pairs(predictions, card)
    write_table(ERRORS_PATH, errors)
    write_table(PLOTS_DIR / "confused_pairs.csv", pairs)
    shown = errors.head(params.gallery_count)
    title = f"{len(shown)} of {len(errors)} errors, costliest first · {card.title}, {recipe}"
    images = predictions.images[shown["index"]]
    gallery = figures.draw_gallery(images, caption_errors(shown, card), title)
    figures.write_figure(PLOTS_DIR / "errors.png", gallery)
    metrics = {
        "error_count": len(errors),
        "confident_error_count": int((errors["predicted_probability"] > CONFIDENT).sum()),
        "most_confused_pair": pairs["pair"].iloc[0] if len(pairs) else "none",
        "most_confused_count": int(pairs["count"].iloc[0]) if len(pairs) else 0,
    }
    write_json(METRICS_PATH, metrics)
    print(f"{len(errors)} errors in {ERRORS_PATH}, drawn in {PLOTS_DIR / 'errors.png'}")


if __name__ == "__main__":
    run(main)
