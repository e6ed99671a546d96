"""A sheet of paper on a table, found and seen from above."""

import cv2
import numpy as np

from digits.imaging.pictures import shrink

SMALL_SIDE = 250  # pixels of the picture in which a sheet is looked for
LEAST_AREA, MOST_AREA = 0.12, 0.97  # of the picture
CONVEX = 0.92  # of its hull: a sheet has no dents
FOUR_CORNERS = 0.96  # of its area, that four corners must hold
CUT_OFF = 0.8  # of a rectangle with a corner that lies outside of the picture
BESIDE = 13  # pixels across a side of the sheet, along which light is compared
LEVELS = 18  # of brightness, at which the outline is looked for
TABLE = 0.75  # of the sheet's light: a table is darker
SHARP = 0.7  # of the picture beside the sheet, and along it, where that is so
SMOOTH = (0.02, 0.03, 0.05)  # of the outline's length: corners so near to a line are none
INSET = 0.015  # of a side, where the table shows if the sheet is not straight


def find_sheet(picture: np.ndarray) -> np.ndarray | None:
    """Find the corners x, y (4, 2) of a light sheet on a darker ground, from its top left around.

    None where the paper fills the picture. One side of the sheet may be cut off by the picture.
    """
    light = picture.min(axis=2)[..., np.newaxis]  # paper is light in every colour, wood is not
    small = shrink(light, SMALL_SIDE)[..., 0]
    levels = cv2.GaussianBlur(small, (0, 0), 1)
    for level in np.linspace(levels.min(), levels.max(), LEVELS)[1:-1]:
        corners = _outline((levels > level).astype(np.uint8))
        if corners is not None and _is_sheet(corners, small):
            return corners * max(picture.shape) / max(small.shape)
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
    polygons = [cv2.approxPolyDP(hull, share * around, closed=True) for share in SMOOTH]
    polygons = [each for each in polygons if len(each) == 4]
    corners = max(polygons, key=cv2.contourArea, default=hull)
    if len(corners) != 4 or cv2.contourArea(corners) < FOUR_CORNERS * area:
        corners = cv2.boxPoints(cv2.minAreaRect(hull))
    if area < CUT_OFF * cv2.contourArea(corners):
        return None
    away = corners.reshape(4, 2) - corners.reshape(4, 2).mean(axis=0)
    return corners.reshape(4, 2)[np.argsort(np.arctan2(away[:, 1], away[:, 0]))].astype(np.float64)


def _is_sheet(corners: np.ndarray, light: np.ndarray) -> bool:
    """Tell a sheet from paper that is lit beside a shadow: its edge is sharp, on three sides."""
    sheet = cv2.fillConvexPoly(np.zeros(light.shape, np.uint8), corners.round().astype(int), 1)
    is_dark = light < TABLE * cv2.dilate(light, np.ones((BESIDE, BESIDE)))
    around = cv2.dilate(sheet, np.ones((BESIDE, BESIDE))) > sheet
    ends = np.array(light.shape[::-1]) - 1
    middles = (corners + np.roll(corners, -1, axis=0)) / 2
    in_view = ((middles > BESIDE / 2) & (middles < ends - BESIDE / 2)).all(axis=1)
    is_table = light[sheet == 0] < TABLE * np.median(light[sheet > 0])
    return in_view.sum() > 2 and is_table.mean() > SHARP and is_dark[around].mean() > SHARP


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
