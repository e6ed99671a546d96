"""A sheet of paper on a table, found and seen from above."""

import cv2
import numpy as np

SMALL_SIDE = 250  # pixels of the picture in which a sheet is sought
LEAST_AREA, MOST_AREA = 0.12, 0.97  # of the picture
CONVEX = 0.92  # of its hull: a sheet has no dents
FOUR_CORNERS = 0.96  # of its area, that four corners must hold
CUT_OFF = 0.8  # of a rectangle with a corner that lies outside of the picture
BESIDE = 6  # pixels from a side of the sheet, in and out, where light is compared
TABLE = 0.75  # of the sheet's light: a table is darker
SHARP = 0.7  # of the picture beside the sheet, and of each side, where that is so
INSET = 0.015  # of a side, where the table shows if the sheet is not straight


def find_sheet(picture: np.ndarray) -> np.ndarray | None:
    """Find the corners x, y (4, 2) of a light sheet on a darker ground, from its top left around.

    None where the paper fills the picture. One side of the sheet may be cut off by the picture.
    """
    grey = picture.mean(axis=2)
    scale = min(1.0, SMALL_SIDE / max(grey.shape))
    height, width = (max(1, round(scale * side)) for side in grey.shape)
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    levels = (255 * cv2.GaussianBlur(small, (0, 0), 1)).clip(0, 255).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
    lower, _ = cv2.threshold(levels[levels <= level].reshape(1, -1), 0, 255, cv2.THRESH_OTSU)
    for each in (lower, level):  # the lower one where a shadow lies on the sheet
        corners = _outline((levels > each).astype(np.uint8))
        if corners is not None and _is_sheet(corners, small):
            return corners / scale
    return None


def _outline(bright: np.ndarray) -> np.ndarray | None:
    """Return the corners (4, 2) of the largest bright piece, if it is a quadrilateral."""
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    largest = max(outlines, key=cv2.contourArea)
    hull = cv2.convexHull(largest)
    area = cv2.contourArea(hull)
    is_large = LEAST_AREA < area / bright.size < MOST_AREA
    if not is_large or cv2.contourArea(largest) < CONVEX * area:
        return None
    around = cv2.arcLength(hull, closed=True)
    for share in (0.02, 0.03, 0.05):
        corners = cv2.approxPolyDP(hull, share * around, closed=True).reshape(-1, 2)
        if len(corners) == 4 and cv2.contourArea(corners) > FOUR_CORNERS * area:
            return _sort_corners(corners)
    corners = cv2.boxPoints(cv2.minAreaRect(hull))
    return _sort_corners(corners) if area > CUT_OFF * cv2.contourArea(corners) else None


def _sort_corners(corners: np.ndarray) -> np.ndarray:
    """Sort x, y (4, 2) from the top left around, as the clock goes."""
    away = (corners - corners.mean(axis=0)).astype(np.float64)
    return corners[np.argsort(np.arctan2(away[:, 1], away[:, 0]))].astype(np.float64)


def _is_sheet(corners: np.ndarray, grey: np.ndarray) -> bool:
    """Tell a sheet from paper that is lit beside a shadow: every side in view is sharp.

    Three sides must be in view.
    """
    covered = cv2.fillConvexPoly(np.zeros(grey.shape, np.uint8), corners.round().astype(int), 1)
    light = np.median(grey[covered > 0])
    around = grey[covered == 0]
    if not around.size or np.mean(around < TABLE * light) < SHARP:
        return False  # what surrounds it is no table
    ends = np.array(grey.shape[::-1]) - 1
    sharp = 0
    for start, stop in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (stop - start) / np.linalg.norm(stop - start)
        outwards = BESIDE * np.array([along[1], -along[0]])
        places = start + np.linspace(0.1, 0.9, 20)[:, np.newaxis] * (stop - start)
        seen = ((places + outwards >= 0) & (places + outwards <= ends)).all(axis=1)
        if seen.mean() < 0.5:
            continue
        inside, outside = (
            grey[tuple((places[seen] + way).round().astype(int).clip(0, ends)[:, ::-1].T)]
            for way in (-outwards, outwards)
        )
        if np.mean(outside < TABLE * inside) < SHARP:
            return False
        sharp += 1
    return sharp > 2


def flatten(picture: np.ndarray, sheet: np.ndarray) -> np.ndarray:
    """Return the sheet as if seen from above."""
    transform, size = _measure(sheet)
    flat = cv2.warpPerspective(picture, transform, size, flags=cv2.INTER_LINEAR)
    return flat.reshape(*flat.shape[:2], -1)


def _measure(sheet: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the perspective transform to the flat sheet, less its edge, its width and height."""
    lengths = np.linalg.norm(sheet - np.roll(sheet, -1, 0), axis=1)  # top, right, bottom, left
    width, height = max(lengths[0], lengths[2]), max(lengths[1], lengths[3])
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    flat = flat - INSET * np.array([width, height])
    transform = cv2.getPerspectiveTransform(sheet.astype(np.float32), flat.astype(np.float32))
    return transform, (round((1 - 2 * INSET) * width), round((1 - 2 * INSET) * height))


def locate(box: tuple[slice, slice], sheet: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of the picture that a box of the flat sheet takes."""
    (top, bottom), (left, right) = ((extent.start, extent.stop) for extent in box)
    corners = np.array([[(left, top), (right, top), (right, bottom), (left, bottom)]], np.float32)
    transform, _ = _measure(sheet)
    places = cv2.perspectiveTransform(corners, np.linalg.inv(transform))[0]
    (left, top), (right, bottom) = places.min(axis=0).clip(0), places.max(axis=0).clip(0)
    return slice(int(top), int(np.ceil(bottom))), slice(int(left), int(np.ceil(right)))
