"""Batches of images: in training, their order and augmentation are functions of seed and epoch.

Each image is moved at random; then each effect of pen and camera is applied to a random share of
the images, at a random strength. Images are float32 (n, 28, 28, 1) in [0, 1].
"""

import math
from collections.abc import Callable

from digits.data.splits import Split
from digits.files import expect_random_reads
from digits.model.backend import keras, tf
from digits.model.recipes import Augmentation, Effect, Recipe

TAKEN_AT_A_TIME = 2048  # images: calling Python for each small batch would be slow
BLURS = (0.7, 1.4, 2.8)  # standard deviations in pixels; others are interpolated

Pair = tuple[tf.Tensor, tf.Tensor]  # images and their targets


def count_steps(image_count: int, batch_size: int) -> int:
    """Count the batches of an epoch; the last one may be smaller."""
    return math.ceil(image_count / batch_size)


def make_batches(
    train: Split, recipe: Recipe, seed: int, class_count: int
) -> tuple[tf.data.Dataset, tf.Variable]:
    """Make the dataset of one epoch, and the int64 variable that holds the epoch's number.

    Assign the number before each epoch: a resumed training then sees the same batches as one that
    was never interrupted. Batches are float32 (n, 28, 28, 1) images and their targets.
    """
    expect_random_reads(train.images)
    count = len(train.labels)
    steps = count_steps(count, recipe.batch_size)
    epoch = tf.Variable(0, trainable=False, dtype=tf.int64)

    def shuffle(_: tf.Tensor) -> tf.data.Dataset:
        seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seeds)
        return tf.data.Dataset.from_tensor_slices(order)

    def distort_batch(step: tf.Tensor, pair: Pair) -> Pair:
        batch, targets = pair
        number = epoch * steps + step
        seeds = tf.stack([tf.constant(seed, tf.int64), number])
        if recipe.augmentation.moves:
            batch = distort(batch, seeds, recipe.augmentation)
        progress = tf.cast(number, tf.float32) / (recipe.epochs * steps)
        return corrupt(batch, seeds, recipe.augmentation, progress), targets

    orders = tf.data.Dataset.range(1).flat_map(shuffle)  # drawn when the epoch begins
    batches = _take(train, recipe.loss, class_count, orders.batch(TAKEN_AT_A_TIME))
    batches = batches.unbatch().batch(recipe.batch_size).enumerate().map(distort_batch)
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    return _prefetch(batches), epoch


def make_validation_batches(
    validation: Split, loss: str, batch_size: int, class_count: int
) -> tf.data.Dataset:
    """Make the dataset of the validation images and their targets, in order."""
    rows = tf.data.Dataset.range(len(validation.labels)).batch(batch_size)
    return _prefetch(_take(validation, loss, class_count, rows))


def encode_labels(labels: tf.Tensor, loss: str, class_count: int) -> tf.Tensor:
    """Return uint8 (n,) labels as the loss wants them: one-hot float32 (n, k), or unchanged."""
    return tf.one_hot(labels, class_count) if loss == "categorical_crossentropy" else labels


def _take(split: Split, loss: str, class_count: int, rows: tf.data.Dataset) -> tf.data.Dataset:
    """Read rows of images from disk by NumPy: a constant in the graph would copy all to memory."""
    images, labels = split.images, tf.constant(split.labels)

    def take(at: tf.Tensor) -> Pair:
        taken = tf.numpy_function(lambda rows: images[rows], [at], images.dtype, stateful=False)
        targets = encode_labels(tf.gather(labels, at), loss, class_count)
        return tf.ensure_shape(taken, (None, *images.shape[1:])), targets

    return rows.map(take)


def _prefetch(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # There is nothing to tune, and each epoch would end by waiting for the tuner's thread.
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)


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
