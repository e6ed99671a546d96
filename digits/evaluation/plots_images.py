"""Galleries of images with captions.

All images of a figure share one axes, in inches from its top left corner: with an axes for each,
Matplotlib would take seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digits.evaluation.plotting import (
    FONT_SIZE,
    GREY,
    ORANGE,
    STYLE,
    TITLE_SIZE,
    WIDTH,
    Axes,
    Figure,
    drawing_style,
    measure_text,
    mpl,
    name_cells,
    plan_grid,
    wrap_text,
    write_title,
)

COLUMNS = 6  # at most
IMAGE_WIDTH, LEAST_WIDTH, MARGIN, GAP = 1.06, 4.5, 0.12, 0.14  # inches
ROOM = WIDTH - 2 * MARGIN
CAPTION_SIZE = 9  # points
LINE = 1.25 / 72  # inches a point of a line's letters
BARE = {**STYLE, "axes.grid": False}
# As Matplotlib's "gray_r", whose number of steps depends on the user's `matplotlibrc`.
WHITE_TO_BLACK = mpl.colors.LinearSegmentedColormap.from_list("gray_r", ["white", "black"])


@dataclass(frozen=True)
class Sheet:
    """A figure of images in rows, each below its caption."""

    figure: Figure
    axes: Axes
    top: float  # edge of the first row, in inches
    pitch: float  # from column to column
    row_height: float

    def show(self, image: np.ndarray, caption: str, row: int, column: int) -> None:
        """Draw an image and its caption, which may be of several lines."""
        middle = MARGIN + (column + 0.5) * self.pitch
        bottom = self.top + (row + 1) * self.row_height
        half, top = IMAGE_WIDTH / 2, bottom - IMAGE_WIDTH
        self.axes.imshow(
            image,
            extent=(middle - half, middle + half, bottom, top),
            aspect="auto",
            cmap=WHITE_TO_BLACK,
            vmin=0,
            vmax=255,
            interpolation="nearest",
        )
        text = wrap_text(caption, self.pitch - GAP, CAPTION_SIZE)
        self.axes.text(middle, top - 0.03, text, ha="center", va="bottom", fontsize=CAPTION_SIZE)


def draw_gallery(images: np.ndarray, captions: Sequence[str], title: str) -> Figure:
    """Draw uint8 (n, 28, 28) images in rows, each below its caption."""
    with drawing_style(BARE):
        columns = max(1, min(COLUMNS, int(ROOM / _find_pitch(captions))))
        rows = max(1, -(-len(images) // columns))
        columns = max(1, -(-len(images) // rows))  # no row is much shorter than another
        sheet = _make_sheet(rows, columns, captions, title)
        for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
            sheet.show(image, caption, *divmod(number, columns))
    return sheet.figure


def draw_prototypes(
    means: np.ndarray, counts: np.ndarray, class_names: Sequence[str], title: str
) -> Figure:
    """Draw mean images (k, k, 28, 28) in [0, 255], rows true, columns predicted, and counts.

    The diagonal shows what was recognized, the rest what was confused; nothing where count is 0.
    """
    count, side = means.shape[1:3]
    pitch, tall = side + 1, side + 6  # a line of a pixel between two; room for the count
    mosaic = np.full((count * tall + 1, count * pitch + 1), 20.0)  # a light grey
    with drawing_style(BARE):
        grid = plan_grid(class_names)
        height = grid.height + count * grid.cell * (tall / pitch - 1)
        figure = Figure(figsize=(grid.width, height), layout="constrained")
        axes = figure.add_subplot()
        for (true, predicted), number in np.ndenumerate(counts):
            top, left = true * tall + 1, predicted * pitch + 1
            mosaic[top : top + tall - 1, left : left + side] = 0
            mosaic[top : top + side, left : left + side] = means[true, predicted]
            if number:
                colour = GREY if true == predicted else ORANGE
                size = min(8.5, 12.5 * grid.cell)
                axes.text(left + 0.5, top + tall - 3, f"{number:,}", fontsize=size, color=colour)
        axes.imshow(mosaic, cmap=WHITE_TO_BLACK, vmin=0, vmax=255, interpolation="nearest")
        axes.spines[:].set_visible(False)
        name_cells(axes, (pitch, tall), class_names, grid)
        write_title(figure, title)
    return figure


def _find_pitch(captions: Sequence[str]) -> float:
    """Return how many inches a column needs for an image and the longest word over it."""
    words = {word for caption in captions for word in caption.split()}
    longest = max((measure_text(word, CAPTION_SIZE) for word in words), default=0.0)
    return max(IMAGE_WIDTH, longest) + GAP


def _make_sheet(rows: int, columns: int, captions: Sequence[str], title: str) -> Sheet:
    """Make a figure as large as its content, and an axes that is measured in its inches."""
    width = max(LEAST_WIDTH, columns * max(_find_pitch(captions), ROOM / COLUMNS) + 2 * MARGIN)
    pitch = (width - 2 * MARGIN) / columns
    heading = wrap_text(title, width - 2 * MARGIN, TITLE_SIZE)
    top = MARGIN + len(heading.splitlines()) * TITLE_SIZE * LINE
    wrapped = [wrap_text(caption, pitch - GAP, CAPTION_SIZE) for caption in captions]
    lines = max((len(text.splitlines()) for text in wrapped), default=0)
    row_height = lines * CAPTION_SIZE * LINE + IMAGE_WIDTH + 0.17
    height = top + (rows * row_height if captions else 3 * FONT_SIZE * LINE) + MARGIN
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.text(width / 2, MARGIN, heading, ha="center", va="top", fontsize=TITLE_SIZE)
    if not captions:
        axes.text(width / 2, height - MARGIN - FONT_SIZE * LINE, "none", ha="center", va="center")
    return Sheet(figure, axes, top, pitch, row_height)
