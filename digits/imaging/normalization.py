"""Normalize images of handwriting as MNIST's were.

LeCun, Cortes and Burges, "The MNIST database": a digit is fitted into a box of 20x20 pixels, its
aspect kept, smooth edges grey, and then moved so that its centre of mass is in the middle of the
28x28 pixels.
"""

import numpy as np

from digits.data.splits import IMAGE_SIDE

BOX_SIDE = 20  # pixels
CENTRED = 2.0  # pixels of 28: how far from the middle the centre of mass of a digit may lie, and
FULL = 2  # by how many its longer side may differ from 20; a larger one fills the picture
MIDDLE = IMAGE_SIDE / 2  # where MNIST's centres of mass lie: pixel 14 of 0 to 27, on average


def centre(ink: np.ndarray) -> np.ndarray:
    """Turn float (height, width) in [0, 1], 0 where there is no ink, into float32 (28, 28).

    All is one linear interpolation, over as many pixels as become one where it shrinks. Without any
    ink the image is empty.
    """
    written = ink > 0
    if not written.any():
        return np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.float32)
    lengths = (np.ptp(places) + 1 for places in np.nonzero(written))
    pitch = max(lengths) / BOX_SIDE  # pixels there to a pixel here
    rows, columns = (_interpolate(ink.sum(axis=1 - axis), pitch) for axis in (0, 1))
    return (rows @ ink @ columns.T).clip(0, 1).astype(np.float32)


def _interpolate(mass: np.ndarray, pitch: float) -> np.ndarray:
    """Return the weights (28, n) of n places in 28 pixels, the centre of mass in the middle."""
    places = np.arange(len(mass))
    centre_of_mass = places @ mass / mass.sum()
    wanted = centre_of_mass + (np.arange(IMAGE_SIDE) - MIDDLE) * pitch
    reach = max(pitch, 1.0)
    weights = np.maximum(0, 1 - np.abs(places - wanted[:, np.newaxis]) / reach)
    # Beyond the edge there is paper: weights that reach there are not made up for.
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), reach)


def is_placed(written: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Tell whether ink (28, 28, n) has the size and place of MNIST's digits, or fills its picture.

    `written` is bool (28, 28, n): where there is more than paper's own grain.
    """
    sides = (np.any(written, axis=1), np.any(written, axis=0))  # rows and columns with ink
    lengths = [
        IMAGE_SIDE - np.argmax(side, axis=0) - np.argmax(side[::-1], axis=0) for side in sides
    ]
    longest = np.maximum(*lengths)
    mass, places = np.maximum(ink.sum(axis=(0, 1)), 1e-6), np.arange(IMAGE_SIDE)
    centres = np.stack([places @ ink.sum(axis=axis) / mass for axis in (1, 0)])
    is_near = (np.abs(centres - MIDDLE) <= CENTRED).all(axis=0)
    return np.asarray((longest > BOX_SIDE + FULL) | (is_near & (longest >= BOX_SIDE - FULL)))
