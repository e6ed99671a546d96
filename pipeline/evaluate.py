"""Evaluate the model on the test split, which no other stage opens."""

import numpy as np
import pandas as pd
from pydantic import Field
from sklearn.metrics import classification_report

from digits.data.splits import Card, load_card, load_split
from digits.evaluation import charts, scores, tabulation
from digits.evaluation.corruptions import measure_robustness, score_robustness
from digits.evaluation.figures import write_figure
from digits.evaluation.galleries import draw_gallery
from digits.evaluation.predictions import Predictions, write_predictions
from digits.files.artifacts import write_json, write_text
from digits.files.history import load_history
from digits.files.params import Params, load_params
from digits.files.tables import write_table
from digits.model.archive import load_model, predict_probabilities
from digits.paths import (
    CARD_PATH,
    EVALUATE_METRICS_PATH,
    MODEL_PATH,
    PLOTS_DIR,
    SCORES_PATH,
    TEST_DIR,
    TEST_PREDICTIONS_DIR,
)
from digits.stage import run

METRICS = ("accuracy", "error_count", "image_count", "loss", "robustness")  # of all the scores


class EvaluateParams(Params):
    """How the model is run and how many of its answers are shown."""

    batch_size: int = Field(ge=1)
    sample_count: int = Field(ge=0, le=200)
    robustness_count: int = Field(ge=1)


def write_report(predictions: Predictions, card: Card) -> None:
    """Write scikit-learn's classification report, and show it."""
    tested = np.unique(predictions.labels)
    report = classification_report(
        predictions.labels,
        predictions.predicted,
        labels=tested,
        target_names=[card.class_names[label] for label in tested],
        digits=4,
        zero_division=0,
    )
    write_text(TEST_PREDICTIONS_DIR / "report.txt", report)
    print(report)


def write_plots(
    predictions: Predictions, robustness: pd.DataFrame, card: Card, recipe: str, sample_count: int
) -> None:
    """Write the data that `dvc plots` draws and the figures that people look at."""
    title = f"{card.title}, {recipe}"
    labels, predicted = predictions.labels, predictions.predicted
    confusion = scores.count_confusion(labels, predicted, card.class_count)
    classes = tabulation.tabulate_classes(labels, predicted, card)
    reliability = tabulation.tabulate_reliability(
        scores.bin_confidence(labels, predictions.probabilities)
    )
    calibration_error = scores.score_calibration_error(labels, predictions.probabilities)
    write_table(PLOTS_DIR / "confusion.csv", tabulation.tabulate_confusion(confusion))
    write_table(PLOTS_DIR / "classes.csv", classes)
    write_table(PLOTS_DIR / "reliability.csv", reliability)
    write_table(PLOTS_DIR / "robustness.csv", robustness)
    names = card.class_names
    captions = [
        f"true {names[true]}\npredicted {names[guess]}"
        for true, guess in zip(labels[:sample_count], predicted[:sample_count], strict=True)
    ]
    samples = predictions.images[:sample_count]
    drawings = {
        "confusion": charts.draw_confusion(confusion, names, title),
        "curves": charts.draw_curves(load_history(), title),
        "classes": charts.draw_classes(classes, title),
        "reliability": charts.draw_reliability(
            reliability, calibration_error, scores.BIN_COUNT, title
        ),
        "robustness": charts.draw_robustness(robustness, title),
        "samples": draw_gallery(
            samples, captions, f"The first {len(captions)} test images\n{title}"
        ),
    }
    for name, figure in drawings.items():
        write_figure(PLOTS_DIR / f"{name}.png", figure)


def main() -> None:
    params = load_params("evaluate", EvaluateParams)
    card = load_card(CARD_PATH)
    model = load_model(MODEL_PATH, card.class_count)  # bears the name of its recipe
    test = load_split(TEST_DIR, card.class_count)
    probabilities = predict_probabilities(model, test.images, params.batch_size)
    predictions = Predictions.of_split(test, probabilities)
    write_predictions(TEST_PREDICTIONS_DIR, predictions)
    write_report(predictions, card)
    robustness = measure_robustness(
        lambda images: predict_probabilities(model, images, params.batch_size).argmax(axis=1),
        test,
        params.robustness_count,
    )
    write_plots(predictions, robustness, card, model.name, params.sample_count)
    scored = {
        "dataset": card.name,
        "recipe": model.name,
        "robustness": score_robustness(robustness),
        **scores.summarize_predictions(test.labels, probabilities),
    }
    write_json(SCORES_PATH, scored)
    write_json(EVALUATE_METRICS_PATH, {name: scored[name] for name in METRICS})


if __name__ == "__main__":
    run(main)
