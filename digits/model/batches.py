"""Batches of images: in training, their order and augmentation are functions of seed and epoch."""

import math
from collections.abc import Callable

import numpy as np

from digits.data.splits import Split
from digits.files import expect_random_reads
from digits.model.augmentation import add_upstrokes, corrupt, distort
from digits.model.backend import tf
from digits.model.recipes import ONE, Recipe

TAKEN_AT_A_TIME = 2048  # images: calling Python for each small batch would be slow

Pair = tuple[tf.Tensor, tf.Tensor]  # images and their targets
Read = Callable[[np.ndarray], np.ndarray]  # rows (n,) to images (n, 28, 28, 1)


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

    def read(rows: np.ndarray) -> np.ndarray:
        images = train.images[rows]
        if recipe.augmentation.upstroke:
            ones = train.labels[rows] == ONE
            draws = np.random.default_rng([seed, int(epoch), rows[0]])
            images[ones] = add_upstrokes(images[ones], recipe.augmentation.upstroke, draws)
        return images

    def distort_batch(step: tf.Tensor, pair: Pair) -> Pair:
        batch, targets = pair
        number = epoch * steps + step
        seeds = tf.stack([tf.constant(seed, tf.int64), number])
        if recipe.augmentation.moves:
            batch = distort(batch, seeds, recipe.augmentation)
        progress = tf.cast(number, tf.float32) / (recipe.epochs * steps)
        return corrupt(batch, seeds, recipe.augmentation, progress), targets

    orders = tf.data.Dataset.range(1).flat_map(shuffle)  # drawn when the epoch begins
    batches = _take(train, recipe.loss, class_count, orders.batch(TAKEN_AT_A_TIME), read)
    batches = batches.unbatch().batch(recipe.batch_size).enumerate().map(distort_batch)
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    return _prefetch(batches), epoch


def make_validation_batches(
    validation: Split, loss: str, batch_size: int, class_count: int
) -> tf.data.Dataset:
    """Make the dataset of the validation images and their targets, in order."""
    rows = tf.data.Dataset.range(len(validation.labels)).batch(batch_size)
    return _prefetch(_take(validation, loss, class_count, rows, validation.images.__getitem__))


def encode_labels(labels: tf.Tensor, loss: str, class_count: int) -> tf.Tensor:
    """Return uint8 (n,) labels as the loss wants them: one-hot float32 (n, k), or unchanged."""
    return tf.one_hot(labels, class_count) if loss == "categorical_crossentropy" else labels


def _take(
    split: Split, loss: str, class_count: int, rows: tf.data.Dataset, read: Read
) -> tf.data.Dataset:
    """Read rows of images from disk by NumPy: a constant in the graph would copy all to memory."""
    labels = tf.constant(split.labels)

    def take(at: tf.Tensor) -> Pair:
        images = tf.numpy_function(read, [at], split.images.dtype, stateful=False)
        targets = encode_labels(tf.gather(labels, at), loss, class_count)
        return tf.ensure_shape(images, (None, *split.images.shape[1:])), targets

    return rows.map(take)


def _prefetch(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # There is nothing to tune, and each epoch would end by waiting for the tuner's thread.
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)
