"""The leaderboard's picture: accuracy against training compute, ours and published."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pandas as pd

from digits.commands.leaderboard.jobs import Published
from digits.evaluation.plotting import GREY, SERIES, WIDTH, Figure, draw_figure, mpl

ACCURACIES = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999)  # ticks, as far as they fit


def draw_leaderboard(ranking: pd.DataFrame, published: Sequence[Published], title: str) -> Figure:
    """Draw every mean with a bar of its standard deviation; published results are grey."""
    ours = [
        (row["cost"], row["accuracy"], row["deviation"], f"{row['recipe']} ({row['seed_count']})")
        for _, row in ranking.iterrows()
    ]
    theirs = [
        (
            result.multiply_adds * result.images_seen,
            result.accuracy / 100,
            (result.deviation or np.nan) / 100,
            result.name,
        )
        for result in published
    ]
    title = f"{title}: recipes (number of seeds), and published results in grey"
    with draw_figure(title, (WIDTH, 6.4)) as figure:
        axes = figure.add_subplot()
        for results, grey in ((ours, False), (theirs, True)):
            for (*point, label), (colour, marker) in zip(results, cycle(SERIES), strict=False):
                axes.errorbar(
                    *point,
                    color=GREY if grey else colour,
                    marker=marker,
                    markersize=5 if grey else 7,
                    elinewidth=2,
                    capsize=3,
                    linestyle="none",
                    label=label,
                )
        axes.set_xscale("log")
        axes.margins(x=0.08)
        # Logarithmic in the errors: from 99 to 99.9 % is as far as from 90 to 99 %.
        axes.set_yscale("function", functions=(_count_nines, lambda nines: 1 - 10.0**-nines))
        axes.yaxis.set_major_locator(mpl.ticker.FixedLocator(ACCURACIES))
        axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda y, _: f"{100 * y:g}%"))
        axes.set_ylabel("test accuracy, mean ± standard deviation")
        axes.set_xlabel("training compute (multiply-adds)")
        figure.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _count_nines(accuracy: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(1 - accuracy, 1e-6))
