"""The leaderboard's picture."""

from itertools import cycle

import pandas as pd

from digits.evaluation.drawing import Axes, Figure, drawing_style, mpl
from digits.evaluation.figures import SERIES, STYLE


def draw_leaderboard(runs: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy against training time, a dot a run; of each recipe, the medians of both.

    `runs` has recipe, training_seconds and accuracy; the most accurate recipe comes first.
    """
    medians = runs.groupby("recipe")[["training_seconds", "accuracy"]].median()
    medians = medians.sort_values("accuracy", ascending=False)
    with drawing_style(STYLE):
        figure = Figure(figsize=(9.4, 5.2), layout="constrained")
        axes = figure.add_subplot()
        for (recipe, median), (colour, marker) in zip(
            medians.iterrows(), cycle(SERIES), strict=False
        ):
            group = runs[runs["recipe"] == recipe]
            axes.plot(
                group["training_seconds"],
                group["accuracy"],
                color=colour,
                marker=marker,
                markersize=6,
                markeredgewidth=0,
                alpha=0.7,
                linestyle="none",
                label=f"{recipe} ({len(group)})",
            )
            axes.plot(*median, color=colour, marker="o", markersize=18, fillstyle="none")
        _scale_seconds(axes, runs["training_seconds"])
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        axes.set_ylabel("test accuracy")
        axes.set_title(f"Accuracy against training time · {title}")
        figure.legend(
            title="recipe (runs)\nring: medians", frameon=False, loc="outside right upper"
        )
    return figure


def _scale_seconds(axes: Axes, seconds: pd.Series) -> None:
    """Make the x axis logarithmic with ticks at 1, 2 and 5 times powers of ten."""
    axes.set_xscale("log")
    # Between two ticks lies a factor of 2.5 at most: this much room shows one for a single dot.
    axes.set_xlim(seconds.min() / 1.6, seconds.max() * 1.6)
    axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.set_xlabel("training time in seconds (logarithmic)")
