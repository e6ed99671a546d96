"""The picture of `export`: how large each form is, and how long one image takes it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from digits.evaluation.drawing import Axes, Figure, drawing_style, mpl
from digits.evaluation.figures import BLUE, ORANGE, STYLE, WIDTH, write_title

if TYPE_CHECKING:
    from digits.commands.export import Measured


def draw_forms(rows: Sequence["Measured"], title: str) -> Figure:
    """Draw a bar of kilobytes and one of milliseconds for each form, the numbers beside them."""
    names = [row.form.file for row in rows]
    with drawing_style({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(WIDTH, 0.36 * len(rows) + 1.3), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _draw_bars(left, names, [row.size / 1000 for row in rows], "{:,.0f}", BLUE)
        left.set_title("size, kB")
        _draw_bars(right, names, [1000 * row.latency for row in rows], "{:.2f}", ORANGE)
        right.set_title("one image, ms")
        left.invert_yaxis()  # the first on top, as in the table
        write_title(figure, title)
    return figure


def _draw_bars(
    axes: Axes, names: Sequence[str], values: Sequence[float], form: str, colour: str
) -> None:
    bars = axes.barh(names, values, height=0.6, color=colour)
    axes.bar_label(bars, fmt=form, padding=4)
    axes.margins(x=0.2)
    axes.xaxis.set_major_locator(mpl.ticker.NullLocator())
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)
