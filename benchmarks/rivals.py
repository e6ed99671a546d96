"""The ways to train that are compared: Keras's `fit` as people call it, and the stage's.

A lap is an epoch. The one-cycle schedule ends after the recipe's epochs: run no more laps.
"""

import itertools

import numpy as np

from benchmarks.timing import Rival
from digits.data.splits import Split, load_card, load_split
from digits.files import ArtifactError
from digits.model import recipes
from digits.model.augmentation import corrupt, distort
from digits.model.backend import keras, tf
from digits.model.batches import count_steps, encode_labels, make_batches
from digits.model.networks import STEPS_PER_EXECUTION, build_network, build_trainable
from digits.model.recipes import Recipe
from digits.model.training import settle_recipe
from digits.paths import CARD_PATH, TRAIN_DIR, VALIDATION_DIR

CLASS_COUNT = 10
SEED = 0
SHUFFLE_BUFFER = 1024  # images, as in Keras's guides


def load_mnist() -> tuple[Split, Split]:
    """Load train and validation as `decode` left them."""
    card = load_card(CARD_PATH)
    if card.name != "mnist":
        raise ArtifactError(f"{CARD_PATH}: expected mnist, received {card.name}")
    return load_split(TRAIN_DIR, CLASS_COUNT), load_split(VALIDATION_DIR, CLASS_COUNT)


def load_recipe(name: str) -> Recipe:
    """Load a recipe as it is for MNIST and this processor."""
    return settle_recipe(recipes.load_recipe(name), [*"0123456789"])


def count_all_steps(recipe: Recipe, train: Split) -> int:
    """Count the steps of all epochs."""
    return recipe.epochs * count_steps(len(train.labels), recipe.batch_size)


def build_plain(
    name: str, recipe: Recipe, steps_per_execution: int = STEPS_PER_EXECUTION
) -> keras.Model:
    """Build and compile the network of Keras's own layers; a schedule would take no time."""
    network = build_network(name, recipe)
    network.compile(
        recipe.optimizer["type"],
        recipe.loss,
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
    )
    return network


def fit_arrays(name: str, recipe: Recipe, train: Split) -> Rival:
    """Make the rival that trains as a notebook does: on NumPy arrays, images undistorted."""
    network = build_plain(name, recipe, steps_per_execution=1)
    targets = np.asarray(encode_labels(train.labels, recipe.loss, CLASS_COUNT))
    return lambda: network.fit(train.images, targets, batch_size=recipe.batch_size, verbose=0)


def fit_dataset(name: str, recipe: Recipe, train: Split) -> Rival:
    """Make the rival that trains as Keras's guides do, on a `tf.data.Dataset`.

    Images are distorted by the stage's own functions, so that all rivals compute the same.
    """

    def augment(batch: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, targets = batch
        if recipe.augmentation.moves:
            images = distort(images, seed, recipe.augmentation)
        return corrupt(images, seed, recipe.augmentation, tf.constant(0.0)), targets

    network = build_plain(name, recipe)
    targets = np.asarray(encode_labels(train.labels, recipe.loss, CLASS_COUNT))
    batches = tf.data.Dataset.from_tensor_slices((train.images, targets))
    batches = batches.shuffle(SHUFFLE_BUFFER).batch(recipe.batch_size)
    seeds = tf.data.Dataset.random(SEED, rerandomize_each_iteration=True).batch(2)
    batches = tf.data.Dataset.zip((batches, seeds))
    batches = batches.map(augment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return lambda: network.fit(batches, shuffle=False, verbose=0)  # the images are


def make_ours(name: str, recipe: Recipe, train: Split) -> Rival:
    """Make the rival that trains as the stage does, on its batches."""
    network = build_trainable(name, recipe, step_count=count_all_steps(recipe, train))
    batches, epoch = make_batches(train, recipe, SEED, CLASS_COUNT)
    numbers = itertools.count()

    def train_epoch() -> None:
        epoch.assign(next(numbers))
        network.fit(batches, shuffle=False, verbose=0)

    return train_epoch
