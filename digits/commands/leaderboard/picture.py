"""The leaderboard's picture."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pandas as pd

from digits.commands.leaderboard.ledger import Run
from digits.commands.leaderboard.page import Published, count_cost
from digits.evaluation.drawing import Axes, Figure, drawing_style, mpl
from digits.evaluation.figures import GREY, SERIES, STYLE

ACCURACIES = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999)  # ticks, as far as they fit
NEAR = 0.3  # powers of ten, of cost and of errors: marks that are closer have no room for a name


def draw_leaderboard(runs: Sequence[Run], published: Sequence[Published], title: str) -> Figure:
    """Draw accuracy against what the training cost in arithmetic.

    A dot is a run of ours, a ring the mean of a recipe; a grey mark is a published figure, with its
    standard deviation where one was published.
    """
    table = pd.DataFrame(
        [(run.recipe, count_cost(run), run.accuracy) for run in runs],
        columns=["recipe", "cost", "accuracy"],
    )
    means = table.groupby("recipe").mean().sort_values("accuracy", ascending=False)
    with drawing_style(STYLE):
        figure = Figure(figsize=(9.4, 5.6), layout="constrained")
        axes = figure.add_subplot()
        for (recipe, mean), (colour, marker) in zip(means.iterrows(), cycle(SERIES), strict=False):
            group = table[table["recipe"] == recipe]
            axes.plot(
                group["cost"],
                group["accuracy"],
                color=colour,
                marker=marker,
                markersize=6,
                markeredgewidth=0,
                alpha=0.7,
                linestyle="none",
                label=f"{recipe} ({len(group)})",
            )
            axes.plot(*mean, color=colour, marker="o", markersize=18, fillstyle="none")
        _draw_published(axes, published)
        axes.set_xscale("log")
        axes.margins(x=0.08)
        _scale_accuracy(axes)
        axes.set_ylabel("test accuracy")
        axes.set_xlabel("training: multiply-adds of an image, times images seen (logarithmic)")
        axes.set_title(f"Accuracy against training cost · {title}")
        figure.legend(
            title="ours, by recipe (runs)\nring: mean; grey: published",
            frameon=False,
            loc="outside right upper",
        )
    return figure


def _scale_accuracy(axes: Axes) -> None:
    """Make the y axis logarithmic in the errors: from 99 to 99.9 % is as far as from 90 to 99 %."""
    axes.set_yscale("function", functions=(_count_tens, lambda tens: 1 - 10.0**-tens))
    axes.yaxis.set_major_locator(mpl.ticker.FixedLocator(ACCURACIES))
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda share, _: f"{100 * share:g}%"))


def _count_tens(accuracy: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(1 - accuracy, 1e-6))


def _are_close(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Tell whether two pairs of cost and accuracy are drawn near each other."""
    costs, accuracies = np.array([one, other]).T
    return bool(np.ptp(np.log10(costs)) < NEAR and np.ptp(_count_tens(accuracies)) < NEAR)


def _draw_published(axes: Axes, published: Sequence[Published]) -> None:
    known = sorted(
        (it.multiply_adds * it.images_seen, it.accuracy / 100, (it.deviation or 0) / 100, it.name)
        for it in published
        if it.multiply_adds and it.images_seen
    )
    for number, (cost, accuracy, deviation, name) in enumerate(known):
        axes.errorbar(
            cost, accuracy, deviation, color=GREY, marker="D", markersize=5, capsize=3, linestyle=""
        )
        others = (known[:number], known[number + 1 :])
        before, after = (
            any(_are_close(it[:2], (cost, accuracy)) for it in marks) for marks in others
        )
        # A name stands where its neighbour is not: right, left, or between two of them below.
        place, side = ((0, -24), "center") if before and after else ((7, -3), "left")
        if after and not before:
            place, side = (-7, -3), "right"
        axes.annotate(
            name,
            (cost, accuracy),
            xytext=place,
            textcoords="offset points",
            ha=side,
            fontsize=8,
            color=GREY,
        )
