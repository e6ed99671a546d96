"""Charts: curves, bars and heat maps of the numbers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from digits.evaluation.metrics import BIN_COUNT, score_calibration_error
from digits.evaluation.plotting import (
    BLUE,
    FONT_SIZE,
    GREY,
    ORANGE,
    PALE,
    SERIES,
    WIDTH,
    Figure,
    draw_figure,
    fit_grid,
    mpl,
    name_cells,
    sns,
)

# A group's label, colour and marker.
GROUPS = {
    "seen": ("seen in training", BLUE, "o"),
    "unseen": ("not seen in training", ORANGE, "s"),
    "apart": ("not counted in the mean", GREY, "^"),
}


def draw_confusion(confusion: np.ndarray, class_names: Sequence[str], title: str) -> Figure:
    """Draw counts (k, k), rows true, columns predicted; only errors are coloured by count."""
    count = int(confusion.sum())
    right = np.eye(len(confusion), dtype=bool)
    error_count = int(confusion[~right].sum())
    # Errors have their own scale: next to 1,000 hits, 1 and 10 errors would look the same. A square
    # root keeps few errors visible beside many, and a single one is pale.
    errors = mpl.colors.LinearSegmentedColormap.from_list("errors", ["#ffffff", ORANGE])
    scale = mpl.colors.PowerNorm(0.5, vmin=0, vmax=max(5, confusion[~right].max(initial=0)))
    cells = [[f"{number:,}" for number in row] for row in confusion]
    heading = f"{title}: {error_count:,} of {count:,} test images misread"
    with draw_figure(heading, changes={"axes.grid": False}) as figure:
        cell = fit_grid(figure, class_names)
        axes = figure.add_subplot()
        for mask, style in (
            (~right, {"cmap": mpl.colors.ListedColormap([PALE])}),
            (right, {"cmap": errors, "norm": scale}),
        ):
            sns.heatmap(
                confusion,
                ax=axes,
                mask=mask,
                annot=np.where((confusion > 0) | right, cells, ""),
                annot_kws={"fontsize": min(FONT_SIZE, 15.5 * cell), "color": "black"},
                fmt="",
                cbar=False,
                square=True,
                linewidths=0.5,
                linecolor="#dddddd",
                **style,
            )
        axes.spines[:].set(visible=True, color="#dddddd", linewidth=0.5)
        name_cells(axes, (1, 1), class_names, cell)
    return figure


def draw_curves(history: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy and loss by epoch, train against validation, from the history file."""
    with draw_figure(title, (WIDTH, 3.7)) as figure:
        for axes, score in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
            series = {"train": (score, BLUE, "o"), "validation": (f"val_{score}", ORANGE, "s")}
            for label, (column, colour, marker) in series.items():
                style = {"color": colour, "marker": marker, "markersize": 4, "label": label}
                axes.plot(history["epoch"], history[column], **style)
            axes.set(xlabel="epoch", ylabel=score)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend(frameon=False)
    return figure


def draw_classes(classes: pd.DataFrame, title: str) -> Figure:
    """Draw precision, recall and F1 of each class, a marker each, from the table of classes."""
    count, scores = len(classes), ("precision", "recall", "f1")
    worst = classes[list(scores)].to_numpy(float).min()
    rows = np.arange(count)
    with draw_figure(title, (WIDTH, 0.42 * count + 1.6), {"axes.grid.axis": "x"}) as figure:
        axes = figure.add_subplot()
        for row in rows[::2]:
            axes.axhspan(row - 0.5, row + 0.5, color=PALE, alpha=0.4, linewidth=0)
        # Shifted within the class's row, or equal scores would hide each other.
        for score, shift, (colour, marker) in zip(scores, (-0.27, 0, 0.27), SERIES, strict=False):
            places, label = rows + shift, {"f1": "F1"}.get(score, score)
            axes.plot(classes[score], places, marker, color=colour, markersize=5.5, label=label)
        axes.set_yticks(rows, classes["class"])
        # The axis starts near the worst score, since all are close to 1.
        span = max(1.0 - worst, 1e-3)
        axes.set(xlim=(1.0 - 1.06 * span, 1.0 + 0.03 * span), ylim=(count - 0.5, -0.5))
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        axes.set_ylabel("class")
        figure.legend(frameon=False, loc="outside lower center", ncols=3)
    return figure


def draw_reliability(reliability: pd.DataFrame, title: str) -> Figure:
    """Draw each bin's accuracy and its interval against confidence, over the number of images."""
    confidence, accuracy, count = (
        reliability[column] for column in ("confidence", "accuracy", "count")
    )
    interval = (accuracy - reliability["accuracy_low"], reliability["accuracy_high"] - accuracy)
    heading = f"{title}: expected calibration error {score_calibration_error(reliability):.2%}"
    with draw_figure(heading, (WIDTH, 7.4)) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
        upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="confidence = accuracy")
        style = {"fmt": "o", "color": BLUE, "elinewidth": 1.5, "capsize": 3}
        label = "accuracy of a bin, 95 % confidence interval"
        upper.errorbar(confidence, accuracy, interval, **style, label=label)
        upper.set(ylabel="accuracy", ylim=(-0.03, 1.03))
        figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=10)
        centres = reliability["low"] + 0.5 / BIN_COUNT
        bars = lower.bar(centres, count, 0.92 / BIN_COUNT, color=BLUE)
        lower.bar_label(bars, fmt="{:,.0f}", fontsize=8, padding=1)
        lower.set(yscale="log", ylim=(0.7, count.max() * 5), ylabel="images")
        lower.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))
        lower.set(xlim=(-0.02, 1.02), xlabel="confidence: probability of the predicted class")
    return figure


def draw_robustness(robustness: pd.DataFrame, mean: float, title: str) -> Figure:
    """Draw the accuracy under each corruption, the best first, from the table of robustness."""
    table = robustness.sort_values("accuracy", ascending=False, kind="stable", ignore_index=True)
    size = (WIDTH, 0.34 * len(table) + 1.9)
    with draw_figure(f"{title}: mean accuracy {mean:.1%}", size, {"axes.grid.axis": "x"}) as figure:
        axes = figure.add_subplot()
        # Most accuracies are close to 1; a low one must not be cut off.
        start = min(0.6, np.floor(10 * table["accuracy"].min()) / 10)
        axes.hlines(table.index, start, table["accuracy"], color=PALE, linewidth=3)
        axes.axvline(mean, color=GREY, linestyle="--", label="mean")
        for group, rows in table.groupby("group", sort=False):
            label, colour, marker = GROUPS[str(group)]
            axes.plot(rows["accuracy"], rows.index, marker, color=colour, markersize=8, label=label)
        for row, accuracy in enumerate(table["accuracy"]):
            axes.text(1 + 0.04 * (1 - start), row, f"{accuracy:.1%}", va="center")
        axes.set_yticks(table.index, table["corruption"])
        axes.set(ylim=(len(table) - 0.5, -0.5), xlim=(start, 1 + 0.2 * (1 - start)))
        axes.set(xticks=np.linspace(start, 1, 5), xlabel="accuracy")
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        figure.legend(frameon=False, loc="outside lower center", ncols=2)
    return figure


def draw_rejection(coverage: np.ndarray, accuracy: np.ndarray, goal: float, title: str) -> Figure:
    """Draw the error rate of what is answered against the share rejected, least certain first.

    `coverage` and `accuracy` are the whole curve, as `score_coverage` gives it.
    """
    rejected, risk = 1 - coverage, 1 - accuracy
    reached = np.flatnonzero(accuracy >= goal)
    with draw_figure(title, (WIDTH, 4.6)) as figure:
        axes = figure.add_subplot()
        # Markers for curves of few points, even a single one.
        axes.plot(rejected, risk, color=BLUE, marker="o" if len(risk) < 20 else "", markersize=4)
        axes.axhline(1 - goal, color=GREY, linestyle="--")
        best = reached[-1:]  # the largest coverage, if any
        share = rejected[best].max(initial=0.0)
        when = f"when {share:.2%} are rejected" if len(best) else "at no share"
        label = f"{goal:.1%} accuracy {when}"
        axes.plot(rejected[best], risk[best], "s", color=ORANGE, markersize=8, label=label)
        # After the last error the curve stays at zero.
        last = max(share, rejected[risk > 0].max(initial=0.0))
        # Room for a marker at zero.
        right, top = min(1.0, max(0.02, 1.25 * last)), max(risk.max() * 1.1, 2 * (1 - goal))
        axes.set(xlim=(-0.02 * right, right), ylim=(-0.02 * top, top))
        axes.set(xlabel="share of images rejected, least certain first")
        axes.set(ylabel="error rate of the rest")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        axes.legend(frameon=False)
    return figure
