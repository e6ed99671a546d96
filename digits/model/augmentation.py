"""Random changes of image batches, repeatable and inside TensorFlow's graph.

First an image is moved, then it goes through what pen and camera do to it: of each effect a share
of the images, by a strength that is drawn for the image. All take float32 (n, 28, 28, 1) in [0, 1].
"""

import math
from collections.abc import Callable

from digits.model.backend import keras, tf
from digits.model.recipes import Augmentation, Effect

BLURS = (0.7, 1.4, 2.8)  # standard deviations in pixels, between which images are mixed
ENDS = 1e-3  # what a Gaussian may lose beyond its kernel


def distort(images: tf.Tensor, seed: tf.Tensor, limits: Augmentation) -> tf.Tensor:
    """Shift, turn, scale and shear each image by its own random draw.

    `seed` is int (2,). The same seed gives the same images and another one others: callers must
    give every batch of every epoch its own. Bilinear; what comes in from outside is 0.
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
    """Let strokes grow by an amount of a pixel on each side, or shrink for every other image."""
    grown = tf.nn.max_pool2d(images, 3, 1, "SAME")
    shrunk = 1 - tf.nn.max_pool2d(1 - images, 3, 1, "SAME")
    side = tf.random.stateless_uniform(tf.shape(amounts), seed) < 0.5
    return images + amounts * (tf.where(side, grown, shrunk) - images)


def occlude(images: tf.Tensor, amounts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Paint a rectangle, a fraction of the image long and up to as broad, in a random grey."""
    side = images.shape[1]
    x, y, narrow, turned, grey = tf.unstack(_draw(5, images, seed))
    long, short = amounts * side, amounts * side * narrow
    wide, high = tf.where(turned < 0.5, long, short), tf.where(turned < 0.5, short, long)
    pixels = tf.range(side, dtype=tf.float32)
    across = tf.abs(pixels[None, None, :, None] - x * (side - 1)) <= wide / 2
    down = tf.abs(pixels[None, :, None, None] - y * (side - 1)) <= high / 2
    return tf.where(across & down, grey, images)


def blur(images: tf.Tensor, amounts: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """Smooth by Gaussians of up to so many pixels of standard deviation."""
    result, last, below = images, images, 0.0
    for deviation in BLURS:
        reach = math.ceil(deviation * math.sqrt(-2 * math.log(ENDS)))
        line = tf.exp(-0.5 * (tf.range(-reach, reach + 1, dtype=tf.float32) / deviation) ** 2)
        line /= tf.reduce_sum(line)
        smooth = tf.nn.conv2d(images, line[:, None, None, None], 1, "SAME")
        smooth = tf.nn.conv2d(smooth, line[None, :, None, None], 1, "SAME")
        share = tf.clip_by_value((amounts - below) / (deviation - below), 0, 1)
        result += share * (smooth - last)
        last, below = smooth, deviation
    return result


def reduce_contrast(images: tf.Tensor, amounts: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """Bring every pixel nearer to its image's mean by a fraction."""
    return images + amounts * (tf.reduce_mean(images, axis=(1, 2), keepdims=True) - images)


def brighten(images: tf.Tensor, amounts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Add light, up to an amount drawn for each corner of the image and evenly between them."""
    corners = amounts * _draw(4, images, seed)
    across = tf.linspace(0.0, 1.0, images.shape[2])[None, None, :, None]
    down = tf.linspace(0.0, 1.0, images.shape[1])[None, :, None, None]
    top = corners[0] + across * (corners[1] - corners[0])
    bottom = corners[2] + across * (corners[3] - corners[2])
    return images + top + down * (bottom - top)


def add_noise(images: tf.Tensor, amounts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Add Gaussian noise of a standard deviation to every pixel."""
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
        chosen = tf.where(amounts[:, 0, 0, 0] > 0)  # the others are not worth the arithmetic
        changed = apply(tf.gather_nd(images, chosen), tf.gather_nd(amounts, chosen), seeds + 1)
        images = tf.tensor_scatter_nd_update(images, chosen, tf.clip_by_value(changed, 0, 1))
    return images


def _draw(number: int, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw so many numbers from 0 to 1 for each image: (number, n, 1, 1, 1)."""
    return tf.random.stateless_uniform([number, tf.shape(images)[0], 1, 1, 1], seed)
