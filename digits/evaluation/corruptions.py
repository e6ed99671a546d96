"""Corruptions of images: the 15 kinds of MNIST-C, and two more that a camera makes.

The kinds and their strengths are those of Mu and Gilmer 2019, arXiv 1906.02337. The code and the
random draws are our own, so accuracies come near those on the benchmark's files and do not equal
them.

A kind maps float32 (n, 28, 28) in [0, 1] to the same. All its random numbers are drawn as one array
whose first axis is that of the images, so an image's corruption depends on its position alone, not
on other images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from digits.data.splits import IMAGE_SIDE

Draws = np.random.Generator

SEED = 0  # the same draws for every model
PIXELS = np.arange(IMAGE_SIDE)
CENTRE = (IMAGE_SIDE - 1) / 2
LINE_REACH = 2.3  # pixels from the middle of a line to where the logarithm of its ink diverges
SAME_PLANE = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])  # 8 neighbours


@dataclass(frozen=True)
class Kind:
    """A corruption, and the key of a recipe's `augmentation` that does something like it."""

    apply: Callable[[np.ndarray, Draws], np.ndarray]
    resembles: str | None = None


def add_shot_noise(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Count photons, three on average where the image is 1; three and more are 1."""
    rate = 3 * images
    drawn = draws.random(images.shape, np.float32)
    # Whether there are more than 0, 1, 2, by Poisson's distribution. NumPy's `poisson` would draw a
    # number of values that depends on the image.
    at_most = np.exp(-rate) * np.stack([np.ones_like(rate), 1 + rate, 1 + rate + rate**2 / 2])
    return (drawn > at_most).mean(axis=0)


def add_impulse_noise(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Make 17 % of the pixels black or white, as many of either."""
    drawn = draws.random(images.shape, np.float32)
    return np.where(drawn < 0.085, 0, np.where(drawn < 0.17, 1, images))


def blur_by_glass(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Blur, twice swap every other pixel with one beside or over it, blur again."""
    shape = (len(images), 2, IMAGE_SIDE - 2, IMAGE_SIDE - 2, 3)
    swapped, up, left = draws.integers(0, 2, shape, np.uint8).transpose(4, 1, 2, 3, 0)
    pixels, every = np.moveaxis(_smooth(images, 0.7), 0, -1).copy(), np.arange(len(images))
    for turn in np.ndindex(shape[1:4]):
        row, column = (IMAGE_SIDE - 1 - passed for passed in turn[1:])
        there = row - (swapped[turn] & up[turn]), column - (swapped[turn] & left[turn]), every
        pixels[row, column], pixels[there] = pixels[there], pixels[row, column].copy()
    return _smooth(np.moveaxis(pixels, -1, 0), 0.7)


def blur_by_motion(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Smear to the left and up to 45 degrees up or down, as half a Gaussian of 3 pixels."""
    angle = np.radians(draws.uniform(-45, 45, len(images)))[:, np.newaxis]
    reach = 10
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    every = np.arange(len(images))[:, np.newaxis, np.newaxis]
    weights = np.exp(-((np.arange(reach + 1) / 3) ** 2) / 2)
    smeared = np.zeros_like(images)
    for step, weight in enumerate(weights / weights.sum()):
        rows = reach + PIXELS + np.rint(step * np.sin(angle)).astype(int)
        columns = reach + PIXELS + np.rint(step * np.cos(angle)).astype(int)
        smeared += weight * padded[every, rows[:, :, np.newaxis], columns[:, np.newaxis]]
    return smeared


def shear(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Move each row by 0.4 pixels more than the row before, to the left or right."""
    slant = 0.4 * draws.choice([-1.0, 1.0], len(images))
    return _warp(images, ((1, 0, 0), (slant, 1, 0)))


def scale(images: np.ndarray, _: Draws) -> np.ndarray:
    """Shrink to 0.7 of the size."""
    return _warp(images, ((1 / 0.7, 0, 0), (0, 1 / 0.7, 0)))


def rotate(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Turn by 0.4 radians, 23 degrees, either way."""
    angle = 0.4 * draws.choice([-1.0, 1.0], len(images))
    cos, sin = np.cos(angle), np.sin(angle)
    return _warp(images, ((cos, -sin, 0), (sin, cos, 0)))


def brighten(images: np.ndarray, _: Draws) -> np.ndarray:
    """Add a half."""
    return images + 0.5


def translate(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Move by three rows and three columns, each to either side."""
    down, right = 3 * draws.choice([-1.0, 1.0], (len(images), 2)).T
    return _warp(images, ((1, 0, down), (0, 1, right)))


def add_stripes(images: np.ndarray, _: Draws) -> np.ndarray:
    """Invert the seven columns at the left and at the right."""
    return np.where((PIXELS < 7) | (PIXELS >= IMAGE_SIDE - 7), 1 - images, images)


def add_fog(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Add three parts of fog to one of the image, and scale back to the image's maximum.

    The fog is a fractal: random heights on ever finer grids, each half as high as the one before,
    interpolated linearly. Neighbouring pixels differ as much as in the benchmark's fog.
    """
    cells = (64, 32, 16, 8, 4, 2)  # pixels between heights
    grids = [np.arange(-(-CENTRE * 2 // cell) + 1) for cell in cells]  # that reach over an image
    near = [
        np.maximum(0, 1 - np.abs(PIXELS[:, np.newaxis] / cell - grid))
        for cell, grid in zip(cells, grids, strict=True)
    ]
    sizes = [weights.shape[1] for weights in near]
    heights = draws.uniform(-1, 1, (len(images), sum(size**2 for size in sizes)))
    fog, height, start = np.full(images.shape, 0.5), 0.35, 0
    for weights, size in zip(near, sizes, strict=True):
        grid = heights[:, start : start + size**2].reshape(-1, size, size)
        fog += height * weights @ grid @ weights.T
        height, start = height / 2, start + size**2
    brightest = images.max(axis=(1, 2), keepdims=True)
    return (images + 3 * fog.clip(0, 1)) * brightest / (brightest + 3)


def spatter(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Cover the image with grey spots of mud, where smoothed noise is high."""
    is_high = _smooth(draws.standard_normal(images.shape), 1) > 0
    mud = _smooth(is_high.astype(float), 1.5)
    mud[mud < 0.8] = 0
    return images * (1 - mud) + 63 / 255 * mud


def add_dotted_line(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Draw a straight line from the left edge to the right, two columns of every four."""
    start, end = draws.integers(0, IMAGE_SIDE - 1, (len(images), 2)).T[..., np.newaxis]
    line = start + (end - start) * PIXELS / (IMAGE_SIDE - 1)
    return images + _ink_line(line) * (PIXELS % 4 >= 2)


def add_zigzag(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Draw a nearly horizontal line that goes two pixels up and down every eight."""
    first, last = 2, 25  # columns
    start, rise = draws.integers((0, -5), (IMAGE_SIDE - 1, 5), (len(images), 2)).T[..., np.newaxis]
    along = PIXELS - first
    teeth = np.abs((along - 2) % 8 - 4) - 2
    line = start + rise * along / (last - first) + teeth
    return images + _ink_line(line) * ((first <= PIXELS) & (last > PIXELS))


def find_edges(images: np.ndarray, _: Draws) -> np.ndarray:
    """Keep the edges alone, each a line of ones (Canny 1986, doi 10.1109/TPAMI.1986.4767851)."""
    smooth = _smooth(images.astype(float), 1)
    slopes = [_differentiate(smooth, axis) for axis in (1, 2)]
    steepness = np.hypot(*slopes)
    # A ridge is as steep as what lies on both sides, one pixel across the edge.
    longer = np.maximum(*np.abs(slopes)) + 1e-12
    down, right = (slope / longer for slope in slopes)
    row = PIXELS[:, np.newaxis]
    above = _sample(steepness, row - down, PIXELS - right)
    below = _sample(steepness, row + down, PIXELS + right)
    ridge = steepness + 1e-9 >= np.maximum(above, below)
    # Hysteresis: ridges above the lower threshold stay if they reach the higher one somewhere.
    lines, count = ndimage.label(ridge & (steepness >= 0.1), SAME_PLANE)
    kept = np.zeros(count + 1, bool)
    kept[lines[ridge & (steepness >= 0.2)]] = True
    return kept[lines]


def invert(images: np.ndarray, _: Draws) -> np.ndarray:
    """Swap ink and paper."""
    return 1 - images


def blur(images: np.ndarray, _: Draws) -> np.ndarray:
    """Smooth with a Gaussian of 1.5 pixels: out of focus."""
    return _smooth(images, 1.5)


MNIST_C = {
    "shot noise": Kind(add_shot_noise, "noise"),
    "impulse noise": Kind(add_impulse_noise, "noise"),
    "glass blur": Kind(blur_by_glass, "blur"),
    "motion blur": Kind(blur_by_motion, "blur"),
    "shear": Kind(shear, "shear"),
    "scale": Kind(scale, "scale"),
    "rotate": Kind(rotate, "angle"),
    "brightness": Kind(brighten, "brightness"),
    "translate": Kind(translate, "shift"),
    "stripe": Kind(add_stripes),
    "fog": Kind(add_fog, "contrast"),
    "spatter": Kind(spatter, "occlusion"),
    "dotted line": Kind(add_dotted_line),
    "zigzag": Kind(add_zigzag),
    "canny edges": Kind(find_edges),
}
CAMERA = {"inversion": Kind(invert, "polarity"), "defocus": Kind(blur, "blur")}
KINDS = MNIST_C | CAMERA  # as `train` measures; new ones belong in extra_corruptions.py


def corrupt(name: str, images: np.ndarray, kinds: Mapping[str, Kind] = KINDS) -> np.ndarray:
    """Return float32 (n, 28, 28) in [0, 1] after the corruption of that name."""
    draws = np.random.default_rng([SEED, *name.encode()])
    return kinds[name].apply(images, draws).clip(0, 1).astype(np.float32)


def _smooth(images: np.ndarray, deviation: float) -> np.ndarray:
    return ndimage.gaussian_filter(images, (0, deviation, deviation))


def _differentiate(images: np.ndarray, axis: int) -> np.ndarray:
    """Sobel's slope along an axis of each image."""
    return ndimage.correlate1d(ndimage.correlate1d(images, [-1, 0, 1], axis), [1, 2, 1], 3 - axis)


def _sample(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Read each image at rows and columns (n, 28, 28) between its pixels; outside it is 0."""
    number = np.arange(len(images))[:, np.newaxis, np.newaxis]
    points = np.broadcast_arrays(number, rows, columns)
    return ndimage.map_coordinates(images, points, order=1)


def _warp(images: np.ndarray, affine: Sequence[Sequence[np.ndarray | float]]) -> np.ndarray:
    """Read each image at other rows and columns, affine in (row, column, 1) about its centre.

    Each factor is a number for all images or float (n,).
    """
    (yy, yx, y), (xy, xx, x) = (
        [np.reshape(factor, (-1, 1, 1)) for factor in line] for line in affine
    )
    row, column = PIXELS[:, np.newaxis] - CENTRE, PIXELS - CENTRE
    rows, columns = yy * row + yx * column + y, xy * row + xx * column + x
    return _sample(images, CENTRE + rows, CENTRE + columns)


def _ink_line(line: np.ndarray) -> np.ndarray:
    """Draw lines, given by their row at each column (n, 28): densest in the middle, soft edges."""
    distance = np.abs(PIXELS[:, np.newaxis] - line[:, np.newaxis])
    return np.log1p(-np.minimum(distance / LINE_REACH, 0.99)).clip(-1) + 1
