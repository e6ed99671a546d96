"""Augmentation: random changes of training images, float32 (n, 28, 28, 1) in [0, 1], black paper.

Some ones get an upstroke. Then each image is moved at random, and last each effect of pen and
camera is applied to a random share of the images, at a random strength.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from digits.model.backend import keras, tf
from digits.model.recipes import Augmentation, Effect

BLURS = (0.7, 1.4, 2.8)  # standard deviations in pixels; others are interpolated
# Of upstrokes.
ANGLES = np.radians((25, 65))  # between the two strokes of an upright one
LENGTHS = (0.3, 1.0)  # of the downstroke's
MOST_LEAN = 0.6  # columns a row; a one that leans farther would become a seven,
FLATTEST = 0.5  # and so would one whose upstroke rises less, as the sine of its angle
BLACK = 0.5  # ink from which on a row belongs to the downstroke


def add_upstrokes(ones: np.ndarray, probability: float, draws: np.random.Generator) -> np.ndarray:
    """Add an upstroke to a random share of ones, as much of Europe writes them.

    MNIST has few, and a network that has not seen them reads them as sevens.
    """
    written = ones.copy()
    for number in np.flatnonzero(draws.random(len(ones)) < probability):
        angle, length = draws.uniform(*ANGLES), draws.uniform(*LENGTHS)
        written[number, ..., 0] = add_upstroke(ones[number, ..., 0], angle, length)
    return written


def add_upstroke(ink: np.ndarray, angle: float, length: float) -> np.ndarray:
    """Return a one, (28, 28), with an upstroke, unless it leans far.

    The upstroke leans as the downstroke does and is as wide; `angle` is the one between them were
    the one upright, in radians, `length` a fraction. The centre of mass keeps its place.
    """
    rows = np.flatnonzero(ink.max(axis=1) > BLACK)
    if len(rows) < 3:
        return ink
    columns = np.arange(ink.shape[1])
    # A row inside, since the outermost one has little ink.
    top, bottom = (np.array([row, np.average(columns, weights=ink[row])]) for row in rows[[1, -2]])
    height, shift = bottom - top
    lean = shift / max(height, 1)
    direction = np.array([np.cos(angle), lean * np.cos(angle) - np.sin(angle)])
    direction /= np.linalg.norm(direction)
    if abs(lean) > MOST_LEAN or direction[0] < FLATTEST:
        return ink
    downstroke = max(np.hypot(height, shift), 1)
    away = np.moveaxis(np.indices(ink.shape), 0, 2) - top
    along = (away @ direction).clip(0, length * downstroke)
    distance = np.linalg.norm(away - along[..., np.newaxis] * direction, axis=2)
    width = ink.sum() / downstroke
    written = np.maximum(ink, (width / 2 + 0.5 - distance).clip(0, 1))
    moved = np.subtract(ndimage.center_of_mass(ink), ndimage.center_of_mass(written))
    return ndimage.shift(written, moved, order=1)


def distort(images: tf.Tensor, seed: tf.Tensor, limits: Augmentation) -> tf.Tensor:
    """Shift, turn, scale and shear each image at random; pixels from outside are 0.

    `seed` is int (2,), another one for each batch of each epoch.
    """
    draws = tf.random.stateless_uniform([6, tf.shape(images)[0]], seed, -1.0, 1.0)
    turn, wide, high, slant, across, down = tf.unstack(draws)
    angle, shear = turn * math.radians(limits.angle), slant * limits.shear
    cos, sin, zero = tf.cos(angle), tf.sin(angle), tf.zeros_like(angle)
    x_scale, y_scale = 1 / (1 + limits.scale * wide), 1 / (1 + limits.scale * high)
    # The transform takes output coordinates to input coordinates, about the centre.
    xx, xy = cos * x_scale, (cos * shear - sin) * x_scale
    yx, yy = sin * y_scale, (sin * shear + cos) * y_scale
    centre = (images.shape[1] - 1) / 2
    x0 = centre * (1 - xx - xy) + limits.shift * across
    y0 = centre * (1 - yx - yy) + limits.shift * down
    transform = tf.stack([xx, xy, x0, yx, yy, y0, zero, zero], axis=1)
    return keras.ops.image.affine_transform(images, transform, data_format="channels_last")


def thicken(images: tf.Tensor, amounts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Grow or shrink strokes, at random, by a fraction of a pixel on each side."""
    grown = tf.nn.max_pool2d(images, 3, 1, "SAME")
    shrunk = 1 - tf.nn.max_pool2d(1 - images, 3, 1, "SAME")
    side = tf.random.stateless_uniform(tf.shape(amounts), seed) < 0.5
    return images + amounts * (tf.where(side, grown, shrunk) - images)


def occlude(images: tf.Tensor, amounts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Paint a grey rectangle, as long as a fraction of the image and at most as wide."""
    side = images.shape[1]
    x, y, narrow, turned, grey = tf.unstack(_draw(5, images, seed))
    long, short = amounts * side, amounts * side * narrow
    wide, high = tf.where(turned < 0.5, long, short), tf.where(turned < 0.5, short, long)
    pixels = tf.range(side, dtype=tf.float32)
    across = tf.abs(pixels[None, None, :, None] - x * (side - 1)) <= wide / 2
    down = tf.abs(pixels[None, :, None, None] - y * (side - 1)) <= high / 2
    return tf.where(across & down, grey, images)


def blur(images: tf.Tensor, amounts: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """Smooth by Gaussians, `amounts` their standard deviations in pixels."""
    result, last, below = images, images, 0.0
    for deviation in BLURS:
        reach = math.ceil(deviation * math.sqrt(-2 * math.log(1e-3)))  # to a weight of 0.001
        line = tf.exp(-0.5 * (tf.range(-reach, reach + 1, dtype=tf.float32) / deviation) ** 2)
        line /= tf.reduce_sum(line)
        smooth = tf.nn.conv2d(images, line[:, None, None, None], 1, "SAME")
        smooth = tf.nn.conv2d(smooth, line[None, :, None, None], 1, "SAME")
        share = tf.clip_by_value((amounts - below) / (deviation - below), 0, 1)
        result += share * (smooth - last)
        last, below = smooth, deviation
    return result


def reduce_contrast(images: tf.Tensor, amounts: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """Move every pixel towards its image's mean by a fraction."""
    return images + amounts * (tf.reduce_mean(images, axis=(1, 2), keepdims=True) - images)


def brighten(images: tf.Tensor, amounts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Add light: a random amount at each corner, interpolated linearly between them."""
    corners = amounts * _draw(4, images, seed)
    across = tf.linspace(0.0, 1.0, images.shape[2])[None, None, :, None]
    down = tf.linspace(0.0, 1.0, images.shape[1])[None, :, None, None]
    top = corners[0] + across * (corners[1] - corners[0])
    bottom = corners[2] + across * (corners[3] - corners[2])
    return images + top + down * (bottom - top)


def add_noise(images: tf.Tensor, amounts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Add Gaussian noise to every pixel, `amounts` its standard deviations."""
    return images + amounts * tf.random.stateless_normal(tf.shape(images), seed)


EFFECTS: dict[str, Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "thickness": thicken,
    "occlusion": occlude,
    "blur": blur,
    "contrast": reduce_contrast,
    "brightness": brighten,
    "noise": add_noise,
    "polarity": lambda images, *_: 1 - images,  # ink and paper change places
}


def corrupt(
    images: tf.Tensor, seed: tf.Tensor, limits: Augmentation, progress: tf.Tensor
) -> tf.Tensor:
    """Apply each effect to its share of the images; `progress`, 0 to 1, is the training's."""
    fading = tf.minimum(1.0, (1 - progress) / max(limits.fade_fraction, 1e-9))
    for number, (name, apply) in enumerate(EFFECTS.items()):
        effect = getattr(limits, name)
        if not effect:
            continue
        if not isinstance(effect, Effect):  # a probability alone
            effect = Effect(probability=effect, strength=1.0)
        seeds = tf.random.experimental.stateless_fold_in(seed, number)
        chances, amounts = tf.unstack(_draw(2, images, seeds))
        amounts = tf.where(chances < effect.probability * fading, amounts * effect.strength, 0)
        chosen = tf.where(amounts[:, 0, 0, 0] > 0)  # the others stay as they are
        changed = apply(tf.gather_nd(images, chosen), tf.gather_nd(amounts, chosen), seeds + 1)
        images = tf.tensor_scatter_nd_update(images, chosen, tf.clip_by_value(changed, 0, 1))
    return images


def _draw(number: int, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw uniform numbers in [0, 1) for each image: (number, n, 1, 1, 1)."""
    return tf.random.stateless_uniform([number, tf.shape(images)[0], 1, 1, 1], seed)
