"""Digits on scans and photographs of paper: where they are, and the ink of each as MNIST has it.

Nothing here knows a network: `predict`, the demo's page and `pack` see the same digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from digits.data.handwriting import centre

WORK_SIDE = (
    1000  # pixels; a longer picture is shrunk first, which costs no digit and bounds the work
)
PAPER_SIDE = 64  # pixels of the picture in which the paper's colour is sought
PAPER_WINDOW = 0.25  # of the picture's longer side: wider than any stroke, narrower than a shadow
FAINT = 0.08  # contrast of 1 below which there is paper, and no ink
SPECK = 0.02  # of the largest piece's area: dust, and a page's grain
SHORT = 0.25  # of a digit's usual height: a piece that is lower belongs to a digit, or to nothing
LINE = 0.5  # of the picture's side: a thin piece this long is ruled, not written
THIN = 0.02  # of the picture's side: how thick a ruled line is at most
DARK = 0.9  # quantile of a digit's ink that MNIST shows as white


@dataclass(frozen=True)
class Found:
    """A digit: rows and columns of the picture that it takes, and its ink float32 (28, 28)."""

    rows: slice
    columns: slice
    ink: np.ndarray


def find_digits(picture: np.ndarray) -> list[Found]:
    """Find the digits of a picture, float (height, width, channels) in [0, 1], in reading order.

    Ink is what differs from the paper around it, in whatever channel it does so most: dark on
    light, light on dark and coloured are one.
    """
    step = max(1, -(-max(picture.shape[:2]) // WORK_SIDE))
    ink = measure_ink(_shrink(picture, step))
    written = threshold(ink)
    written = remove_lines(written)
    boxes = sort_boxes(join_pieces(written))
    return [_cut(ink, written, box, step) for box in boxes]


def measure_ink(picture: np.ndarray) -> np.ndarray:
    """Return float (height, width): how far each pixel is from its paper, in the best channel."""
    return np.abs(picture - estimate_paper(picture)).max(axis=2)


def estimate_paper(picture: np.ndarray) -> np.ndarray:
    """Return the paper's colour at each pixel, uneven light and all: a median far around it."""
    height, width = picture.shape[:2]
    step = max(1, -(-max(height, width) // PAPER_SIDE))
    small = _shrink(picture, step)
    window = max(3, round(PAPER_WINDOW * max(small.shape[:2])) | 1)
    small = ndimage.median_filter(small, size=(window, window, 1), mode="nearest")
    small = ndimage.gaussian_filter(small, (window / 6, window / 6, 0), mode="nearest")
    rows = (np.arange(height) + 0.5) / step - 0.5
    columns = (np.arange(width) + 0.5) / step - 0.5
    grid = np.meshgrid(rows, columns, indexing="ij")
    channels = np.moveaxis(small, 2, 0)
    bands = [ndimage.map_coordinates(it, grid, order=1, mode="nearest") for it in channels]
    return np.stack(bands, axis=2)


def threshold(ink: np.ndarray) -> np.ndarray:
    """Tell ink from paper, bool (height, width): where the two kinds differ most (Otsu 1979).

    doi 10.1109/TSMC.1979.4310076. A page whose darkest is faint has no ink.
    """
    counts, edges = np.histogram(ink, bins=256, range=(0, max(float(ink.max()), 1e-6)))
    levels = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    mass = np.cumsum(counts * levels)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    limit = levels[np.nanargmax(between)]
    return ink > max(limit, FAINT)


def remove_lines(written: np.ndarray) -> np.ndarray:
    """Take away ruled lines: long runs along a row or column that are thin across it."""
    left = written
    for axis in (0, 1):
        along, across = written.shape[axis], written.shape[1 - axis]
        run = max(9, round(LINE * along))
        runs = ndimage.binary_opening(written, np.ones((run, 1) if axis == 0 else (1, run), bool))
        pieces, _ = ndimage.label(runs)
        for number, box in enumerate(ndimage.find_objects(pieces), start=1):
            if np.ptp((box[1 - axis].start, box[1 - axis].stop)) <= max(2, THIN * across):
                left = left & (pieces != number)
    return left


def join_pieces(written: np.ndarray) -> list[tuple[slice, slice]]:
    """Return the box of each digit: of pieces of ink that hang together or lie over one another."""
    pieces, _ = ndimage.label(written, np.ones((3, 3)))
    boxes = ndimage.find_objects(pieces)
    areas = ndimage.sum_labels(written, pieces, np.arange(1, len(boxes) + 1))
    boxes = [box for box, area in zip(boxes, areas, strict=True) if area > SPECK * areas.max()]
    # A shadow in a corner, the table beside the page; a digit is whole.
    boxes = [box for box in boxes if not _touches(box, written.shape)] or boxes
    heights = [_length(rows) for rows, _ in boxes]
    usual = float(np.median(heights)) if heights else 0.0
    joined: list[tuple[slice, slice]] = []
    for box in sorted(boxes, key=lambda box: -_length(box[0])):
        near = next((it for it in joined if _belongs(box, it, usual)), None)
        if near:
            joined[joined.index(near)] = (_span(near[0], box[0]), _span(near[1], box[1]))
        elif _length(box[0]) >= SHORT * usual:
            joined.append(box)
    return joined


def sort_boxes(boxes: Sequence[tuple[slice, slice]]) -> list[tuple[slice, slice]]:
    """Sort boxes as one reads: line by line from the top, each from the left."""
    lines: list[list[tuple[slice, slice]]] = []
    for box in sorted(boxes, key=lambda box: box[0].start + box[0].stop):
        middle = (box[0].start + box[0].stop) / 2
        if lines and middle < np.median([it[0].stop for it in lines[-1]]):
            lines[-1].append(box)
        else:
            lines.append([box])
    return [box for line in lines for box in sorted(line, key=lambda box: box[1].start)]


def _belongs(box: tuple[slice, slice], other: tuple[slice, slice], usual: float) -> bool:
    """Tell whether a piece is one of another digit: over, under or in it, and not far."""
    across, down = (_gap(one, two) for one, two in zip(box[::-1], other[::-1], strict=True))
    widths, heights = ([_length(it[axis]) for it in (box, other)] for axis in (1, 0))
    over = -across > 0.5 * min(widths)
    scrap = across < 0.15 * usual and min(heights) < 0.5 * max(heights)
    return (over or scrap) and down < 0.3 * usual


def _gap(one: slice, other: slice) -> int:
    """Return how far two extents lie apart; less than 0 if they share something."""
    return int(max(one.start, other.start) - min(one.stop, other.stop))


def _touches(box: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
    ends = zip(box, shape, strict=True)
    return any(extent.start == 0 or extent.stop == length for extent, length in ends)


def _cut(ink: np.ndarray, written: np.ndarray, box: tuple[slice, slice], step: int) -> Found:
    """Bring a digit's ink into MNIST's form; a pixel around its mask is its smooth edge."""
    mask = ndimage.binary_dilation(np.pad(written[box], 1))
    edge = np.pad(ink[box], 1, mode="edge")
    dark = np.quantile(edge[np.pad(written[box], 1)], DARK)
    digit = centre(np.where(mask, (edge / dark).clip(0, 1), 0))
    rows, columns = (slice(it.start * step, it.stop * step) for it in box)
    return Found(rows, columns, digit)


def _shrink(picture: np.ndarray, step: int) -> np.ndarray:
    """Average blocks of pixels; what does not fill a block at the edge repeats the last."""
    if step == 1:
        return picture
    short = [-length % step for length in picture.shape[:2]]
    whole = np.pad(picture, ((0, short[0]), (0, short[1]), (0, 0)), mode="edge")
    height, width, channels = whole.shape
    return whole.reshape(height // step, step, width // step, step, channels).mean(axis=(1, 3))


def _length(extent: slice) -> int:
    return int(extent.stop - extent.start)


def _span(one: slice, other: slice) -> slice:
    return slice(min(one.start, other.start), max(one.stop, other.stop))
