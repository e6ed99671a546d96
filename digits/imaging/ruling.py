"""What is printed on paper: ruled lines, squares, and boxes to write into."""

import cv2
import numpy as np

from digits.imaging.ink import measure_radii, measure_stroke
from digits.imaging.pieces import find_pieces

SLOPES = np.arange(-0.12, 0.121, 0.015)  # of a ruled line, which a camera sees askew
LONG = 0.35  # of the picture's side: a ruled line
REST = 0.07  # of it: what is left of one that a stroke has broken
THICK = 0.01  # of that side, or 5 pixels: a stroke, no ruled line
BREAK = 15  # pixels, of a line that grain has broken
LIGHTER = 0.6  # of the strokes' width or depth: a ruled line, and
ALIKE = 1.25  # times a line's: what is left of one
EDGE = 0.02  # of the picture's side: a lone line that comes so near its edge is ruled
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

    A line of some slope is a long run in a row, once the picture is sheared by that slope.
    """
    lines = np.zeros_like(written)
    for turned in (False, True):
        page = np.ascontiguousarray(written.T if turned else written).astype(np.uint8)
        height, width = page.shape
        thick = max(5, round(THICK * width))
        fine = cv2.morphologyEx(page, cv2.MORPH_TOPHAT, np.ones((thick, 1)))
        found = np.zeros(page.shape, bool)
        for slope in SLOPES:
            size = (width, height + int(np.ceil(abs(slope) * width)))
            shear = np.array([[1, 0, 0], [slope, 1, max(0, -slope * width)]])
            level = cv2.warpAffine(fine, shear, size, flags=cv2.INTER_NEAREST)
            level = cv2.dilate(level, np.ones((3, 1)))
            level = cv2.morphologyEx(level, cv2.MORPH_CLOSE, np.ones((1, BREAK)))
            runs = cv2.morphologyEx(level, cv2.MORPH_OPEN, np.ones((1, round(LONG * width))))
            level_rows = runs.any(axis=1)
            if level_rows.any():
                # Where a stroke has broken a line, shorter runs go on in the row.
                shorter = np.ones((1, max(1, round(REST * width))))
                runs = cv2.morphologyEx(level, cv2.MORPH_OPEN, shorter)
                runs[~level_rows] = 0
                back = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
                found |= cv2.warpAffine(runs, shear, (width, height), flags=back) > 0
        found &= fine > 0
        lines |= found.T if turned else found
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
    pieces = find_pieces(written)
    rectangles = [_find_rectangle(outline) for outline in outlines]
    children, parents = tree.reshape(-1, 4)[:, 2:].T
    owners = [
        pieces.numbers[tuple(outlines[n if parent < 0 else parent].reshape(-1, 2)[0][::-1])]
        for n, parent in enumerate(parents)
    ]
    free = pieces.measure_contacts() == 0
    is_box, sides, holes = np.zeros(len(free), bool), [], np.zeros_like(pixels)
    for number, (hull, side) in enumerate(rectangles):
        if parents[number] < 0 or not side or not free[owners[number]]:
            continue
        cv2.fillConvexPoly(holes, hull, 1)
        child = children[number]
        if child >= 0 and cv2.boundingRect(outlines[child])[3] > TALL * side:
            is_box[owners[number]] = True
            sides.append(side)
    if not sides:
        return written
    inside = cv2.erode(holes, np.ones((5, 5))) > 0
    wall = 4 * measure_stroke(pieces.keep(is_box) & ~inside)
    low, high = (share * np.median(sides) for share in LIKE_OTHERS)
    others = np.zeros_like(pixels)
    for number, (hull, side) in enumerate(rectangles):
        owner = owners[number]
        if parents[number] < 0 and free[owner] and not is_box[owner] and low < side < high:
            is_box[owner] = True
            cv2.fillConvexPoly(others, hull, 1)
    inside |= cv2.erode(others, np.ones((round(wall) + 5, round(wall) + 5))) > 0
    return written & ~(pieces.keep(is_box) & ~inside)


def _find_rectangle(outline: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the hull of an outline and its shorter side; 0 if it is not nearly a rectangle."""
    hull = cv2.convexHull(outline)
    _, (width, height), _ = cv2.minAreaRect(hull)
    is_rectangle = cv2.contourArea(hull) > RECTANGLE * max(width * height, 1)
    return hull, float(min(width, height)) if is_rectangle else 0.0
