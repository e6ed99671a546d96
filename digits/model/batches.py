"""Batches of images: in training, their order and distortion are functions of seed and epoch."""

import math

import numpy as np

from digits.data.splits import Split
from digits.files.artifacts import expect_random_reads
from digits.model.augmentation import corrupt, distort
from digits.model.backend import tf
from digits.model.networks import encode_labels
from digits.model.recipes import Recipe


def count_steps(image_count: int, batch_size: int) -> int:
    """Count the batches of an epoch; the last one may be smaller."""
    return math.ceil(image_count / batch_size)


def make_batches(
    train: Split, recipe: Recipe, seed: int, class_count: int
) -> tuple[tf.data.Dataset, tf.Variable]:
    """Make the dataset of one epoch, and the variable, int64, that says which epoch it is.

    Batches are float32 (n, 28, 28, 1) images and their targets. Whoever iterates assigns the epoch
    first; a training that goes on from a checkpoint sees what an unbroken one would have seen.
    """
    expect_random_reads(train.images)
    targets = tf.constant(encode_labels(train.labels, recipe.loss, class_count))
    count = len(train.labels)
    steps = count_steps(count, recipe.batch_size)
    epoch = tf.Variable(0, trainable=False, dtype=tf.int64)

    def shuffle(_: tf.Tensor) -> tf.data.Dataset:
        seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seeds)
        return tf.data.Dataset.from_tensor_slices(order)

    def gather(step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = _take(train.images, chosen)
        number = epoch * steps + step
        seeds = tf.stack([tf.constant(seed, tf.int64), number])
        if recipe.augmentation.moves:
            batch = distort(batch, seeds, recipe.augmentation)
        progress = tf.cast(number, tf.float32) / (recipe.epochs * steps)
        batch = corrupt(batch, seeds, recipe.augmentation, progress)
        return batch, tf.gather(targets, chosen)

    orders = tf.data.Dataset.range(1).flat_map(shuffle)  # one, drawn as the epoch begins
    batches = orders.batch(recipe.batch_size).enumerate().map(gather)
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    return _prefetch(batches), epoch


def make_validation_batches(
    validation: Split, recipe: Recipe, batch_size: int, class_count: int
) -> tf.data.Dataset:
    """Make the dataset of the validation images and their targets, in order."""
    targets = tf.constant(encode_labels(validation.labels, recipe.loss, class_count))
    rows = tf.data.Dataset.range(len(validation.labels)).batch(batch_size)
    return _prefetch(rows.map(lambda at: (_take(validation.images, at), tf.gather(targets, at))))


def _take(images: np.ndarray, rows: tf.Tensor) -> tf.Tensor:
    """Take rows of images that memory need not hold: a constant of the graph would be a copy."""
    taken = tf.numpy_function(lambda at: images[at], [rows], images.dtype, stateful=False)
    return tf.ensure_shape(taken, (None, *images.shape[1:]))


def _prefetch(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # There is nothing to tune, and who ends an epoch may wait for the tuner's thread, which sleeps
    # twice as long each time: up to as long as the epoch took.
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)
