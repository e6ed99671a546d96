"""Evaluate the model on the test split, which no other stage opens."""

from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field
from sklearn.metrics import classification_report

from digits.config import Section, load_params
from digits.data.splits import Card, Split, load_card, load_split
from digits.evaluation import metrics, plots
from digits.evaluation.extra_corruptions import EVALUATED
from digits.evaluation.optdigits_accuracy import score_other_hands
from digits.evaluation.plots_images import draw_gallery
from digits.evaluation.plotting import write_figure
from digits.evaluation.predictions import Predictions, write_predictions
from digits.evaluation.robustness import (
    add_groups,
    corrupt_in_turn,
    load_groups,
    measure_robustness,
    spread,
    summarize_robustness,
)
from digits.files import HISTORY_COLUMNS, load_table, write_json, write_table, write_text
from digits.model.saving import load_model, predict_probabilities
from digits.paths import (
    CARD_PATH,
    EVALUATE_METRICS_PATH,
    HISTORY_PATH,
    MODEL_PATH,
    PLOTS_DIR,
    SCORES_PATH,
    TEST_DIR,
    TEST_PREDICTIONS_DIR,
    VAL_ROBUSTNESS_PATH,
)
from digits.stage import run

# Of all the scores; a model has none of other writers unless it reads digits, none of a group of
# corruptions that is empty, and those of parts only where its dataset was joined of some.
METRICS = (
    "accuracy",
    "error_count",
    "image_count",
    "loss",
    "other_hands",
    "parts",
    "robustness",
    "robustness_seen",
    "robustness_unseen",
)


class EvaluateParams(Section):
    """How the model is run and how many of its answers are shown."""

    batch_size: int = Field(ge=1)
    sample_count: int = Field(ge=0, le=200)
    robustness_count: int = Field(ge=1)


def score_parts(predictions: Predictions, card: Card) -> dict[str, Any]:
    """Score the parts of which a dataset was joined, and show it; nothing of any other dataset."""
    if not card.parts:
        return {}
    slices = card.slice_parts("test")
    parts = metrics.score_parts(predictions.labels, predictions.predicted, slices)
    for name, of in parts.items():
        print(
            f"{name}: {of['error_count']} errors in {of['image_count']:,} test images, "
            f"{of['accuracy']:.2%} ({of['accuracy_low']:.2%} to {of['accuracy_high']:.2%})"
        )
    return {"parts": parts}


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


def write_plots(predictions: Predictions, card: Card, title: str, sample_count: int) -> None:
    """Write the data that `dvc plots` draws and the figures that people look at."""
    labels, predicted = predictions.labels, predictions.predicted
    confusion = metrics.count_confusion(labels, predicted, card.class_count)
    classes = metrics.tabulate_classes(labels, predicted, card)
    reliability = metrics.tabulate_reliability(
        metrics.bin_confidence(labels, predictions.probabilities)
    )
    calibration_error = metrics.score_calibration_error(labels, predictions.probabilities)
    write_table(PLOTS_DIR / "confusion.csv", metrics.tabulate_confusion(confusion))
    write_table(PLOTS_DIR / "classes.csv", classes)
    write_table(PLOTS_DIR / "reliability.csv", reliability)
    names = card.class_names
    captions = [
        f"true {names[true]}\npredicted {names[guess]}"
        for true, guess in zip(labels[:sample_count], predicted[:sample_count], strict=True)
    ]
    samples = predictions.images[:sample_count]
    drawings = {
        "confusion": plots.draw_confusion(confusion, names, title),
        "curves": plots.draw_curves(load_table(HISTORY_PATH, HISTORY_COLUMNS), title),
        "classes": plots.draw_classes(classes, title),
        "reliability": plots.draw_reliability(
            reliability, calibration_error, metrics.BIN_COUNT, title
        ),
        "samples": draw_gallery(
            samples, captions, f"The first {len(captions)} test images\n{title}"
        ),
    }
    for name, figure in drawings.items():
        write_figure(PLOTS_DIR / f"{name}.png", figure)


def write_robustness(robustness: pd.DataFrame, mean: float, test: Split, title: str) -> None:
    """Write how the model does under each corruption, and what that makes of the first image."""
    write_table(PLOTS_DIR / "robustness.csv", robustness)
    write_figure(PLOTS_DIR / "robustness.png", plots.draw_robustness(robustness, mean, title))
    accuracies = robustness.set_index("corruption")["accuracy"]
    images = dict(corrupt_in_turn(test.images[:1], EVALUATED))
    figure = draw_gallery(
        np.rint(255 * np.concatenate([*images.values()])[..., 0]).astype(np.uint8),
        [f"{name}\n{accuracies[name]:.1%}" for name in images],
        f"The first test image under each corruption, and the accuracy there\n{title}",
    )
    write_figure(PLOTS_DIR / "corruptions.png", figure)


def main() -> None:
    params = load_params("evaluate", EvaluateParams)
    card = load_card(CARD_PATH)
    model = load_model(MODEL_PATH, card.class_count)  # has the name of its recipe
    test = load_split(TEST_DIR, card.class_count)
    groups = load_groups(VAL_ROBUSTNESS_PATH)  # what training has seen, training says
    probabilities = predict_probabilities(model, test.images, params.batch_size)
    predictions = Predictions.of_split(test, probabilities)
    write_predictions(TEST_PREDICTIONS_DIR, predictions)
    write_report(predictions, card)

    def predict(images: np.ndarray) -> np.ndarray:
        return predict_probabilities(model, images, params.batch_size).argmax(axis=1)

    chosen = spread(test, params.robustness_count)
    measured = measure_robustness(predict, chosen.images, chosen.labels, EVALUATED)
    robustness = add_groups(measured, groups)
    scored = {
        "dataset": card.name,
        "recipe": model.name,
        **summarize_robustness(robustness),
        **score_other_hands(predict, card),
        **score_parts(predictions, card),
        **metrics.summarize_predictions(test.labels, probabilities),
    }
    title = f"{card.title}, {model.name}"
    write_plots(predictions, card, title, params.sample_count)
    write_robustness(robustness, scored["robustness"], test, title)
    write_json(SCORES_PATH, scored)
    write_json(EVALUATE_METRICS_PATH, {name: scored[name] for name in METRICS if name in scored})


if __name__ == "__main__":
    run(main)
