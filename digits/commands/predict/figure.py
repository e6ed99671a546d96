"""The picture of `predict`: inputs, their digits as the network saw them, and probabilities."""

from collections.abc import Sequence

import numpy as np

from digits.evaluation.plotting import (
    BLUE,
    GREY,
    ORANGE,
    STYLE,
    WIDTH,
    Axes,
    Figure,
    drawing_style,
    mpl,
)
from digits.imaging.pages import Reading

COLUMNS = 6  # digits in a row
INPUT, SEEN, BARS = 2.5, 0.8, 0.9  # inches: heights at most of an input, of a digit and its bars
MOST_SHOWN = 12  # inputs
SMALL = 8  # points


def draw_readings(readings: Sequence[Reading], names: Sequence[str]) -> Figure:
    """Draw the first inputs, each over its digits as the network saw them and over their bars."""
    shown = readings[:MOST_SHOWN]
    row_counts = [-(-len(reading.page.found) // COLUMNS) for reading in shown]
    heights = [INPUT + count * (SEEN + BARS + 0.4) for count in row_counts]
    with drawing_style({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(WIDTH, max(1.0, sum(heights))))
        parts = figure.subfigures(
            max(1, len(shown)), 1, height_ratios=heights or [1], squeeze=False
        )
        for reading, part, rows in zip(shown, parts[:, 0], row_counts, strict=False):
            ratios = [INPUT, *[SEEN, BARS] * rows]
            box = {"left": 0.03, "right": 0.97, "bottom": 0.05, "top": 0.93, "hspace": 0.25}
            grid = part.add_gridspec(1 + 2 * rows, COLUMNS, height_ratios=ratios, **box)
            _draw_input(part.add_subplot(grid[0, :]), reading)
            for number, given in enumerate(reading.probabilities):
                row, column = divmod(number, COLUMNS)
                seen = part.add_subplot(grid[1 + 2 * row, column])
                seen.imshow(reading.page.found[number].ink, cmap="gray", vmin=0, vmax=1)
                seen.axis("off")
                seen.set_title(str(number + 1), fontsize=SMALL, color=ORANGE, pad=2)
                _draw_bars(part.add_subplot(grid[2 + 2 * row, column]), given, names)
    return figure


def _draw_input(axes: Axes, reading: Reading) -> None:
    axes.imshow(np.asarray(reading.page.pixels), cmap="gray", vmin=0, vmax=1)
    axes.set_title(reading.page.name, fontsize=SMALL + 1)
    axes.axis("off")
    for number, found in enumerate(reading.page.found, start=1):
        rows, columns = found.rows, found.columns
        corner = (columns.start - 0.5, rows.start - 0.5)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        axes.add_patch(mpl.patches.Rectangle(corner, *size, fill=False, color=ORANGE))
        axes.text(*corner, str(number), color=ORANGE, fontsize=SMALL, va="bottom")


def _draw_bars(axes: Axes, given: np.ndarray, names: Sequence[str]) -> None:
    best = int(given.argmax())
    axes.bar(names, given, color=[BLUE if n == best else GREY for n in range(len(given))])
    axes.set_title(f"{given[best]:.1%}", fontsize=SMALL, pad=2)
    axes.set_ylim(0, 1)
    axes.spines[:].set_visible(False)
    axes.set_yticks([])
    turn = 90 if max(map(len, names)) > 1 else 0
    axes.tick_params(axis="x", length=0, pad=1, labelsize=SMALL - 1, labelrotation=turn)
