"""Ink: how far each pixel of a page is from the paper around it."""

import cv2
import numpy as np

FAINT = 0.08  # contrast of 1 below which there is paper, and no ink
DIM = 0.15  # paper that is darker is taken to be this light: its noise is not enlarged
# Of drawings.
CORNERS = 0.3  # weight of the four corners among the border
FLAT = 0.15  # of the contrast: nearer than this to the lightest or the darkest is one of the two
CLEAN = 0.75  # of the pixels that are one of the two: a drawing or a scan, without shadows
SMALL = 100  # pixels: no photograph is smaller
# Of photographs.
BLUR = 1.0  # pixels, against the paper's grain
BROADEST = 0.15  # of the picture's shorter side: no stroke is broader
SHADE = 0.5  # of the light: what is darker is no shadow on paper
BOARD = 0.6  # of the lightest: only on paper that is darker is light ink looked for
NOISE = 6.0  # standard deviations of the grain: what is deeper is ink


def is_drawing(picture: np.ndarray) -> bool:
    """Tell whether a picture is too small for a photograph, or has two shades and few between."""
    grey = picture.mean(axis=2)
    low, high = grey.min(), grey.max()
    reach = FLAT * (high - low)
    is_clean = np.mean((grey <= low + reach) | (grey >= high - reach)) > CLEAN
    # The darker shade of paper in the sun is no ink; blue on yellow differs more in one colour.
    is_deep = (picture.min(axis=(0, 1)) < SHADE * picture.max(axis=(0, 1))).any()
    return max(grey.shape) <= SMALL or bool(is_clean and is_deep)


def measure_drawing(picture: np.ndarray) -> np.ndarray:
    """Return the ink of a drawing, float (height, width): how far it is from its paper."""
    grey = picture.mean(axis=2)
    light = is_light(grey)
    is_paper = (grey > (grey.min() + grey.max()) / 2) == light
    paper = np.median(picture[is_paper], axis=0)
    depths = (paper - picture) / paper.clip(DIM) if light else picture - paper
    return depths.max(axis=2).clip(0).astype(np.float32)


def is_light(grey: np.ndarray) -> np.ndarray:
    """Tell whether paper is the lighter of two shades of drawings, float (height, width, ...).

    Most of the border is paper, and most corners are. That also holds where a glyph is cut to its
    box, and ink reaches all four sides.
    """
    border = list_border(grey).mean(axis=0)
    corners = grey[[0, 0, -1, -1], [0, -1, 0, -1]].mean(axis=0)
    middle = (grey.min(axis=(0, 1)) + grey.max(axis=(0, 1))) / 2
    return np.asarray((1 - CORNERS) * border + CORNERS * corners > middle)


def list_border(picture: np.ndarray) -> np.ndarray:
    """Return the pixels along the edges of (height, width, ...), (n, ...)."""
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])


def measure_ink(page: np.ndarray) -> np.ndarray:
    """Return the ink of a photograph, float (height, width), in the channel where it is deepest.

    Paper is what is left where strokes are filled up from their sides, by a grey closing or, where
    they are light, an opening: that follows gradients and the edge of a shadow.
    """
    smooth = cv2.GaussianBlur(page, (0, 0), BLUR).reshape(page.shape)
    reach = max(3, round(BROADEST * min(page.shape[:2]))) | 1
    grey = smooth.mean(axis=2)
    is_dim = np.median(grey) < BOARD * grey.max()
    square = np.ones((reach, reach))
    # Ink is the lesser part of what is around it, and so the farther from its mean.
    away = smooth - cv2.blur(smooth, (2 * reach + 1, 2 * reach + 1)).reshape(page.shape)
    is_light_ink = is_dim and np.mean(away**3) > 0
    way = cv2.MORPH_OPEN if is_light_ink else cv2.MORPH_CLOSE
    wide = np.pad(smooth, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    paper = cv2.morphologyEx(wide, way, square)[reach:-reach, reach:-reach].reshape(page.shape)
    # In a shadow, dark ink takes as large a share of the light.
    dim = max(DIM, SHADE * float(np.quantile(paper, 0.95)))
    depths = smooth - paper if is_light_ink else (paper - smooth) / paper.clip(dim)
    return depths.max(axis=2).clip(0)


def threshold(ink: np.ndarray, grain: float = 0.0) -> np.ndarray:
    """Tell ink from paper, bool (height, width): where the two kinds differ most (Otsu 1979).

    doi 10.1109/TSMC.1979.4310076. Neither what is faint nor the paper's grain is ink.
    """
    top = float(ink.max(initial=0))
    if top <= FAINT:
        return np.zeros(ink.shape, bool)
    level, _ = cv2.threshold((255 / top * ink).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return ink > max(level * top / 255, FAINT, grain)


def measure_grain(ink: np.ndarray) -> float:
    """Return how deep the grain of a photograph's paper may be."""
    deviation = 1.5 * float(np.median(np.abs(ink - cv2.GaussianBlur(ink, (0, 0), 2))))
    return float(np.quantile(ink, 0.25)) + NOISE * deviation


def measure_stroke(written: np.ndarray) -> float:
    """Return half the width of strokes, in pixels, where they are broad; 0 where there is none."""
    radii = measure_radii(written)[written]
    return float(np.quantile(radii, 0.9)) if radii.size else 0.0


def measure_radii(written: np.ndarray) -> np.ndarray:
    """Return float (height, width): how far each pixel of ink is from paper."""
    return cv2.distanceTransform(written.astype(np.uint8), cv2.DIST_L2, 5)
