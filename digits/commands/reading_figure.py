"""The picture of `predict`: each input with its digits framed, what the network saw, and said."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from digits.commands.predict import Reading

COLUMNS = 6  # digits in a row
CELL, MARGIN, HEADING = 1.25, 0.15, 0.3  # inches
TALL = 2.0  # of a cell: what was seen, and bars below it
MOST_HEIGHT = 2.5  # of an input
MOST_SHOWN = 12  # inputs
SMALL = 8  # points


def draw_readings(readings: Sequence["Reading"], names: Sequence[str]) -> Figure:
    """Draw the first inputs, each over its digits as the network saw them and over their bars."""
    shown = readings[:MOST_SHOWN]
    heights = [HEADING + _measure_input(it)[1] + _count_rows(it) * TALL + MARGIN for it in shown]
    with drawing_style({**STYLE, "axes.grid": False}):
        height = max(1.0, sum(heights) + 2 * MARGIN)
        figure = Figure(figsize=(WIDTH, height))
        top = MARGIN
        for reading, taken in zip(shown, heights, strict=True):
            _draw_input(figure, reading, top)
            _draw_digits(figure, reading, names, top + HEADING + _measure_input(reading)[1])
            top += taken
        if len(readings) > len(shown):
            rest = f"and {len(readings) - len(shown)} more inputs"
            figure.text(0.5, MARGIN / height / 2, rest, ha="center", fontsize=SMALL, color=GREY)
    return figure


def _measure_input(reading: "Reading") -> tuple[float, float]:
    """Return the width and height of an input in the figure, in inches."""
    rows, columns = reading.page.pixels.shape[:2]
    width = min(WIDTH - 2 * MARGIN, MOST_HEIGHT * columns / rows)
    return width, width * rows / columns


def _count_rows(reading: "Reading") -> int:
    return -(-len(reading.page.found) // COLUMNS)


def _place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes, measured in inches from the figure's top left corner."""
    whole, tall = figure.get_size_inches()
    return figure.add_axes((left / whole, 1 - (top + height) / tall, width / whole, height / tall))


def _draw_input(figure: Figure, reading: "Reading", top: float) -> None:
    width, height = _measure_input(reading)
    axes = _place(figure, (WIDTH - width) / 2, top + HEADING, width, height)
    axes.imshow(reading.page.pixels, cmap="gray", vmin=0, vmax=1)
    axes.set_title(reading.page.name, fontsize=SMALL + 1)
    axes.axis("off")
    for number, found in enumerate(reading.page.found, start=1):
        corner = (found.columns.start - 0.5, found.rows.start - 0.5)
        size = (np.ptp((it.start, it.stop)) for it in (found.columns, found.rows))
        axes.add_patch(mpl.patches.Rectangle(corner, *size, fill=False, color=ORANGE))
        if len(reading.page.found) > 1:
            axes.text(*corner, str(number), color=ORANGE, fontsize=SMALL, va="bottom")


def _draw_digits(figure: Figure, reading: "Reading", names: Sequence[str], top: float) -> None:
    pitch = (WIDTH - 2 * MARGIN) / COLUMNS
    count = min(COLUMNS, len(reading.page.found))
    start = (WIDTH - count * pitch) / 2
    for number, (found, given) in enumerate(
        zip(reading.page.found, reading.probabilities, strict=True)
    ):
        row, column = divmod(number, COLUMNS)
        left, upper = start + column * pitch + (pitch - CELL) / 2, top + row * TALL + MARGIN
        side = CELL * 0.55
        seen = _place(figure, left + (CELL - side) / 2, upper + 0.15, side, side)
        seen.imshow(found.ink, cmap="gray", vmin=0, vmax=1)
        seen.axis("off")
        if len(reading.page.found) > 1:
            seen.set_title(str(number + 1), fontsize=SMALL, color=ORANGE, pad=2)
        lower = upper + 0.15 + side + 0.1
        bars = _place(figure, left, lower, CELL, TALL - (lower - upper) - 0.3)
        _draw_bars(bars, given, names)


def _draw_bars(axes: Axes, given: np.ndarray, names: Sequence[str]) -> None:
    colours = [BLUE if it == given.argmax() else GREY for it in range(len(given))]
    axes.bar(range(len(given)), given, color=colours)
    axes.set_ylim(0, 1.3)
    axes.spines[:].set_visible(False)
    axes.set_yticks([])
    axes.set_xticks(range(len(names)), names, fontsize=SMALL - 1, rotation=_turn(names))
    axes.tick_params(length=0, pad=1)
    best = int(given.argmax())
    axes.text(best, given[best] + 0.03, f"{given[best]:.1%}", ha="center", fontsize=SMALL)


def _turn(names: Iterable[str]) -> int:
    return 90 if max(map(len, names)) > 1 else 0
