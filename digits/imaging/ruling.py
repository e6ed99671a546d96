"""What is printed on paper: ruled lines, squares, and boxes to write into."""

import cv2
import numpy as np

from digits.imaging.ink import measure_radii, measure_stroke
from digits.imaging.pieces import find_pieces

STEEPEST = 0.13  # slope of a ruled line, which a camera sees at an angle, and
ANGLE = np.pi / 720  # by how much two slopes differ
LONG = 0.35  # of the picture's side: a ruled line
THICK = 0.01  # of that side, or 5 pixels: a stroke, no ruled line
BREAK = 15  # pixels, of a line that grain has broken
LIGHTER = 0.6  # of the strokes' width or depth: a ruled line, and
ALIKE = 1.25  # times a line's: what is left of one
EDGE = 0.02  # of the picture's side: a lone line that comes so near its edge is ruled
SCRAPS = 0.02  # of the lines' ink: too little for a digit
CROSSING = 7  # pixels of a line, between strokes on both sides of it
RECTANGLE = 0.85  # of the rectangle around it: what is no round digit
TALL = 0.25  # of a box's side: what is written in it
LIKE_OTHERS = (0.7, 1.5)  # times as large as the other boxes


def remove_lines(ink: np.ndarray, written: np.ndarray) -> np.ndarray:
    """Take away ruled lines: long, straight, and finer, paler or more than what was written."""
    lines = find_lines(written)
    rest = written & ~lines
    margin = max(2, round(EDGE * max(written.shape)))
    inner = lines[margin:-margin, margin:-margin]
    is_lone_stroke = not rest.any() and inner.sum() == lines.sum()
    if not lines.any() or is_lone_stroke:
        return written
    if lines.sum() > rest.sum():
        rest = _drop_remains(ink, rest, lines)
        if rest.sum() < SCRAPS * lines.sum():
            return np.zeros_like(written)
    else:
        finer = measure_stroke(lines) < LIGHTER * measure_stroke(rest)
        paler = np.median(ink[lines]) < LIGHTER * np.median(ink[rest])
        if not (finer or paler):
            return written
    # Where a line crosses a stroke, it is the stroke's.
    square = np.ones((CROSSING, CROSSING))
    closed = cv2.morphologyEx(rest.astype(np.uint8), cv2.MORPH_CLOSE, square) > 0
    return rest | (lines & closed)


def find_lines(written: np.ndarray) -> np.ndarray:
    """Find fine straight lines, nearly level or upright, bool (height, width).

    Where a stroke has broken a line, it goes on beyond.
    """
    lines = np.zeros_like(written)
    for turned in (False, True):
        page = np.ascontiguousarray(written.T if turned else written).astype(np.uint8)
        width = page.shape[1]
        thick = max(5, round(THICK * width))
        fine = cv2.morphologyEx(page, cv2.MORPH_TOPHAT, np.ones((thick, 1))).astype(np.uint8)
        votes, least = round(LONG / 2 * width), LONG * width
        found = cv2.HoughLinesP(fine, 1, ANGLE, votes, minLineLength=least, maxLineGap=BREAK)
        drawn = np.zeros_like(fine)
        for left, top, right, bottom in [] if found is None else found.reshape(-1, 4):
            if abs(bottom - top) < STEEPEST * abs(right - left):
                slope = (bottom - top) / (right - left)
                ends = (round(top - slope * left), round(top + slope * (width - left)))
                cv2.line(drawn, (0, ends[0]), (width, ends[1]), 1, thick * 2 // 3)
        crossed = (drawn > 0) & (fine > 0)
        lines |= crossed.T if turned else crossed
    return lines


def _drop_remains(ink: np.ndarray, rest: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Drop pieces that are as fine and as pale as the lines: what is left of some."""
    pieces = find_pieces(rest)
    radii = np.zeros(len(pieces.areas))
    np.maximum.at(radii, pieces.numbers[rest], measure_radii(rest)[rest])
    depths = np.bincount(pieces.numbers.ravel(), ink.ravel(), len(radii)) / pieces.areas
    deep = depths > ALIKE * np.median(ink[lines])
    return pieces.keep(deep | (radii > ALIKE * measure_stroke(lines)))


def remove_boxes(written: np.ndarray) -> np.ndarray:
    """Take away the boxes that digits were written into.

    A box is a rectangle with a piece of ink inside. Where there is one, so are the other rectangles
    of its size: the digits in them touch a side.
    """
    pixels = written.astype(np.uint8)
    outlines, tree = cv2.findContours(pixels, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return written
    children, parents = tree.reshape(-1, 4)[:, 2:].T
    sides = np.array([_measure_rectangle(outline) for outline in outlines])
    heights = np.array([cv2.boundingRect(outline)[3] for outline in outlines])
    # A box has a rectangular hole, and the hole a piece of ink.
    is_filled = (parents >= 0) & (children >= 0) & (heights[children] > TALL * sides) & (sides > 0)
    boxes = parents[is_filled]
    if not boxes.size:
        return written
    low, high = (share * np.median(sides[boxes]) for share in LIKE_OTHERS)
    alike = np.flatnonzero((parents < 0) & (low < sides) & (sides < high))
    walls, inside = np.zeros_like(pixels), np.zeros_like(pixels)
    for box in {*boxes, *alike}:
        cv2.fillConvexPoly(walls, cv2.convexHull(outlines[box]), 1)
        holes = np.flatnonzero(parents == box)
        for hole in holes[sides[holes] > 0]:
            cv2.fillConvexPoly(inside, cv2.convexHull(outlines[hole]), 1)
    return written & ~((walls > 0) & (cv2.erode(inside, np.ones((5, 5))) == 0))


def _measure_rectangle(outline: np.ndarray) -> float:
    """Return the shorter side of an outline; 0 if it is not nearly a rectangle."""
    _, (width, height), _ = cv2.minAreaRect(outline)
    is_rectangle = cv2.contourArea(cv2.convexHull(outline)) > RECTANGLE * max(width * height, 1)
    return float(min(width, height)) if is_rectangle else 0.0
