"""The leaderboard's picture: accuracy against training compute, ours and published."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd

from digits.commands.leaderboard.jobs import Published
from digits.evaluation.plotting import GREY, SERIES, STYLE, Figure, drawing_style, mpl

ACCURACIES = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999)  # ticks, as far as they fit


def draw_leaderboard(ranking: pd.DataFrame, published: Sequence[Published], title: str) -> Figure:
    """Draw every mean with a bar of its standard deviation; published results are hollow."""
    with drawing_style(STYLE):
        figure = Figure(figsize=(9.4, 5.6), layout="constrained")
        axes = figure.add_subplot()
        style: Any = {"markersize": 7, "capsize": 3, "linestyle": "none"}
        for (_, row), (colour, marker) in zip(ranking.iterrows(), cycle(SERIES), strict=False):
            axes.errorbar(
                row["cost"],
                row["accuracy"],
                row["deviation"],
                color=colour,
                marker=marker,
                label=f"{row['recipe']} ({row['seed_count']})",
                **style,
            )
        for result, (_, marker) in zip(published, cycle(SERIES), strict=False):
            axes.errorbar(
                result.multiply_adds * result.images_seen,
                result.accuracy / 100,
                (result.deviation or np.nan) / 100,
                color=GREY,
                marker=marker,
                markerfacecolor="white",
                label=result.name,
                **style,
            )
        axes.set_xscale("log")
        axes.margins(x=0.08)
        # Logarithmic in the errors: from 99 to 99.9 % is as far as from 90 to 99 %.
        axes.set_yscale("function", functions=(_count_tens, lambda tens: 1 - 10.0**-tens))
        axes.yaxis.set_major_locator(mpl.ticker.FixedLocator(ACCURACIES))
        axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda y, _: f"{100 * y:g}%"))
        axes.set_ylabel("test accuracy, mean ± standard deviation")
        axes.set_xlabel("training compute (multiply-adds)")
        axes.set_title(f"Accuracy against training compute · {title}")
        figure.legend(
            title="recipe (seeds); published: grey", frameon=False, loc="outside right upper"
        )
    return figure


def _count_tens(accuracy: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(1 - accuracy, 1e-6))
