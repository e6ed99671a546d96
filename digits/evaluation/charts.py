"""Charts: curves, bars and heat maps of the numbers."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from digits.evaluation.figures import BLUE, GREY, ORANGE, SERIES, STYLE
from digits.evaluation.scores import ConfidenceBins


def draw_confusion(
    confusion: np.ndarray, class_names: Sequence[str], title: str, *, errors_only: bool
) -> Figure:
    """Draw counts (10, 10), rows true, columns predicted; errors only: the diagonal masked."""
    count = int(confusion.sum())
    error_count = count - int(np.trace(confusion))
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(8.6, 7.4), layout="constrained")
        axes = figure.add_subplot()
        sns.heatmap(
            confusion,
            ax=axes,
            # The eye sees one error beside 1,000 hits only on a scale of roots.
            norm=mpl.colors.PowerNorm(0.5, vmin=0),
            mask=np.eye(len(confusion), dtype=bool) if errors_only else None,
            annot=np.where(confusion == 0, "", confusion.astype(str)),
            fmt="",
            cmap="Oranges" if errors_only else "Blues",
            square=True,
            linewidths=0.5,
            linecolor="#e6e6e6",
            cbar_kws={"label": "test images", "shrink": 0.8},
            xticklabels=list(class_names),
            yticklabels=list(class_names),
        )
        what = "errors only" if errors_only else "counts"
        axes.set_title(
            f"Confusion matrix, {what} · {title}\n{error_count:,} errors in {count:,} test images"
        )
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.tick_params(left=False, bottom=False)
        axes.tick_params(axis="y", rotation=0)
        longest = max(map(len, class_names))
        axes.tick_params(axis="x", rotation=0 if longest < 4 else 45)
    return figure


def draw_curves(history: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy and loss by epoch, train against validation, from the history file."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        for axes, score in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
            series = {"train": (score, BLUE, "o"), "validation": (f"val_{score}", ORANGE, "s")}
            for label, (column, colour, marker) in series.items():
                axes.plot(
                    history["epoch"],
                    history[column],
                    color=colour,
                    marker=marker,
                    markersize=4,
                    label=label,
                )
            axes.set_xlabel("epoch")
            axes.set_ylabel(score)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend(frameon=False)
        figure.suptitle(f"Learning curves · {title}")
    return figure


def draw_classes(classes: pd.DataFrame, title: str) -> Figure:
    """Draw precision, recall and F1 of each class, a dot each, from the table of classes."""
    with mpl.rc_context({**STYLE, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(8.6, 5.2), layout="constrained")
        axes = figure.add_subplot()
        rows = np.arange(len(classes))
        scores = ("precision", "recall", "f1")
        low = classes[list(scores)].min(axis=1)
        axes.hlines(rows, low, classes[list(scores)].max(axis=1), color=GREY, linewidth=1)
        for score, (colour, marker) in zip(scores, SERIES, strict=False):
            label = {"f1": "F1"}.get(score, score)
            axes.plot(classes[score], rows, marker, color=colour, markersize=7, label=label)
        axes.set_yticks(rows, classes["class"])
        axes.invert_yaxis()
        # The worst score decides where the axis starts; what matters lies close to 1.
        axes.set_xlim(max(0.0, 1 - 1.15 * (1 - low.min()) - 1e-3), 1.0 + 2e-4)
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        axes.set_ylabel("class")
        figure.legend(frameon=False, loc="outside right upper")
        axes.set_title(f"Precision, recall and F1 by class · {title}")
    return figure


def draw_reliability(bins: ConfidenceBins, calibration_error: float, title: str) -> Figure:
    """Draw accuracy against confidence, a bar a bin, over how many images there are in each."""
    width = 1 / len(bins.low)
    filled = bins.count > 0
    centres = bins.low + width / 2
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 7.4), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
        upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="confidence = accuracy")
        upper.bar(
            centres[filled],
            bins.accuracy[filled],
            width * 0.92,
            color=BLUE,
            alpha=0.35,
            label="accuracy of a bin",
        )
        upper.plot(
            bins.confidence[filled],
            bins.accuracy[filled],
            "o",
            color=ORANGE,
            label="its mean confidence",
        )
        upper.set_ylabel("accuracy")
        upper.set_ylim(0, 1.02)
        figure.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=9.5)
        lower.bar(centres[filled], bins.count[filled], width * 0.92, color=BLUE)
        lower.set_yscale("log")
        lower.set_ylim(0.7, bins.count.max() * 3)
        lower.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))
        lower.set_ylabel("images")
        lower.set_xlabel("confidence: probability of the predicted class")
        lower.set_xlim(0, 1)
        figure.suptitle(
            f"Reliability · {title}\nexpected calibration error {calibration_error:.2%}"
        )
    return figure


def draw_robustness(robustness: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy against strength, a panel a corruption, from the table of robustness."""
    groups = list(robustness.groupby("corruption", sort=False))
    columns = 3
    rows = -(-len(groups) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.2 * rows + 0.6), layout="constrained")
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes, (corruption, curve) in zip(grid.ravel(), groups, strict=False):
            # Between nothing and all there is no curve.
            line = "-" if len(curve) > 2 else ""
            axes.plot(curve["strength"], curve["accuracy"], f"o{line}", color=BLUE, markersize=5)
            axes.set_title(corruption)
            axes.set_xlabel(curve["unit"].iloc[0])
            axes.set_ylim(0, 1.05)
            axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        for axes in grid[:, 0]:
            axes.set_ylabel("accuracy")
        figure.suptitle(f"Accuracy on corrupted test images · {title}")
    return figure


def draw_rejection(rejection: pd.DataFrame, coverage: float, goal: float, title: str) -> Figure:
    """Draw the error rate of what is answered against the share rejected, least certain first.

    `coverage` is the largest share that can be answered at the accuracy `goal`.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 4.8), layout="constrained")
        axes = figure.add_subplot()
        risk = 1 - rejection["accuracy"]
        axes.plot(rejection["rejected"], risk, color=BLUE, marker="o", markersize=4)
        axes.axhline(1 - goal, color=GREY, linestyle="--")
        note = (
            f"{goal:.1%} right when {1 - coverage:.2%} are rejected"
            if coverage
            else f"{goal:.1%} right: at no share"
        )
        if coverage:
            axes.plot(1 - coverage, 1 - goal, "s", color=ORANGE, markersize=8, label=note)
        else:
            axes.plot([], [], "s", color=ORANGE, label=note)
        # What comes after the last error is a line at zero.
        last = rejection["rejected"][risk > 0].max() if (risk > 0).any() else 0.0
        axes.set_xlim(-0.002, max(0.02, 1.25 * last))
        axes.set_ylim(0, max(risk.max() * 1.1, 2 * (1 - goal)))
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=2))
        axes.set_xlabel("share of images rejected, least certain first")
        axes.set_ylabel("error rate of the rest")
        axes.legend(frameon=False)
        axes.set_title(f"Rejection of the least certain · {title}")
    return figure
