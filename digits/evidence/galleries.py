"""Galleries: test images themselves, with what was said of them."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digits.evidence.figures import GREY, ORANGE, STYLE

Strip = tuple[str, np.ndarray, Sequence[str]]  # name, uint8 (n, 28, 28) images, their captions

COLUMNS = 8
BARE = {**STYLE, "axes.grid": False}


def draw_gallery(images: np.ndarray, captions: Sequence[str], title: str) -> Figure:
    """Draw uint8 (n, 28, 28) images in rows of eight, each under its caption."""
    rows = max(1, -(-len(images) // COLUMNS))
    with mpl.rc_context(BARE):
        figure = Figure(figsize=(1.5 * COLUMNS, 1.9 * rows + 0.6))
        grid = _make_grid(figure, rows, COLUMNS, top=0.6, caption=0.42)
        for axes, image, caption in zip(grid.ravel(), images, captions, strict=False):
            _show(axes, image, caption)
        _set_title(figure, title)
        if len(images) == 0:
            figure.text(0.5, 0.4, "none", ha="center")
    return figure


def draw_strips(strips: Sequence[Strip], title: str) -> Figure:
    """Draw a row for each strip: its name and its first eight images."""
    rows = max(1, len(strips))
    with mpl.rc_context(BARE):
        figure = Figure(figsize=(1.5 * (COLUMNS + 1), 1.75 * rows + 0.6))
        grid = _make_grid(figure, rows, COLUMNS + 1, top=0.6, caption=0.27)
        for line, (name, images, captions) in zip(grid, strips, strict=False):
            line[0].text(0.5, 0.5, name, ha="center", va="center", fontsize=12)
            for axes, image, caption in zip(line[1:], images, captions, strict=False):
                _show(axes, image, caption)
        _set_title(figure, title)
        if not strips:
            figure.text(0.5, 0.4, "none", ha="center")
    return figure


def draw_prototypes(
    means: np.ndarray, counts: np.ndarray, class_names: Sequence[str], title: str
) -> Figure:
    """Draw mean images (10, 10, 28, 28) in [0, 255], rows true, columns predicted, and counts.

    The diagonal shows what was recognized, the rest what was confused; nothing where count is 0.
    """
    count = len(class_names)
    short = max(map(len, class_names)) < 4
    top, left = (0.915, 0.07) if short else (0.85, 0.13)
    with mpl.rc_context(BARE):
        figure = Figure(figsize=(10.4, 11.0 if short else 11.6))
        spacing = {"right": 0.99, "bottom": 0.01, "wspace": 0.08, "hspace": 0.08}
        grid = figure.subplots(count, count, gridspec_kw={"left": left, "top": top, **spacing})
        for (true, predicted), axes in np.ndenumerate(grid):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set(visible=True, color="#e6e6e6")
            if counts[true, predicted]:
                axes.imshow(means[true, predicted], cmap="gray_r", vmin=0, vmax=255)
                colour = GREY if true == predicted else ORANGE
                axes.text(1, 26.5, f"{counts[true, predicted]:,}", fontsize=8.5, color=colour)
        for axes, name in zip(grid[0], class_names, strict=True):
            axes.set_title(name, rotation=0 if short else 35, fontsize=11)
        for axes, name in zip(grid[:, 0], class_names, strict=True):
            axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)
        figure.text(0.55, 0.95, "predicted", ha="center")
        figure.text(0.015, 0.45, "true", rotation=90, va="center")
        figure.suptitle(title, y=0.99, fontsize=13)
    return figure


def _make_grid(
    figure: Figure, rows: int, columns: int, *, top: float, caption: float
) -> np.ndarray:
    """Lay out square axes under captions; `top` and `caption` in inches.

    By hand, as Matplotlib's own layout takes seconds for so many axes.
    """
    width, height = figure.get_size_inches()
    cell = (height - top) / rows
    side = min(cell - caption, width / columns) * 0.96
    grid = np.empty((rows, columns), dtype=object)
    for row, column in np.ndindex(rows, columns):
        x = (column + 0.5) * width / columns - side / 2
        y = height - top - (row + 1) * cell + 0.04
        axes = figure.add_axes((x / width, y / height, side / width, side / height))
        axes.axis("off")
        grid[row, column] = axes
    return grid


def _set_title(figure: Figure, title: str) -> None:
    figure.text(
        0.5, 1 - 0.22 / figure.get_size_inches()[1], title, ha="center", va="center", size=13
    )


def _show(axes: Axes, image: np.ndarray, caption: str) -> None:
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(caption, fontsize=9.5, pad=3)
