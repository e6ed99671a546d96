"""Train a network: what Keras's `fit` computes, in one graph for many steps.

`fit` feeds batch after batch from Python and composes batch normalization of a dozen operations;
for networks this small both cost more than the arithmetic (benchmarks/README.md has the figures).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from digits.data.splits import Split
from digits.model.augmentation import distort
from digits.model.backend import keras, tf
from digits.model.networks import build_loss, encode_labels
from digits.model.recipes import Recipe

STEPS_PER_CALL = 64  # between two updates of the progress bar; Python's share is then nil
FIRST_RATE = 0.1  # of the peak learning rate, where the warm-up starts


def train_epochs(
    network: keras.Sequential, recipe: Recipe, train: Split, seed: int, epochs_done: int = 0
) -> Iterator[Iterator[tuple[int, float, float]]]:
    """Train in place; yield for each epoch that is left an iterator over its progress.

    Progress is (images so far, their mean accuracy, their mean loss), taken on the way as `fit`
    does. The same seed gives the same weights. The optimizer is built before the first epoch.
    """
    count, batch_size = len(train.images), recipe.batch_size
    train_batches = _build_train_batches(network, recipe, train, seed)
    shuffler = np.random.default_rng(seed)
    for _ in range(epochs_done):
        shuffler.permutation(count)
    span = STEPS_PER_CALL * batch_size

    def train_epoch(epoch: int) -> Iterator[tuple[int, float, float]]:
        order = shuffler.permutation(count).astype(np.int32)
        sums = np.zeros(2)
        for start in range(0, count, span):
            part = order[start : start + span]
            sums += train_batches(part, epoch * count + start).numpy()
            done = start + len(part)
            yield done, *(sums / done)

    return (train_epoch(epoch) for epoch in range(epochs_done, recipe.epochs))


def rate_fraction(progress: tf.Tensor, warmup_fraction: float) -> tf.Tensor:
    """Turn progress in [0, 1] into a share of the peak rate: a linear rise, then a linear fall."""
    rise = FIRST_RATE + (1 - FIRST_RATE) * progress / max(warmup_fraction, 1e-9)
    return tf.minimum(rise, (1 - progress) / (1 - warmup_fraction))


def count_seen_side(network: keras.Sequential) -> int:
    """Count the rows (and columns) of the input that reach the output.

    Unpadded pooling drops an odd last row: of 28 rows the network of `cnn` sees 26. Leaving the
    others out saves a sixth of its arithmetic and changes no output and no gradient. (Batch
    normalization takes its mean over all rows, so that below it none is left out.)
    """
    spatial = [layer for layer in network.layers if len(layer.output.shape) == 4]
    full = int(network.input_shape[1])
    side = int(spatial[-1].output.shape[1]) if spatial else full
    for layer in reversed(spatial):
        window = _window(layer)
        if window is None:
            return full
        size, stride = window
        side = (side - 1) * stride + size
    return side


def _window(layer: Any) -> tuple[int, int] | None:
    """Return size and stride of the square a layer's output pixel sees; None: not that simple."""
    match layer:
        case keras.layers.Conv2D(padding="valid", dilation_rate=(1, 1)):
            return layer.kernel_size[0], layer.strides[0]
        case keras.layers.MaxPooling2D(padding="valid"):
            return layer.pool_size[0], layer.strides[0]
        case keras.layers.ReLU() | keras.layers.Activation() | keras.layers.Dropout():
            return 1, 1
        case _:
            return None


def _build_train_batches(network: keras.Sequential, recipe: Recipe, train: Split, seed: int) -> Any:
    """Build the graph that trains on the images of some indices, batch by batch.

    It takes int32 (m,) indices and the number of images trained on before, and returns the counts
    of right answers and the sum of the losses, float32 (2,).
    """
    images = tf.constant(train.images)
    targets = tf.constant(encode_labels(train.labels, recipe.loss))
    labels = tf.constant(train.labels, tf.int64)
    optimizer, weights = network.optimizer, network.trainable_variables
    optimizer.build(weights)
    peak = float(optimizer.learning_rate.numpy())
    total = recipe.epochs * len(train.labels)
    side, compute_loss = count_seen_side(network), build_loss(recipe)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int64)])
    def train_batches(indices: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
        sums = tf.zeros(2)
        for start in tf.range(0, tf.shape(indices)[0], recipe.batch_size):
            chosen = indices[start : start + recipe.batch_size]
            batch = tf.ensure_shape(tf.gather(images, chosen), (None, *images.shape[1:]))
            position = before + tf.cast(start, tf.int64)
            if not recipe.augmentation.is_still:
                batch = distort(batch, tf.stack([seed, position]), recipe.augmentation)
            with tf.GradientTape() as tape:
                given = _run_layers(network, batch[:, :side, :side])
                loss = compute_loss(tf.gather(targets, chosen), given)
                objective = tf.add_n([loss, *network.losses])
            gradients = tape.gradient(objective, [weight.value for weight in weights])
            if recipe.schedule == "one_cycle":
                share = rate_fraction(tf.cast(position / total, tf.float32), recipe.warmup_fraction)
                optimizer.learning_rate.assign(peak * share)
            optimizer.apply(gradients, weights)
            hits = tf.argmax(given, 1) == tf.gather(labels, chosen)
            size = tf.cast(tf.size(chosen), tf.float32)
            sums += tf.stack([tf.reduce_sum(tf.cast(hits, tf.float32)), loss * size])
        return sums

    return train_batches


def _run_layers(network: keras.Sequential, batch: tf.Tensor) -> tf.Tensor:
    """Run the layers as in training: float32 (n, 10) from images of any side they can take."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and len(batch.shape) == 4:
            batch = _normalize(layer, batch)
        else:
            batch = layer(batch, training=True)
    return tf.cast(batch, tf.float32)


def _normalize(layer: keras.layers.BatchNormalization, batch: tf.Tensor) -> tf.Tensor:
    """Batch-normalize with TensorFlow's fused kernel, and keep the layer's moving averages.

    The kernel's variance is the sample's (n - 1), Keras's the batch's (n): alike at n > 10,000.
    """
    batch, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=batch,
        scale=layer.gamma.value,
        offset=layer.beta.value,
        mean=[],
        variance=[],
        epsilon=layer.epsilon,
    )
    keep = layer.momentum
    layer.moving_mean.assign(keep * layer.moving_mean.value + (1 - keep) * mean)
    layer.moving_variance.assign(keep * layer.moving_variance.value + (1 - keep) * variance)
    return batch
