"""Analyse the predictions: which errors, how sure, whose fault, and what rejection would buy."""

import numpy as np
import pandas as pd
from pydantic import Field

from digits.config import Section, load_params
from digits.data.splits import Card, load_card
from digits.evaluation import error_analysis, label_issues, metrics, plots, plots_images
from digits.evaluation.plotting import write_figure
from digits.evaluation.predictions import Predictions, load_predictions
from digits.files import ArtifactError, load_json, write_json, write_table
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


def load_evaluated(card: Card) -> tuple[Predictions, str]:
    """Load the predictions and the name of the recipe that made them.

    Raises:
        ArtifactError: damaged files, or predictions that the scores beside them are not about.
    """
    predictions = load_predictions(TEST_PREDICTIONS_DIR, card.class_count)
    scored = load_json(SCORES_PATH)
    facts = {
        "dataset": card.name,
        "image_count": len(predictions.labels),
        "error_count": int((predictions.predicted != predictions.labels).sum()),
    }
    for key, received in facts.items():
        if scored.get(key) != received:
            raise ArtifactError(
                f"{TEST_PREDICTIONS_DIR}: expected {key} {scored.get(key)!r}, as in "
                f"{SCORES_PATH.name}, received {received!r}: run `dvc repro`"
            )
    return predictions, str(scored.get("recipe"))


def draw_errors(
    errors: pd.DataFrame, predictions: Predictions, card: Card, params: AnalyzeParams, title: str
) -> None:
    """Draw the errors as images: the costliest, and what those of a kind average to."""
    shown = error_analysis.choose_errors(errors, params.gallery_count, params.gallery_pair_limit)
    drawings = {
        "errors": plots_images.draw_gallery(
            predictions.images[shown["index"]],
            error_analysis.caption_errors(shown, card),
            f"{len(shown)} of {len(errors):,} errors, costliest first\n{title}",
        ),
        "prototypes": plots_images.draw_prototypes(
            error_analysis.average_images(predictions),
            metrics.count_confusion(predictions.labels, predictions.predicted, card.class_count),
            card.class_names,
            f"Mean image of each true and predicted class\n{title}",
        ),
    }
    for name, figure in drawings.items():
        write_figure(PLOTS_DIR / f"{name}.png", figure)


def draw_label_issues(
    issues: pd.DataFrame, predictions: Predictions, card: Card, count: int, title: str
) -> None:
    """Draw the images whose labels are suspected."""
    shown = issues.head(count)
    figure = plots_images.draw_gallery(
        predictions.images[shown["index"]],
        label_issues.caption_issues(shown, card),
        f"{len(shown)} of {len(issues):,} suspected labels, least credible first\n{title}",
    )
    write_figure(PLOTS_DIR / "label_issues.png", figure)


def main() -> None:
    params = load_params("analyze", AnalyzeParams)
    card = load_card(CARD_PATH)
    predictions, recipe = load_evaluated(card)
    title = f"{card.title}, {recipe}"
    disputed = np.isin(np.arange(len(predictions.labels)), card.disputed)
    errors = error_analysis.tabulate_errors(predictions)
    pairs = error_analysis.tabulate_pairs(predictions, card)
    issues = label_issues.tabulate_label_issues(predictions, disputed)
    coverage, accuracy = metrics.score_coverage(predictions.labels, predictions.probabilities)
    goal_coverage = metrics.find_coverage(coverage, accuracy, GOAL)
    write_table(ANALYSIS_DIR / "errors.csv", errors)
    write_table(ANALYSIS_DIR / "label_issues.csv", issues)
    write_table(PLOTS_DIR / "confused_pairs.csv", pairs.head(PAIRS_PLOTTED))
    write_table(PLOTS_DIR / "rejection.csv", metrics.tabulate_rejection(coverage, accuracy))
    draw_errors(errors, predictions, card, params, title)
    draw_label_issues(issues, predictions, card, params.gallery_count, title)
    rejection = plots.draw_rejection(coverage, accuracy, GOAL, title)
    write_figure(PLOTS_DIR / "rejection.png", rejection)
    summary = error_analysis.summarize_errors(errors, pairs, goal_coverage) | {
        "label_issue_count": len(issues)
    }
    write_json(SUMMARY_PATH, summary | label_issues.score_disputed(predictions, disputed))
    print(f"{len(errors)} errors and {len(issues)} suspected labels, in {ANALYSIS_DIR}")


if __name__ == "__main__":
    run(main)
