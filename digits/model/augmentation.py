"""Random affine distortion of image batches, repeatable and inside TensorFlow's graph."""

import math

from digits.model.backend import keras, tf
from digits.model.recipes import Augmentation


def distort(images: tf.Tensor, seed: tf.Tensor, limits: Augmentation) -> tf.Tensor:
    """Shift, turn, scale and shear each image of float32 (n, 28, 28, 1) by its own random draw.

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
