"""Digits on scans and photographs of paper: where they are, and the ink of each as MNIST has it.

Nothing here knows a network: `predict`, the demo's page and `import` see the same digits.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from digits.data.datasets import IMAGE_SIDE
from digits.imaging.glyphs import FAINT, find_paper, is_drawing, is_light, is_placed
from digits.imaging.normalization import centre
from digits.imaging.pictures import PictureError, count_step, shrink

TINY = 64  # pixels: no ruled line and no table is on a picture that is smaller
PAPER_SIDE = 64  # pixels of the picture in which the paper's colour is sought
PAPER_WINDOW = 0.25  # of the picture's longer side: wider than any stroke, narrower than a shadow
GRAIN = 1.0  # pixels: paper's own noise, smoothed
STROKES = 3.0  # half-widths of a stroke within which there is paper
DEEPEST = 0.995  # quantile of the depths: what is this far from paper is ink
DIM = 0.15  # paper that is darker is taken to be this light: its noise is not enlarged
SPECK = 0.02  # of the largest piece's area: dust, and a page's grain
PALE = 0.5  # of the deepest piece's mean: light, not ink
MOST_PIECES = 3000  # of ink on a picture
SHORT = 0.25  # of a digit's usual height: a piece that is lower belongs to a digit, or to nothing
SHORT_AT_EDGE = 0.6  # the same at the picture's edge, where corners of the page are
EDGE = 0.02  # of the picture's side: nearer than this is at the edge
LONG = 0.25  # of the picture's side, and
SOLID = 0.45  # of its own box: what fills more of both is no digit, if anything else is
EIGHT = np.ones((3, 3))  # pixels hang together by their corners, too
LINE = 0.7  # of the picture's side: a thin piece this long is ruled, not written
LIGHTER = 0.6  # of the strokes' width or depth, at most: a ruled line
SLANT = 3  # pixels, by which a ruled line may rise
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

    Raises:
        PictureError: it is no page of digits.
    """
    if picture.shape[:2] == (IMAGE_SIDE, IMAGE_SIDE) and (whole := take_whole(picture)):
        return whole
    ink = measure_ink(picture)
    written = find_strokes(ink)
    return [_cut(ink, written, box) for box in sort_boxes(join_pieces(written))]


def take_whole(picture: np.ndarray) -> list[Found]:
    """Take a picture of MNIST's size as it is, if it has a digit of MNIST's size and place.

    So is one that is filled, as clothes and letters of other datasets fill theirs.
    """
    grey = picture.mean(axis=2)
    ink = (1 - grey if is_light(grey) else grey).astype(np.float32)
    depths = ink - ink.min()
    whole = slice(0, IMAGE_SIDE)
    return [Found(whole, whole, ink)] if depths.max() > FAINT and is_placed(depths) else []


def measure_ink(picture: np.ndarray) -> np.ndarray:
    """Return float (height, width): how far each pixel is from its paper, in the best channel.

    The paper of a drawing is what most of its border has. On a photograph a median from afar says
    whether ink is darker than paper, and how broad strokes are. Then paper is what is left where
    strokes are filled up from their sides (a grey closing, an opening where they are light): unlike
    the median it follows the edge of a shadow.
    """
    if is_drawing(picture):
        paper, light = find_paper(picture)
        depths = (paper - picture) / paper.clip(DIM) if light else picture - paper
        return depths.max(axis=2).clip(0)
    smooth = ndimage.gaussian_filter(picture, (GRAIN, GRAIN, 0), mode="nearest")
    depths = estimate_paper(smooth) - smooth
    is_dark = np.quantile(depths, DEEPEST) > -np.quantile(depths, 1 - DEEPEST)
    written = find_strokes((depths if is_dark else -depths).max(axis=2))
    reach = 2 * round(STROKES * measure_stroke(written)) + 1
    # Beyond the picture there is paper.
    if not is_dark:
        paper = ndimage.grey_opening(smooth, size=(reach, reach, 1), mode="constant", cval=0)
        return (picture - paper).max(axis=2).clip(0)
    paper = ndimage.grey_closing(smooth, size=(reach, reach, 1), mode="constant", cval=1)
    # In a shadow, ink takes as large a share of the light.
    return ((paper - picture) / paper.clip(DIM)).max(axis=2).clip(0)


def estimate_paper(picture: np.ndarray) -> np.ndarray:
    """Return the paper's colour at each pixel, uneven light and all: a median far around it."""
    height, width = picture.shape[:2]
    small = shrink(picture, PAPER_SIDE)
    step = count_step((height, width), PAPER_SIDE)
    window = max(3, round(PAPER_WINDOW * max(small.shape[:2])) | 1)
    small = ndimage.median_filter(small, size=(window, window, 1), mode="nearest")
    small = ndimage.gaussian_filter(small, (window / 6, window / 6, 0), mode="nearest")
    rows, columns = (
        _interpolate((np.arange(length) + 0.5) / step - 0.5, count)
        for length, count in zip((height, width), small.shape[:2], strict=True)
    )
    return np.stack([rows @ band @ columns.T for band in np.moveaxis(small, 2, 0)], axis=2)


def threshold(ink: np.ndarray) -> np.ndarray:
    """Tell ink from paper, bool (height, width): where the two kinds differ most (Otsu 1979).

    doi 10.1109/TSMC.1979.4310076. A page whose darkest is faint has no ink.
    """
    if not ink.max(initial=0) > FAINT:
        return np.zeros(ink.shape, bool)
    counts, edges = np.histogram(ink, bins=256, range=(0, ink.max()))
    levels = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    mass = np.cumsum(counts * levels)
    gaps = mass / below.clip(1) - (mass[-1] - mass) / above.clip(1)
    between = below * above * gaps**2
    return ink > max(levels[between.argmax()], FAINT)


def remove_lines(ink: np.ndarray, written: np.ndarray) -> np.ndarray:
    """Take away ruled lines: long along a row or column, and finer or paler than what was written.

    A stroke as long as the picture, the bar of a 7 that fills it, is neither.
    """
    lines = find_lines(written)
    rest = written & ~lines
    if not lines.any() or not rest.any():
        return written
    finer = measure_stroke(lines) < LIGHTER * measure_stroke(rest)
    paler = np.median(ink[lines]) < LIGHTER * np.median(ink[rest])
    if not (finer or paler):
        return written
    # Where a line crosses a stroke, it is the stroke's.
    return rest | (lines & ndimage.binary_closing(rest, EIGHT, SLANT))


def find_lines(written: np.ndarray) -> np.ndarray:
    """Find long runs along a row or column that are thin across it, bool (height, width)."""
    lines = np.zeros_like(written)
    for axis in (0, 1):
        along, across = written.shape[axis], written.shape[1 - axis]
        run = max(9, round(LINE * along)) | 1
        broad = ndimage.maximum_filter1d(written, SLANT, 1 - axis)
        runs = ndimage.maximum_filter1d(ndimage.minimum_filter1d(broad, run, axis), run, axis)
        pieces, _ = ndimage.label(runs)
        for number, box in enumerate(ndimage.find_objects(pieces), start=1):
            if _length(box[1 - axis]) <= max(2, THIN * across) + SLANT - 1:
                lines |= written & (pieces == number)
    return lines


def measure_stroke(written: np.ndarray) -> float:
    """Return half the width of strokes, in pixels, where they are broad; 0 where there is none."""
    radii = ndimage.distance_transform_edt(written)[written]
    return float(np.quantile(radii, 0.9)) if radii.size else 0.0


def find_strokes(ink: np.ndarray) -> np.ndarray:
    """Tell strokes from all else that is not paper, bool (height, width)."""
    tiny = max(ink.shape) <= TINY
    written = threshold(ink) if tiny else remove_lines(ink, threshold(ink))
    pieces, count = ndimage.label(written, EIGHT)
    numbers = np.arange(1, count + 1)
    areas = ndimage.sum_labels(written, pieces, numbers)
    depths = ndimage.mean(ink, pieces, numbers)
    kept = areas > SPECK * areas.max(initial=0)
    # The edge of a shadow is paler than what was written.
    kept &= depths > PALE * depths.max(where=kept, initial=0)
    boxes = ndimage.find_objects(pieces)
    solid = areas > SOLID * np.array([_length(rows) * _length(columns) for rows, columns in boxes])
    beside = solid & (measure_contacts(pieces, count) > LONG)
    if not tiny and (kept & ~beside).any():
        kept &= ~beside  # the table under the page
    return np.concatenate(([False], kept))[pieces]


def join_pieces(written: np.ndarray) -> np.ndarray:
    """Return boxes (n, 2, 2), start and stop of rows and columns, of what is a digit each.

    A digit is pieces of ink that hang together, or lie over one another.

    Raises:
        PictureError: more pieces than a page of digits has.
    """
    pieces, count = ndimage.label(written, EIGHT)
    if count > MOST_PIECES:
        raise PictureError(f"expected digits on paper, received {count:,} specks")
    found = [[(it.start, it.stop) for it in box] for box in ndimage.find_objects(pieces)]
    boxes = np.array(found, int).reshape(-1, 2, 2)
    areas = ndimage.sum_labels(written, pieces, np.arange(1, count + 1)).astype(int)
    contacts = measure_contacts(pieces, count)
    heights = np.ptp(boxes[:, 0], axis=1)
    # Of what most of the ink belongs to: scraps may be more than digits.
    usual = float(np.median(np.repeat(heights, areas))) if count else 0.0
    joined, digit_count = np.empty_like(boxes), 0
    for number in np.argsort(-heights, kind="stable"):
        box, digits = boxes[number], joined[:digit_count]
        near = np.flatnonzero(_belongs(box, digits, usual))
        if near.size:
            digit = digits[near[0]]
            digit[:, 0] = np.minimum(digit[:, 0], box[:, 0])
            digit[:, 1] = np.maximum(digit[:, 1], box[:, 1])
        elif heights[number] >= (SHORT_AT_EDGE if contacts[number] else SHORT) * usual:
            joined[digit_count] = box
            digit_count += 1
    return joined[:digit_count]


def measure_contacts(pieces: np.ndarray, count: int) -> np.ndarray:
    """Return the share of the picture's side that each of the numbered pieces takes, at most."""
    shares = np.zeros(count)
    for axis in (0, 1):
        reach = max(1, round(EDGE * pieces.shape[axis]))
        for strip in np.split(pieces, (reach, pieces.shape[axis] - reach), axis)[::2]:
            taken = np.bincount(strip.max(axis=axis), minlength=count + 1)[1:]
            shares = np.maximum(shares, taken / pieces.shape[1 - axis])
    return shares


def sort_boxes(boxes: np.ndarray) -> list[np.ndarray]:
    """Sort boxes (n, 2, 2) as one reads: line by line from the top, each from the left."""
    lines: list[list[np.ndarray]] = []
    for box in sorted(boxes, key=lambda box: box[0].sum()):
        if lines and box[0].mean() < np.median([it[0, 1] for it in lines[-1]]):
            lines[-1].append(box)
        else:
            lines.append([box])
    return [box for line in lines for box in sorted(line, key=lambda box: box[1, 0])]


def _interpolate(places: np.ndarray, count: int) -> np.ndarray:
    """Return the weights (n, count) of n places between `count` points; beyond them, the last's."""
    points = np.arange(count)
    return np.stack([np.interp(places, points, row) for row in np.eye(count)], axis=1)


def _belongs(box: np.ndarray, digits: np.ndarray, usual: float) -> np.ndarray:
    """Tell for each of n digits whether a piece is one of it: over, under or in it, and not far."""
    starts, stops = np.maximum(box[:, 0], digits[:, :, 0]), np.minimum(box[:, 1], digits[:, :, 1])
    down, across = (starts - stops).T  # how far they lie apart; less than 0 if they share something
    lengths = np.stack(np.broadcast_arrays(np.ptp(box, axis=1), np.ptp(digits, axis=2)))
    low, high = lengths.min(axis=0), lengths.max(axis=0)
    over = -across > 0.35 * low[:, 1]
    scrap = (across < 0.15 * usual) & (low[:, 0] < 0.5 * high[:, 0])
    return (over | scrap) & (down < 0.3 * usual)


def _cut(ink: np.ndarray, written: np.ndarray, box: np.ndarray) -> Found:
    """Bring a digit's ink into MNIST's form; a pixel around its mask is its smooth edge."""
    rows, columns = (slice(int(start), int(stop)) for start, stop in box)
    inside, edge = written[rows, columns], np.pad(ink[rows, columns], 1, mode="edge")
    mask = np.pad(inside, 1)
    dark = np.quantile(edge[mask], DARK)
    grey = np.where(ndimage.binary_dilation(mask), (edge / dark).clip(0, 1), 0)
    return Found(rows, columns, centre(grey))


def _length(extent: slice) -> int:
    return int(extent.stop - extent.start)
