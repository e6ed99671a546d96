"""Galleries of images with captions.

All images of a figure share one axes, in inches from its top left corner: with an axes for each,
Matplotlib would take seconds.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np

from digits.evaluation.plotting import (
    GREY,
    ORANGE,
    STYLE,
    TITLE_SIZE,
    WIDTH,
    Axes,
    Figure,
    draw_figure,
    drawing_style,
    fit_grid,
    mpl,
    name_cells,
    wrap_text,
)

COLUMNS = 6  # at most
IMAGE_WIDTH, LEAST_WIDTH, MARGIN, GAP = 1.06, 4.5, 0.12, 0.14  # inches
COLUMN_WIDTH = (WIDTH - 2 * MARGIN) / COLUMNS
CAPTION_SIZE = 9  # points
LINE = 1.25 / 72  # inches a point of a line's letters
BARE = {**STYLE, "axes.grid": False}
# As Matplotlib's "gray_r", whose number of steps depends on the user's `matplotlibrc`.
WHITE_TO_BLACK = mpl.colors.LinearSegmentedColormap.from_list("gray_r", ["white", "black"])


def draw_gallery(images: np.ndarray, captions: Sequence[str], title: str) -> Figure:
    """Draw uint8 (n, 28, 28) images in rows, each below its caption."""
    with drawing_style(BARE):
        rows = max(1, ceil(len(images) / COLUMNS))
        columns = max(1, ceil(len(images) / rows))  # no row is much shorter than another
        width = max(LEAST_WIDTH, columns * COLUMN_WIDTH + 2 * MARGIN)
        pitch = (width - 2 * MARGIN) / columns
        texts = [wrap_text(caption, pitch - GAP, CAPTION_SIZE) for caption in captions]
        lines = max((len(text.splitlines()) for text in texts), default=0)
        row_height = lines * CAPTION_SIZE * LINE + IMAGE_WIDTH + 0.17
        figure, top = _make_sheet(title, width, rows * row_height)
        (axes,) = figure.axes
        for number, (image, text) in enumerate(zip(images, texts, strict=True)):
            row, column = divmod(number, columns)
            middle, bottom = MARGIN + (column + 0.5) * pitch, top + (row + 1) * row_height
            _show_image(axes, image, text, middle, bottom)
        if not texts:
            axes.text(width / 2, top + row_height / 2, "none", ha="center", va="center")
    return figure


def _make_sheet(title: str, width: float, content_height: float) -> tuple[Figure, float]:
    """Make a figure and its axes, measured in inches; return also where the content begins."""
    heading = wrap_text(title, width - 2 * MARGIN, TITLE_SIZE)
    top = MARGIN + len(heading.splitlines()) * TITLE_SIZE * LINE
    height = top + content_height + MARGIN
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.text(width / 2, MARGIN, heading, ha="center", va="top", fontsize=TITLE_SIZE)
    return figure, top


def _show_image(axes: Axes, image: np.ndarray, text: str, middle: float, bottom: float) -> None:
    """Draw an image at a place in inches, and its caption over it."""
    half, top = IMAGE_WIDTH / 2, bottom - IMAGE_WIDTH
    axes.imshow(
        image,
        extent=(middle - half, middle + half, bottom, top),
        aspect="auto",
        cmap=WHITE_TO_BLACK,
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )
    axes.text(middle, top - 0.03, text, ha="center", va="bottom", fontsize=CAPTION_SIZE)


def draw_prototypes(
    means: np.ndarray, counts: np.ndarray, class_names: Sequence[str], title: str
) -> Figure:
    """Draw mean images (k, k, 28, 28) in [0, 255], rows true, columns predicted, and counts.

    The diagonal shows what was recognized, the rest what was confused; nothing where count is 0.
    """
    count, side = means.shape[1:3]
    pitch, tall = side + 1, side + 6  # a line of a pixel between two; room for the count
    mosaic = np.full((count * tall + 1, count * pitch + 1), 20.0)  # a light grey
    with draw_figure(title, changes=BARE) as figure:
        cell = fit_grid(figure, class_names, tall / pitch)
        axes = figure.add_subplot()
        for (true, predicted), number in np.ndenumerate(counts):
            top, left = true * tall + 1, predicted * pitch + 1
            mosaic[top : top + tall - 1, left : left + side] = 0
            mosaic[top : top + side, left : left + side] = means[true, predicted]
            if number:
                colour = GREY if true == predicted else ORANGE
                size = min(8.5, 12.5 * cell)
                axes.text(left + 0.5, top + tall - 3, f"{number:,}", fontsize=size, color=colour)
        axes.imshow(mosaic, cmap=WHITE_TO_BLACK, vmin=0, vmax=255, interpolation="nearest")
        axes.spines[:].set_visible(False)
        name_cells(axes, (pitch, tall), class_names, cell)
    return figure
