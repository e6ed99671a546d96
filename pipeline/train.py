"""Train the network of the selected recipe on the train split, watched on the validation split."""

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from digits.artifacts import write_json
from digits.backend import keras, make_repeatable
from digits.errors import DigitsError
from digits.models import write_model
from digits.networks import (
    build_loss,
    build_network,
    count_multiply_adds,
    encode_labels,
    join_members,
)
from digits.params import Params, load_params
from digits.recipes import Precision, Recipe
from digits.splits import Split, load_split
from digits.stage import run
from digits.tables import write_table
from digits.training import train_epochs

TRAIN_DIR, VALIDATION_DIR = Path("data/decoded/train"), Path("data/decoded/validation")
MODEL_PATH = Path("models/model.keras")
METRICS_PATH = Path("metrics/train.json")
HISTORY_PATH = Path("plots/history.csv")

Rows = list[tuple[int, float, float, float, float]]  # of the history
HISTORY_COLUMNS = ("epoch", "accuracy", "loss", "val_accuracy", "val_loss")  # Keras's own words
VALIDATION_BATCH_SIZE = 500  # a matter of memory, not of results


class TrainParams(Params):
    """Which recipe, and what makes the run repeatable."""

    recipe: str
    seed: int = Field(ge=0, lt=2**32)
    threads: int = Field(ge=0)
    precision: Precision


class DivergedError(DigitsError):
    """The loss is no longer a number: the weights are lost."""


def train_member(
    number: int, params: TrainParams, recipe: Recipe, splits: tuple[Split, Split], rows: Rows
) -> keras.Sequential:
    """Train one member on the first split from its own seed; add its epochs to the history's rows.

    Raises:
        DivergedError: the loss of an epoch is not finite.
    """
    train, validation = splits
    seed = choose_seeds(params.seed, recipe.member_count)[number]
    make_repeatable(seed, params.threads)
    name = params.recipe if recipe.member_count == 1 else f"{params.recipe}_{number + 1}"
    network = build_network(name, recipe, params.precision)
    if number == 0:
        network.summary()
        print(describe_cost(network, recipe, len(train.labels)), flush=True)
    targets = encode_labels(validation.labels, recipe.loss)
    for epoch, progress in enumerate(train_epochs(network, recipe, train, seed), start=1):
        print(f"{name}: epoch {epoch}/{recipe.epochs}", flush=True)
        accuracy, loss = show_progress(progress, len(train.labels))
        if not math.isfinite(loss):
            raise DivergedError(f"{name}, epoch {epoch}: expected a finite loss, received {loss}")
        val_loss, val_accuracy = evaluate(network, validation.images, targets)
        print(f"validation accuracy: {val_accuracy:.4f} - loss: {val_loss:.4f}", flush=True)
        rows.append((epoch, accuracy, loss, val_accuracy, val_loss))
        write_table(HISTORY_PATH, average_history(rows))
    return network


def choose_seeds(seed: int, count: int) -> list[int]:
    """Derive a seed for each member, so that runs of neighbouring seeds share none."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count)]


def average_history(rows: Rows) -> pd.DataFrame:
    """Average the members' scores, epoch by epoch."""
    history = pd.DataFrame(rows, columns=HISTORY_COLUMNS)
    return history.groupby("epoch", as_index=False).mean()


def evaluate(model: keras.Model, images: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Return a compiled model's loss and accuracy."""
    loss, accuracy = model.evaluate(images, targets, batch_size=VALIDATION_BATCH_SIZE, verbose=0)
    return loss, accuracy


def join_for_prediction(
    params: TrainParams, recipe: Recipe, members: list[keras.Sequential]
) -> keras.Model:
    """Build the one model that predicts: all members, in float32 however they were trained."""
    finished = []
    for member in members:
        network = build_network(member.name, recipe)
        network.set_weights(member.get_weights())
        finished.append(network)
    model = join_members(params.recipe, finished, recipe.prediction_shift)
    model.compile(loss=build_loss(recipe), metrics=["accuracy"])
    return model


def show_progress(progress: Iterator[tuple[int, float, float]], count: int) -> tuple[float, float]:
    """Show an epoch by Keras's progress bar; return its accuracy and loss."""
    names = ("accuracy", "loss")
    # A terminal gets a bar that moves, a log file one line an epoch.
    verbose = 1 if sys.stdout.isatty() else 2
    bar = keras.utils.Progbar(count, verbose=verbose, stateful_metrics=names, unit_name="image")
    scores = (math.nan, math.nan)
    for done, *now in progress:
        scores = now[0], now[1]
        bar.update(done, list(zip(names, scores, strict=True)))
    return scores


def describe_cost(network: keras.Sequential, recipe: Recipe, image_count: int) -> str:
    """Say before the training what it will take."""
    steps = recipe.epochs * math.ceil(image_count / recipe.batch_size)
    millions = count_multiply_adds(network) / 1e6
    return (
        f"{network.name}: {network.count_params():,} parameters, {millions:.2f} million "
        f"multiply-adds an image; {recipe.member_count} x {recipe.epochs} epochs "
        f"of {image_count:,} images in {recipe.member_count * steps:,} steps"
    )


def describe_speed(image_count: int, seconds: float) -> str:
    """Say how long the training took; the metrics do not, to be the same whenever it is repeated.

    `make leaderboard` reads this line.
    """
    rate = image_count / seconds
    return f"trained on {image_count:,} images in {seconds:.1f} s: {rate:,.0f} images a second"


def main() -> None:
    params = load_params("train", TrainParams)
    recipe = load_params(f"recipes.{params.recipe}", Recipe)
    splits = train, validation = load_split(TRAIN_DIR), load_split(VALIDATION_DIR)
    rows: Rows = []
    start = time.perf_counter()
    members = [
        train_member(number, params, recipe, splits, rows) for number in range(recipe.member_count)
    ]
    print(describe_speed(len(rows) * len(train.labels), time.perf_counter() - start))
    model = join_for_prediction(params, recipe, members)
    loss, accuracy = evaluate(
        model, validation.images, encode_labels(validation.labels, recipe.loss)
    )
    last = average_history(rows).iloc[-1]
    metrics = {
        "parameter_count": model.count_params(),
        "train_accuracy": last["accuracy"],
        "train_loss": last["loss"],
        "validation_accuracy": accuracy,
        "validation_loss": loss,
    }
    write_model(MODEL_PATH, model)
    write_json(METRICS_PATH, metrics)


if __name__ == "__main__":
    run(main)
