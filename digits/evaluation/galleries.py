"""Galleries: test images themselves, with what was said of them.

All images of a figure share one axes, in inches from its top left corner: Matplotlib would take
seconds for axes of their own.
"""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digits.evaluation.figures import GREY, ORANGE, STYLE

Strip = tuple[str, np.ndarray, Sequence[str]]  # name, uint8 (n, 28, 28) images, their captions

COLUMNS = 8
COLUMN_WIDTH, IMAGE_WIDTH, TITLE_HEIGHT = 1.5, 1.42, 0.6  # inches
BARE = {**STYLE, "axes.grid": False}


def draw_gallery(images: np.ndarray, captions: Sequence[str], title: str) -> Figure:
    """Draw uint8 (n, 28, 28) images in rows of eight, each under its caption."""
    rows = max(1, -(-len(images) // COLUMNS))
    with mpl.rc_context(BARE):
        figure, sheet = _make_sheet(rows, COLUMNS, 1.9, title)
        for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
            row, column = divmod(number, COLUMNS)
            _show(sheet, image, caption, TITLE_HEIGHT + 1.9 * (row + 1), column)
        if len(images) == 0:
            figure.text(0.5, 0.4, "none", ha="center")
    return figure


def draw_strips(strips: Sequence[Strip], title: str) -> Figure:
    """Draw a row for each strip: its name and its first eight images."""
    with mpl.rc_context(BARE):
        figure, sheet = _make_sheet(max(1, len(strips)), COLUMNS + 1, 1.75, title)
        for row, (name, images, captions) in enumerate(strips):
            bottom = TITLE_HEIGHT + 1.75 * (row + 1)
            middle = bottom - IMAGE_WIDTH / 2
            sheet.text(COLUMN_WIDTH / 2, middle, name, ha="center", va="center", fontsize=12)
            pairs = zip(images[:COLUMNS], captions[:COLUMNS], strict=True)
            for column, (image, caption) in enumerate(pairs, start=1):
                _show(sheet, image, caption, bottom, column)
        if not strips:
            figure.text(0.5, 0.4, "none", ha="center")
    return figure


def draw_prototypes(
    means: np.ndarray, counts: np.ndarray, class_names: Sequence[str], title: str
) -> Figure:
    """Draw mean images (10, 10, 28, 28) in [0, 255], rows true, columns predicted, and counts.

    The diagonal shows what was recognized, the rest what was confused; nothing where count is 0.
    """
    count, side = means.shape[1:3]
    pitch = side + 1  # a line of a pixel between two
    mosaic = np.full((count * pitch + 1, count * pitch + 1), 20.0)  # a light grey
    with mpl.rc_context(BARE):
        figure = Figure(figsize=(10.4, 10.9), layout="constrained")
        axes = figure.add_subplot()
        for (true, predicted), number in np.ndenumerate(counts):
            top, left = true * pitch + 1, predicted * pitch + 1
            mosaic[top : top + side, left : left + side] = means[true, predicted]
            if number:
                colour = GREY if true == predicted else ORANGE
                axes.text(left + 0.5, top + 26.5, f"{number:,}", fontsize=8.5, color=colour)
        axes.imshow(mosaic, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
        axes.spines[:].set_visible(False)
        middles = np.arange(count) * pitch + pitch / 2
        short = max(map(len, class_names)) < 4
        axes.set_xticks(middles, class_names, rotation=0 if short else 35)
        axes.set_yticks(middles, class_names)
        axes.tick_params(length=0, top=True, labeltop=True, labelbottom=False)
        axes.xaxis.set_label_position("top")
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        figure.suptitle(title, fontsize=13)
    return figure


def _make_sheet(rows: int, columns: int, row_height: float, title: str) -> tuple[Figure, Axes]:
    """Make a figure and an axes that fills it, measured in its inches, y downwards."""
    width, height = columns * COLUMN_WIDTH, rows * row_height + TITLE_HEIGHT + 0.05
    figure = Figure(figsize=(width, height))
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.axis("off")
    sheet.set(xlim=(0, width), ylim=(height, 0))
    sheet.text(width / 2, 0.22, title, ha="center", va="center", fontsize=13)
    return figure, sheet


def _show(sheet: Axes, image: np.ndarray, caption: str, bottom: float, column: int) -> None:
    """Draw an image in a column, its lower edge at `bottom`, and its caption over it."""
    middle = (column + 0.5) * COLUMN_WIDTH
    left, right, top = middle - IMAGE_WIDTH / 2, middle + IMAGE_WIDTH / 2, bottom - IMAGE_WIDTH
    sheet.imshow(
        image,
        extent=(left, right, bottom, top),
        aspect="auto",
        cmap="gray_r",
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )
    sheet.text(middle, top - 0.04, caption, ha="center", va="bottom", fontsize=9.5)
