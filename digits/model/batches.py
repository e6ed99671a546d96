"""Batches of images: in training, their order and distortion are functions of seed and epoch."""

import math

from digits.data.splits import Split
from digits.files import expect_random_reads
from digits.model.augmentation import corrupt, distort
from digits.model.backend import tf
from digits.model.recipes import Recipe

TAKEN_AT_A_TIME = 2048  # images: a call of Python costs more than a small batch

Pair = tuple[tf.Tensor, tf.Tensor]  # images and their targets


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
    count = len(train.labels)
    steps = count_steps(count, recipe.batch_size)
    epoch = tf.Variable(0, trainable=False, dtype=tf.int64)

    def shuffle(_: tf.Tensor) -> tf.data.Dataset:
        seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seeds)
        return tf.data.Dataset.from_tensor_slices(order)

    def distort_batch(step: tf.Tensor, pair: Pair) -> Pair:
        batch, of_batch = pair
        number = epoch * steps + step
        seeds = tf.stack([tf.constant(seed, tf.int64), number])
        if recipe.augmentation.moves:
            batch = distort(batch, seeds, recipe.augmentation)
        progress = tf.cast(number, tf.float32) / (recipe.epochs * steps)
        return corrupt(batch, seeds, recipe.augmentation, progress), of_batch

    orders = tf.data.Dataset.range(1).flat_map(shuffle)  # one, drawn as the epoch begins
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
    """Turn uint8 (n,) labels into what the loss compares: one-hot float32 (n, k), or as is."""
    return tf.one_hot(labels, class_count) if loss == "categorical_crossentropy" else labels


def _take(split: Split, loss: str, class_count: int, rows: tf.data.Dataset) -> tf.data.Dataset:
    """Take rows of images that memory need not hold: a constant of the graph would be a copy."""
    images, labels = split.images, tf.constant(split.labels)

    def take(at: tf.Tensor) -> Pair:
        taken = tf.numpy_function(lambda rows: images[rows], [at], images.dtype, stateful=False)
        targets = encode_labels(tf.gather(labels, at), loss, class_count)
        return tf.ensure_shape(taken, (None, *images.shape[1:])), targets

    return rows.map(take)


def _prefetch(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # There is nothing to tune, and who ends an epoch may wait for the tuner's thread, which sleeps
    # twice as long each time: up to as long as the epoch took.
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)
