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
from digits.evaluation.optdigits_accuracy import score_optdigits
from digits.evaluation.plots_images import draw_gallery
from digits.evaluation.plotting import write_figure
from digits.evaluation.predictions import Predictions, write_predictions
from digits.evaluation.robustness import (
    corrupt_all,
    load_groups,
    measure_robustness,
    subsample,
    summarize_robustness,
)
from digits.files import HISTORY_COLUMNS, load_table, write_json, write_table, write_text
from digits.model.loading import load_model
from digits.model.saving import predict_probabilities
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


class EvaluateParams(Section):
    """How the model is run and how many of its answers are shown."""

    batch_size: int = Field(ge=1)
    sample_count: int = Field(ge=0, le=200)
    robustness_count: int = Field(ge=1)


def score_parts(predictions: Predictions, card: Card) -> dict[str, Any]:
    """Score each part of a joined dataset; other datasets have no such scores."""
    parts = {
        name: metrics.count_errors(predictions.labels[part], predictions.predicted[part])
        for name, part in card.slice_parts("test").items()
    }
    return {"parts": parts} if card.parts else {}


def write_report(predictions: Predictions, card: Card) -> None:
    """Write scikit-learn's classification report, and print it."""
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
    names = card.class_names
    confusion = metrics.count_confusion(labels, predicted, card.class_count)
    classes = metrics.tabulate_classes(labels, predicted, names)
    reliability = metrics.tabulate_reliability(labels, predictions.probabilities)
    write_table(PLOTS_DIR / "confusion.csv", metrics.tabulate_confusion(confusion))
    write_table(PLOTS_DIR / "classes.csv", classes)
    write_table(PLOTS_DIR / "reliability.csv", reliability)
    write_figure(
        PLOTS_DIR / "curves.png",
        plots.draw_curves(load_table(HISTORY_PATH, HISTORY_COLUMNS), title),
        "How training went",
        "Training accuracy is measured with augmentation and dropout, where the recipe has them, "
        "and may lie below validation. Validation that falls while training rises would mean "
        "overfitting.",
    )
    write_figure(
        PLOTS_DIR / "confusion.png",
        plots.draw_confusion(confusion, names, title),
        "What is taken for what",
        "Rows are true classes, columns predicted ones. What is right lies on the diagonal; the "
        "darker a cell beside it, the more errors of this kind.",
    )
    write_figure(
        PLOTS_DIR / "classes.png",
        plots.draw_classes(classes, title),
        "Which classes are harder",
        "Recall is the share of a class's images that were recognized; precision the share right "
        "of all that were taken for the class; F1 their harmonic mean. The axis starts near the "
        "worst of them.",
    )
    write_figure(
        PLOTS_DIR / "reliability.png",
        plots.draw_reliability(reliability, title),
        "Do the probabilities mean anything?",
        "Of the images predicted with a confidence of 80 %, 80 % should be right: dots on the "
        "dashed line. Where a bin has few images (counted below), its interval is long.",
    )
    write_figure(
        PLOTS_DIR / "samples.png",
        draw_gallery(
            predictions.images[:sample_count],
            [
                f"true {names[true]},\npredicted {names[guess]}"
                for true, guess in zip(labels[:sample_count], predicted, strict=False)
            ],
            f"{title}: the first {min(sample_count, len(labels))} test images",
        ),
        "What the task looks like",
        "Not chosen: the beginning of the test file, with what was predicted.",
    )


def write_robustness(robustness: pd.DataFrame, mean: float, test: Split, title: str) -> None:
    """Write the accuracy under each corruption, and show each on the first test image."""
    write_table(PLOTS_DIR / "robustness.csv", robustness)
    write_figure(
        PLOTS_DIR / "robustness.png",
        plots.draw_robustness(robustness, mean, title),
        "What would break it in use",
        "Accuracy on corrupted test images. Some corruptions are like what training does to its "
        "images: those 'not seen' tell more of what nobody thought of. The mean is that of the "
        "MNIST-C benchmark.",
    )
    accuracies = robustness.set_index("corruption")["accuracy"]
    images = dict(corrupt_all(test.images[:1], EVALUATED))
    write_figure(
        PLOTS_DIR / "corruptions.png",
        draw_gallery(
            np.rint(255 * np.concatenate([*images.values()])[..., 0]).astype(np.uint8),
            [f"{name}\n{accuracies[name]:.1%}" for name in images],
            title,
        ),
        "What these corruptions look like",
        "The first test image under each of them, and the accuracy on all that were corrupted so.",
    )


def main() -> None:
    params = load_params("evaluate", EvaluateParams)
    card = load_card(CARD_PATH)
    model = load_model(MODEL_PATH, card.class_count)  # has the name of its recipe
    test = load_split(TEST_DIR, card.class_count)
    groups = load_groups(VAL_ROBUSTNESS_PATH)  # `train` knows the augmentation
    probabilities = predict_probabilities(model, test.images, params.batch_size)
    predictions = Predictions.of_split(test, probabilities)
    write_predictions(TEST_PREDICTIONS_DIR, predictions)
    write_report(predictions, card)

    def predict(images: np.ndarray) -> np.ndarray:
        return predict_probabilities(model, images, params.batch_size).argmax(axis=1)

    chosen = subsample(test, params.robustness_count)
    robustness = measure_robustness(predict, chosen, groups, EVALUATED)
    scores = metrics.score_predictions(test.labels, probabilities)
    listed = {  # by `dvc metrics`; the other scores are in scores.json alone
        **{name: scores[name] for name in metrics.LISTED},
        **summarize_robustness(robustness),
        **score_optdigits(predict, card),
        **score_parts(predictions, card),
    }
    title = f"{card.title}, {model.name}"
    write_plots(predictions, card, title, params.sample_count)
    write_robustness(robustness, listed["robustness"], test, title)
    write_json(SCORES_PATH, {"dataset": card.name, "recipe": model.name, **scores, **listed})
    write_json(EVALUATE_METRICS_PATH, listed)


if __name__ == "__main__":
    run(main)
