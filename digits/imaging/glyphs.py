"""Pictures of one glyph, and drawings: which shade is paper, and whether a digit is in its place.

Nothing here is for photographs, whose light is uneven.
"""

import numpy as np

from digits.data.datasets import IMAGE_SIDE
from digits.imaging.normalization import BOX_SIDE, MIDDLE

FAINT = 0.08  # contrast of 1 below which there is paper, and no ink
CENTRED = 2.0  # pixels of 28: how far from the middle the centre of mass of a digit may lie, and
FULL = 2  # by how many its longer side may differ from 20; a larger one fills the picture
CORNERS = 0.3  # weight of the four corners among the border
FLAT = 0.15  # of the contrast: nearer than this to the lightest or the darkest is one of the two
CLEAN = 0.75  # of the pixels that are one of the two: a drawing or a scan, without shadows
SMALL = 100  # pixels: no photograph is smaller


def is_light(grey: np.ndarray) -> bool:
    """Tell whether paper is the lighter of two shades of a drawing, float (height, width).

    Most of the border is paper, and most corners are. That also holds where a glyph is cut to its
    box, and ink reaches all four sides.
    """
    border = list_border(grey).mean()
    corners = grey[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    return bool((1 - CORNERS) * border + CORNERS * corners > (grey.min() + grey.max()) / 2)


def find_paper(picture: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the colour of a drawing's paper (channels,), and whether it is the lighter shade."""
    grey, border = picture.mean(axis=2), list_border(picture)
    light = is_light(grey)
    paper = border[(border.mean(axis=1) > (grey.min() + grey.max()) / 2) == light]
    return np.median(paper if len(paper) else border, axis=0), light


def list_border(picture: np.ndarray) -> np.ndarray:
    """Return the pixels along the edges of (height, width, ...), (n, ...)."""
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])


def is_drawing(picture: np.ndarray) -> bool:
    """Tell whether a picture is too small for a photograph, or has two shades and few between."""
    grey = picture.mean(axis=2)
    if max(grey.shape) <= SMALL:
        return True
    low, high = grey.min(), grey.max()
    reach = FLAT * (high - low)
    return bool(np.mean((grey <= low + reach) | (grey >= high - reach)) > CLEAN)


def is_placed(ink: np.ndarray) -> bool:
    """Tell whether ink (28, 28) has the size and place of MNIST's digits, or fills the picture."""
    rows, columns = (np.flatnonzero((ink > FAINT).any(axis=axis)) for axis in (1, 0))
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    if longest > BOX_SIDE + FULL:
        return True
    places = np.arange(IMAGE_SIDE)
    centre_of_mass = [places @ ink.sum(axis=axis) / ink.sum() for axis in (1, 0)]
    near = all(abs(it - MIDDLE) <= CENTRED for it in centre_of_mass)
    return bool(near and longest >= BOX_SIDE - FULL)
