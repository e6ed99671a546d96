"""Evaluate the model on the test split, which no other stage opens."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field
from sklearn.metrics import classification_report

from digits import figures, scores
from digits.artifacts import write_json, write_text
from digits.datasets import CLASS_COUNT
from digits.models import load_model, predict_probabilities
from digits.params import Params, load_params
from digits.predictions import Predictions, write_predictions
from digits.splits import Card, load_card, load_split
from digits.stage import run
from digits.tables import load_table, write_table

DECODED_DIR = Path("data/decoded")
MODEL_PATH = Path("models/model.keras")
HISTORY_PATH = Path("plots/history.csv")

PREDICTIONS_DIR = Path("data/predictions")
METRICS_PATH = Path("metrics/evaluate.json")
PLOTS_DIR = Path("plots")

HISTORY_COLUMNS = ("epoch", "accuracy", "loss", "val_accuracy", "val_loss")


class EvaluateParams(Params):
    """How the model is run and how many of its answers are shown."""

    batch_size: int = Field(ge=1)
    sample_count: int = Field(ge=0, le=200)


def score(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Summarize the predictions as the metrics file's numbers."""
    predicted = probabilities.argmax(axis=1)
    classes = scores.score_classes(labels, predicted)
    correct_count = int((predicted == labels).sum())
    low, high = scores.score_accuracy_interval(correct_count, len(labels))
    return {
        "image_count": len(labels),
        "error_count": len(labels) - correct_count,
        "accuracy": correct_count / len(labels),
        "accuracy_low": low,
        "accuracy_high": high,
        "loss": float(scores.score_losses(labels, probabilities).mean()),
        "precision": float(classes.precision.mean()),
        "recall": float(classes.recall.mean()),
        "f1": float(classes.f1.mean()),
        "top2_accuracy": scores.score_top2_accuracy(labels, probabilities),
        "calibration_error": scores.score_calibration_error(labels, probabilities),
    }


def tabulate_confusion(confusion: np.ndarray) -> pd.DataFrame:
    """List the counts (10, 10), a row a cell, as `dvc plots` wants them."""
    true, predicted = np.indices(confusion.shape)
    columns = {"true": true.ravel(), "predicted": predicted.ravel(), "count": confusion.ravel()}
    return pd.DataFrame(columns)


def tabulate_classes(labels: np.ndarray, predicted: np.ndarray, card: Card) -> pd.DataFrame:
    """List precision, recall, F1, support and missed images, a row a class."""
    classes = scores.score_classes(labels, predicted)
    missed = np.bincount(labels[labels != predicted], minlength=CLASS_COUNT)
    return pd.DataFrame({"class": card.class_names, **vars(classes), "error_count": missed})


def write_report(predictions: Predictions, card: Card) -> None:
    """Write scikit-learn's classification report, and show it."""
    report = classification_report(
        predictions.labels,
        predictions.predicted,
        labels=scores.CLASSES,
        target_names=card.class_names,
        digits=4,
        zero_division=0,
    )
    write_text(PREDICTIONS_DIR / "report.txt", report)
    print(report)


def write_plots(predictions: Predictions, card: Card, recipe: str, sample_count: int) -> None:
    """Write the data that `dvc plots` draws and the figures that people look at."""
    title = f"{card.title}, {recipe}"
    labels, predicted = predictions.labels, predictions.predicted
    confusion = scores.count_confusion(labels, predicted)
    write_table(PLOTS_DIR / "confusion.csv", tabulate_confusion(confusion))
    write_table(PLOTS_DIR / "classes.csv", tabulate_classes(labels, predicted, card))
    history = load_table(HISTORY_PATH, HISTORY_COLUMNS)
    captions = [
        f"true {card.class_names[true]}\npredicted {card.class_names[guess]}"
        for true, guess in zip(labels[:sample_count], predicted[:sample_count], strict=True)
    ]
    drawings = {
        "confusion": figures.draw_confusion(confusion, card.class_names, title, errors_only=False),
        "confusion_errors": figures.draw_confusion(
            confusion, card.class_names, title, errors_only=True
        ),
        "curves": figures.draw_curves(history, title),
        "samples": figures.draw_gallery(
            predictions.images[:sample_count],
            captions,
            f"The first {len(captions)} test images · {title}",
        ),
    }
    for name, figure in drawings.items():
        figures.write_figure(PLOTS_DIR / f"{name}.png", figure)


def main() -> None:
    params = load_params("evaluate", EvaluateParams)
    card = load_card(DECODED_DIR / "dataset.json")
    model = load_model(MODEL_PATH)  # bears the name of its recipe
    test = load_split(DECODED_DIR / "test")
    probabilities = predict_probabilities(model, test.images, params.batch_size)
    pixels = np.rint(test.images[..., 0] * 255).astype(np.uint8)
    predictions = Predictions(pixels, test.labels, probabilities)
    write_predictions(PREDICTIONS_DIR, predictions)
    write_report(predictions, card)
    write_plots(predictions, card, model.name, params.sample_count)
    metrics = score(test.labels, probabilities)
    write_json(METRICS_PATH, {"dataset": card.name, "recipe": model.name, **metrics})


if __name__ == "__main__":
    run(main)
