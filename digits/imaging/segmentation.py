"""Photographs and scans of paper to digits, each in the form that MNIST's have.

The sheet is found first, then its ink, then the pieces of ink that are a digit each. Nothing here
knows a network: `judge` is one, and decides what else would be left to guess, whether pieces are
one digit or two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from digits.data.splits import IMAGE_SIDE
from digits.imaging.ink import (
    FAINT,
    is_drawing,
    is_light,
    measure_drawing,
    measure_grain,
    measure_ink,
    measure_radii,
    threshold,
)
from digits.imaging.normalization import centre, is_placed
from digits.imaging.pictures import PictureError, shrink
from digits.imaging.pieces import Pieces, find_pieces
from digits.imaging.ruling import remove_boxes, remove_lines
from digits.imaging.sheet import find_sheet, flatten, locate
from digits.imaging.splitting import Judge, Part, choose_parts, merge

TINY = 64  # pixels: no ruled line and no table is on a picture that is smaller
SPECK = 0.02  # of the largest piece's area: dust
PALE = 0.5  # of the deepest piece's mean: light, not ink
PENCIL = 0.12  # contrast of 1: no stroke is paler on a photograph, but the remains of a ruling are
LONG = 0.25  # of the picture's side: what touches so much of its edge is no digit
MARGIN = 0.02  # of a sheet's shorter side: at its edge, something of the table may be left
MOST_PIECES = 3000  # of ink on a picture
LOWEST, LOW = 8, 0.02  # pixels, and of the picture's longer side: no digit is lower
SHORT = 0.25  # of a digit's usual height: a piece that is lower belongs to a digit, or to nothing
BLOB = 1.6  # squares as wide as the stroke: what has less ink is no digit
MASSIVE = 0.5  # of the picture's shorter side: what is so broad everywhere is a shadow
FINE = 0.04  # of its height: no stroke is finer, and none than two pixels
BROAD = 6  # times its height: what is broader is no row of digits that touch
MOSTLY = 0.5  # of a page's ink is digits; else it is grain, or what is left of a ruling
LARGE = 84  # pixels: three to one of MNIST's
DARK = 0.9  # quantile of a digit's ink that MNIST shows as white


@dataclass(frozen=True)
class Found:
    """A digit: rows and columns of the picture that it takes, and its ink float32 (28, 28).

    `confidence` is the probability that it is one digit, and not a part of one or several.
    """

    rows: slice
    columns: slice
    ink: np.ndarray
    confidence: float = 1.0


def find_digits(picture: np.ndarray, judge: Judge | None = None) -> list[Found]:
    """Find the digits of a picture, float (height, width, channels) in [0, 1], in reading order.

    Ink is what differs from the paper around it, in whatever channel it does so most: dark on
    light, light on dark and coloured are one. Without a judge, pieces that hang together are one.

    Raises:
        PictureError: it is no page of digits.
    """
    if picture.shape[:2] == (IMAGE_SIDE, IMAGE_SIDE) and (whole := take_whole(picture)):
        return whole
    picture = np.ascontiguousarray(picture, np.float32)
    sheet = find_sheet(picture) if max(picture.shape) > TINY else None
    page = picture if sheet is None else flatten(picture, sheet)
    ink, written = _find_ink(page, may_be_drawing=sheet is None)
    if sheet is not None:
        pieces = find_pieces(written)
        written = pieces.keep(pieces.measure_contacts(max(2, round(MARGIN * min(ink.shape)))) == 0)
    lines = sort_lines(join_pieces(written))
    chosen = [(part, 1.0) for line in lines for part in line]
    if judge:
        see = partial(normalize, ink)
        chosen = [digit for line in lines for digit in choose_parts(line, see, judge)]
    found = []
    for part, confidence in chosen:
        box = part.rows, part.columns
        rows, columns = box if sheet is None else locate(box, sheet)
        found.append(Found(rows, columns, normalize(ink, part), confidence))
    return found


def read_digits(found: Sequence[Found], judge: Judge) -> np.ndarray:
    """Return float32 (n, k): what a network says of digits, so far as each is one digit at all."""
    probabilities = judge(np.stack([digit.ink for digit in found]))
    sure = np.array([digit.confidence for digit in found], np.float32)[:, np.newaxis]
    return sure * probabilities + (1 - sure) / probabilities.shape[1]


def take_whole(picture: np.ndarray) -> list[Found]:
    """Take a picture of MNIST's size as it is, if it has a digit of MNIST's size and place."""
    ink, is_whole = find_whole(picture.mean(axis=2)[..., np.newaxis])
    whole = slice(0, IMAGE_SIDE)
    return [Found(whole, whole, ink[..., 0])] if is_whole[0] else []


def find_whole(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ink of pictures (28, 28, n), float32 in [0, 1], and which are MNIST's images (n,).

    These have a digit of its size and place; or are filled, as clothes and letters fill theirs.
    """
    ink = np.where(is_light(grey), 1 - grey, grey).astype(np.float32)
    depths = ink - ink.min(axis=(0, 1))
    has_ink = depths.max(axis=(0, 1)) > FAINT
    return ink, has_ink & is_placed(depths > FAINT, depths)


def _find_ink(page: np.ndarray, *, may_be_drawing: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return ink float (height, width), and bool, where there are strokes."""
    if may_be_drawing and is_drawing(page):
        ink, grain = measure_drawing(page), 0.0
    else:
        ink = measure_ink(page)
        grain = measure_grain(ink)
    return ink, find_strokes(ink, threshold(ink, grain))


def find_strokes(ink: np.ndarray, written: np.ndarray) -> np.ndarray:
    """Tell strokes from all else that is not paper, bool (height, width)."""
    is_tiny = max(ink.shape) <= TINY
    if not is_tiny:
        written = remove_lines(ink, remove_boxes(written))
    pieces = find_pieces(written)
    if not written.any():
        return written
    areas, count = pieces.areas, len(pieces.areas)
    depths = np.bincount(pieces.numbers.ravel(), ink.ravel(), count) / areas
    kept = areas > SPECK * areas[1:].max()
    kept[0] = False
    # The edge of a shadow is paler than what was written.
    kept &= depths > max(PALE * depths.max(where=kept, initial=0), 0 if is_tiny else PENCIL)
    beside = pieces.measure_contacts() > LONG
    if not is_tiny and (kept & ~beside).any():
        kept &= ~beside  # the table under the page
    return pieces.keep(kept)


def join_pieces(written: np.ndarray) -> list[Part]:
    """Put together the pieces of ink that lie over one another, or are too small for a digit.

    Raises:
        PictureError: more pieces than a page of digits has.
    """
    pieces = find_pieces(written)
    count = len(pieces.areas) - 1
    if count > MOST_PIECES:
        raise PictureError(f"expected digits on paper, received {count:,} specks")
    heights = pieces.boxes[:, 3]
    # Of what most of the ink belongs to: scraps may be more than digits.
    usual = float(np.median(np.repeat(heights[1:], pieces.areas[1:]))) if count else 0.0
    side = max(written.shape)
    lowest = min(max(LOWEST, LOW * side), SHORT * side)
    joined: list[Part] = []
    for number in 1 + np.argsort(-heights[1:], kind="stable"):
        part = _take(pieces, number)
        near = next((n for n, digit in enumerate(joined) if _belongs(part, digit, usual)), None)
        if near is not None:
            joined[near] = merge(joined[near], part)
        elif part.height >= max(lowest, SHORT * usual):
            joined.append(part)
    if side <= TINY:
        return joined
    broadest = MASSIVE * min(written.shape)
    digits = [part for part in joined if _may_be_digit(part, broadest)]
    is_writing = sum(int(part.mask.sum()) for part in digits) > MOSTLY * written.sum()
    return digits if is_writing else []


def _take(pieces: Pieces, number: int) -> Part:
    left, top, width, height = (int(fact) for fact in pieces.boxes[number])
    rows, columns = slice(top, top + height), slice(left, left + width)
    return Part(rows, columns, pieces.numbers[rows, columns] == number)


def _belongs(part: Part, digit: Part, usual: float) -> bool:
    """Tell whether a piece is one of a digit: over, under or in it, and not far."""
    down, across = (
        max(one.start, other.start) - min(one.stop, other.stop)  # apart; below 0 if they overlap
        for one, other in ((part.rows, digit.rows), (part.columns, digit.columns))
    )
    over = -across > 0.35 * min(part.width, digit.width)
    low, high = sorted((part.height, digit.height))
    scrap = across < 0.15 * usual and low < 0.5 * high
    return (over or scrap) and down < 0.3 * usual


def _may_be_digit(part: Part, broadest: float) -> bool:
    """Tell strokes from a blob, a shadow, a hair and a line."""
    stroke = 2 * float(measure_radii(np.pad(part.mask, 1)).max())
    written = part.mask.sum() / stroke**2
    is_fine = stroke < max(2, FINE * part.height)
    is_broad = stroke > broadest or part.width > BROAD * part.height
    return bool(written > BLOB and not is_fine and not is_broad)


def sort_lines(parts: Sequence[Part]) -> list[list[Part]]:
    """Sort parts as one reads: lines from the top, each from the left."""
    lines: list[list[Part]] = []
    for part in sorted(parts, key=lambda part: part.rows.start + part.rows.stop):
        middle = (part.rows.start + part.rows.stop) / 2
        if lines and middle < np.median([other.rows.stop for other in lines[-1]]):
            lines[-1].append(part)
        else:
            lines.append([part])
    return [sorted(line, key=lambda part: part.columns.start) for line in lines]


def normalize(ink: np.ndarray, part: Part) -> np.ndarray:
    """Bring a part's ink into MNIST's form; a pixel around its mask is its smooth edge.

    Large ones are shrunk first: dozens of cuts are tried on each.
    """
    mask = np.pad(part.mask, 1).astype(np.float32)
    edge = np.pad(ink[part.rows, part.columns], 1, mode="edge")
    around = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    layers = np.dstack([np.where(around > 0, edge, 0).astype(np.float32), mask])
    grey, mask = np.moveaxis(shrink(layers, LARGE), 2, 0)
    dark = np.quantile(grey[mask > 0], DARK)
    return centre((grey / dark).clip(0, 1))
