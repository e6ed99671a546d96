"""The ways to train that are compared: Keras's `fit` as people call it, and the stage's.

A lap is an epoch. The one-cycle schedule ends after the recipe's epochs: run no more laps.
"""

import io
import itertools
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from benchmarks.timing import Rival
from digits.data.splits import Split, load_card, load_split
from digits.files.artifacts import ArtifactError
from digits.model import recipes
from digits.model.augmentation import corrupt, distort
from digits.model.backend import keras, tf
from digits.model.batches import count_steps, encode_labels, make_batches
from digits.model.networks import OneCycle, build_network, build_trainable
from digits.model.recipes import Recipe
from digits.model.training import Plan, Trained, settle_recipe, train_recipe
from digits.paths import CARD_PATH, TRAIN_DIR, VALIDATION_DIR

CLASS_COUNT = 10
SEED = 0
PART_STEPS = 32  # of `deep_cnn`, a lap: whole, its ten epochs would take ten minutes or more
SHUFFLE_BUFFER = 1024  # images, as in Keras's guides


def load_mnist() -> tuple[Split, Split]:
    """Load train and validation as `decode` left them.

    Raises:
        ArtifactError: not there, or of another dataset, whose figures would mean something else.
    """
    card = load_card(CARD_PATH)
    if card.name != "mnist":
        raise ArtifactError(f"{CARD_PATH}: expected mnist, received {card.name}")
    return load_split(TRAIN_DIR, CLASS_COUNT), load_split(VALIDATION_DIR, CLASS_COUNT)


def load_recipe(name: str) -> Recipe:
    """Load a recipe as it is for MNIST."""
    return recipes.load_recipe(name).suit_classes(CLASS_COUNT)


def make_plan(name: str, recipe: Recipe, splits: Sequence[Split], seed: int) -> Plan:
    """Plan a training on MNIST's train and validation split."""
    train, validation = splits
    settled = settle_recipe(recipe, CLASS_COUNT)
    return Plan(name, settled, train, validation, CLASS_COUNT, seed)


def count_all_steps(recipe: Recipe, train: Split) -> int:
    """Count the steps of all epochs."""
    return recipe.epochs * count_steps(len(train.labels), recipe.batch_size)


def take_part(recipe: Recipe, train: Split) -> Split:
    """Take the images of a lap that is a part of an epoch: whole batches."""
    count = PART_STEPS * recipe.batch_size
    return Split(train.images[:count], train.labels[:count])


def build_plain(
    name: str, recipe: Recipe, train: Split, steps_per_execution: int = 1
) -> keras.Model:
    """Build the network of Keras's own layers and compile it for the recipe's training."""
    arguments: dict[str, Any] = dict(recipe.optimizer)
    optimizer = arguments.pop("type")
    if recipe.schedule == "one_cycle":
        steps, peak = count_all_steps(recipe, train), arguments["learning_rate"]
        arguments = {**arguments, "learning_rate": OneCycle(peak, recipe.warmup_fraction, steps)}
    loss = recipe.loss
    if recipe.label_smoothing:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    network = build_network(name, recipe)
    network.compile(
        getattr(keras.optimizers, optimizer)(**arguments),
        loss,
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
    )
    return network


def fit_arrays(network: keras.Model, recipe: Recipe, train: Split) -> Rival:
    """Make the rival that trains as a notebook does: on NumPy arrays, images undistorted."""
    targets = np.asarray(encode_labels(train.labels, recipe.loss, CLASS_COUNT))
    return lambda: network.fit(train.images, targets, batch_size=recipe.batch_size, verbose=0)


def fit_dataset(network: keras.Model, recipe: Recipe, train: Split) -> Rival:
    """Make the rival that trains as Keras's guides do: on a `tf.data.Dataset`."""
    targets = np.asarray(encode_labels(train.labels, recipe.loss, CLASS_COUNT))
    images = tf.data.Dataset.from_tensor_slices((train.images, targets))
    batches = images.shuffle(SHUFFLE_BUFFER).batch(recipe.batch_size)
    batches = _augment(batches, recipe)
    batches = batches.prefetch(tf.data.AUTOTUNE)
    return lambda: network.fit(batches, shuffle=False, verbose=0)  # the images are


def fit_batches(network: keras.Model, recipe: Recipe, train: Split) -> Rival:
    """Make the rival that trains on the stage's batches."""
    batches, epoch = make_batches(train, recipe, SEED, CLASS_COUNT)
    numbers = itertools.count()

    def train_epoch() -> None:
        epoch.assign(next(numbers))
        network.fit(batches, shuffle=False, verbose=0)

    return train_epoch


def make_ours(name: str, recipe: Recipe, train: Split) -> Rival:
    """Make the rival that trains as the stage does."""
    network = build_trainable(name, recipe, step_count=count_all_steps(recipe, train))
    return fit_batches(network, recipe, train)


def train_whole(plan: Plan) -> Trained:
    """Train as the stage does, without its words, which would come between the tables."""
    with redirect_stdout(io.StringIO()):
        return train_recipe(plan)


def _augment(batches: tf.data.Dataset, recipe: Recipe) -> tf.data.Dataset:
    """Augment by the stage's own functions, so that all rivals compute the same."""

    def augment(batch: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, targets = batch
        if recipe.augmentation.moves:
            images = distort(images, seed, recipe.augmentation)
        return corrupt(images, seed, recipe.augmentation, tf.constant(0.0)), targets

    seeds = tf.data.Dataset.random(SEED, rerandomize_each_iteration=True).batch(2)
    pairs = tf.data.Dataset.zip((batches, seeds))
    return pairs.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
