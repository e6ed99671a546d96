"""Train the network of the selected recipe on the train split, watched on the validation split."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pydantic import Field

from digits.artifacts import write_json
from digits.backend import keras, make_repeatable
from digits.errors import DigitsError
from digits.models import write_model
from digits.networks import build_network, count_multiply_adds, encode_labels
from digits.params import Params, load_params
from digits.recipes import Precision, Recipe
from digits.splits import Split, load_split
from digits.stage import run
from digits.tables import write_table
from digits.training import train_epochs

DECODED_DIR = Path("data/decoded")
MODEL_PATH = Path("models/model.keras")
METRICS_PATH = Path("metrics/train.json")
HISTORY_PATH = Path("plots/history.csv")

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


def train_watched(
    network: keras.Sequential, recipe: Recipe, train: Split, validation: Split, seed: int
) -> pd.DataFrame:
    """Train in place; return the history, which is also rewritten on disk after every epoch.

    Raises:
        DivergedError: the loss of an epoch is not finite.
    """
    targets = encode_labels(validation.labels, recipe.loss)
    history = pd.DataFrame(columns=HISTORY_COLUMNS)
    for epoch, progress in enumerate(train_epochs(network, recipe, train, seed), start=1):
        print(f"Epoch {epoch}/{recipe.epochs}", flush=True)
        accuracy, loss = show_progress(progress, len(train.labels))
        if not math.isfinite(loss):
            raise DivergedError(f"epoch {epoch}: expected a finite loss, received {loss}")
        val_loss, val_accuracy = network.evaluate(
            validation.images, targets, batch_size=VALIDATION_BATCH_SIZE, verbose=0
        )
        print(f"validation accuracy: {val_accuracy:.4f} - loss: {val_loss:.4f}", flush=True)
        history.loc[len(history)] = [epoch, accuracy, loss, val_accuracy, val_loss]
        write_table(HISTORY_PATH, history.astype({"epoch": int}))
    return history


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
        f"multiply-adds an image; "
        f"{recipe.epochs} epochs of {image_count:,} images in {steps:,} steps"
    )


def main() -> None:
    params = load_params("train", TrainParams)
    recipe = load_params(f"recipes.{params.recipe}", Recipe)
    make_repeatable(params.seed, params.threads)
    network = build_network(params.recipe, recipe, params.precision)
    train, validation = (load_split(DECODED_DIR / name) for name in ("train", "validation"))
    network.summary()
    print(describe_cost(network, recipe, len(train.labels)), flush=True)
    last = train_watched(network, recipe, train, validation, params.seed).iloc[-1]
    model = build_network(params.recipe, recipe)  # predicts in float32, however it was trained
    model.set_weights(network.get_weights())
    write_model(MODEL_PATH, model)
    metrics = {
        "parameter_count": network.count_params(),
        "train_accuracy": last["accuracy"],
        "train_loss": last["loss"],
        "validation_accuracy": last["val_accuracy"],
        "validation_loss": last["val_loss"],
    }
    write_json(METRICS_PATH, metrics)


if __name__ == "__main__":
    run(main)
