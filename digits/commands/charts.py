"""The leaderboard's picture."""

from collections.abc import Sequence
from itertools import cycle

import pandas as pd

from digits.commands.ledger import Run
from digits.commands.standings import Published, count_cost
from digits.evaluation.drawing import Axes, Figure, drawing_style, mpl
from digits.evaluation.figures import GREY, SERIES, STYLE


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
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        axes.set_ylabel("test accuracy")
        axes.set_xlabel("training: multiply-adds of an image, times images seen (logarithmic)")
        axes.set_title(f"Accuracy against training cost · {title}")
        figure.legend(
            title="ours, by recipe (runs)\nring: mean; grey: published",
            frameon=False,
            loc="outside right upper",
        )
    return figure


def _draw_published(axes: Axes, published: Sequence[Published]) -> None:
    known = [it for it in published if it.multiply_adds and it.images_seen]
    for it in known:
        cost = (it.multiply_adds or 0) * (it.images_seen or 0)
        axes.errorbar(
            cost,
            it.accuracy / 100,
            yerr=(it.deviation or 0) / 100,
            color=GREY,
            marker="D",
            markersize=5,
            capsize=3,
            linestyle="none",
        )
        axes.annotate(
            it.name,
            (cost, it.accuracy / 100),
            xytext=(7, -3),
            textcoords="offset points",
            fontsize=8,
            color=GREY,
        )
