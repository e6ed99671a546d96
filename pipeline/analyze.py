"""Analyse the predictions: which errors, how sure, whose fault, and what rejection would buy."""

import numpy as np
import pandas as pd
from pydantic import Field

from digits.config import Section, load_params
from digits.data.splits import Card, load_card
from digits.evaluation import error_analysis, label_issues, metrics, plots, plots_images
from digits.evaluation.plotting import write_figure
from digits.evaluation.predictions import Predictions, load_predictions
from digits.files import load_json, write_json, write_table
from digits.paths import (
    ANALYSIS_DIR,
    CARD_PATH,
    PLOTS_DIR,
    SCORES_PATH,
    SUMMARY_PATH,
    TEST_PREDICTIONS_DIR,
)
from digits.stage import run

GOAL = 0.999  # the accuracy that rejecting the least certain images is to buy
PAIRS_PLOTTED = 15  # as many bars as `dvc plots` can label


class AnalyzeParams(Section):
    """How much of the analysis is shown."""

    gallery_count: int = Field(ge=0, le=200)
    gallery_pair_limit: int = Field(ge=1)


def draw_errors(
    errors: pd.DataFrame, predictions: Predictions, card: Card, params: AnalyzeParams, title: str
) -> None:
    """Draw the errors as images: those of the highest loss, and the mean of each kind."""
    shown = error_analysis.choose_errors(errors, params.gallery_count, params.gallery_pair_limit)
    write_figure(
        PLOTS_DIR / "errors.png",
        plots_images.draw_gallery(
            predictions.images[shown["index"]],
            error_analysis.caption_errors(shown, card.class_names),
            f"{title}: {len(shown)} of {len(errors):,} errors, highest loss first",
        ),
        "Would a person have known better?",
        "Over each image its true and its predicted class, the probability of the predicted one, "
        "and the number of the test image; of each kind of error a few at most.",
    )
    write_figure(
        PLOTS_DIR / "prototypes.png",
        plots_images.draw_prototypes(
            error_analysis.average_images(predictions),
            metrics.count_confusion(predictions.labels, predictions.predicted, card.class_count),
            card.class_names,
            title,
        ),
        "What confused images have in common",
        "The mean of the images of each true and predicted class: recognized ones on the diagonal, "
        "errors beside it, with their numbers.",
    )


def draw_label_issues(
    issues: pd.DataFrame, predictions: Predictions, card: Card, count: int, title: str
) -> None:
    """Draw the images whose labels are suspected."""
    shown = issues.head(count)
    write_figure(
        PLOTS_DIR / "label_issues.png",
        plots_images.draw_gallery(
            predictions.images[shown["index"]],
            label_issues.caption_issues(shown, card.class_names),
            f"{title}: {len(shown)} of {len(issues):,} suspected labels, least credible first",
        ),
        "Is the model wrong, or the label?",
        "Test images whose label is not credible to confident learning (cleanlab); 'disputed' are "
        "those that human reviewers of the dataset found doubtful, too.",
    )


def main() -> None:
    params = load_params("analyze", AnalyzeParams)
    card = load_card(CARD_PATH)
    predictions = load_predictions(TEST_PREDICTIONS_DIR, card.class_count)
    title = f"{card.title}, {load_json(SCORES_PATH)['recipe']}"
    disputed = np.isin(np.arange(len(predictions.labels)), card.disputed)
    errors = error_analysis.tabulate_errors(predictions)
    pairs = error_analysis.tabulate_pairs(errors, card.class_names)
    issues = label_issues.tabulate_label_issues(predictions, disputed)
    coverage, accuracy = metrics.score_coverage(predictions.labels, predictions.probabilities)
    write_table(ANALYSIS_DIR / "errors.csv", errors)
    write_table(ANALYSIS_DIR / "label_issues.csv", issues)
    write_table(PLOTS_DIR / "confused_pairs.csv", pairs.head(PAIRS_PLOTTED))
    write_table(PLOTS_DIR / "rejection.csv", metrics.tabulate_rejection(coverage, accuracy))
    draw_errors(errors, predictions, card, params, title)
    draw_label_issues(issues, predictions, card, params.gallery_count, title)
    write_figure(
        PLOTS_DIR / "rejection.png",
        plots.draw_rejection(coverage, accuracy, GOAL, title),
        "What a second opinion would buy",
        "If a person took over the images of which the model is least sure, how often would it "
        "err on the rest?",
    )
    summary = {
        **error_analysis.summarize_errors(errors, pairs),
        "coverage_at_999": metrics.find_coverage(coverage, accuracy, GOAL),
        "label_issue_count": len(issues),
        **label_issues.score_disputed(predictions, disputed),
    }
    write_json(SUMMARY_PATH, summary)
    print(f"{len(errors)} errors and {len(issues)} suspected labels, in {ANALYSIS_DIR}")


if __name__ == "__main__":
    run(main)
