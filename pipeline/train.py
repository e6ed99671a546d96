"""Train the network of the selected recipe on the train split, watched on the validation split."""

import math
import sys
from pathlib import Path

from pydantic import Field

from digits.artifacts import DECIMALS, write_json, write_text
from digits.backend import keras, make_repeatable
from digits.errors import DigitsError
from digits.models import write_model
from digits.networks import build_network, count_multiply_adds, encode_labels
from digits.params import Params, load_params
from digits.recipes import Recipe
from digits.splits import Split, load_split
from digits.stage import run

DECODED_DIR = Path("data/decoded")
MODEL_PATH = Path("models/model.keras")
METRICS_PATH = Path("metrics/train.json")
HISTORY_PATH = Path("plots/history.csv")

HISTORY_COLUMNS = ("accuracy", "loss", "val_accuracy", "val_loss")


class TrainParams(Params):
    """Which recipe, and what makes the run repeatable."""

    recipe: str
    seed: int = Field(ge=0, lt=2**32)
    threads: int = Field(ge=0)


class DivergedError(DigitsError):
    """The loss is no longer a number: the weights are lost."""


class HistoryWriter(keras.callbacks.Callback):
    """Rewrite the history file after every epoch, so that a running training can be watched."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows = [",".join(("epoch", *HISTORY_COLUMNS))]

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Add the epoch's row, counted from 1.

        Raises:
            DivergedError: the loss of the epoch is not finite.
        """
        if not math.isfinite(logs["loss"]):
            raise DivergedError(f"epoch {epoch + 1}: expected a finite loss, received NaN or inf")
        scores = (f"{logs[column]:.{DECIMALS}f}" for column in HISTORY_COLUMNS)
        self.rows.append(",".join((str(epoch + 1), *scores)))
        write_text(self.path, "\n".join(self.rows) + "\n")


def train_network(
    network: keras.Sequential, recipe: Recipe, train: Split, validation: Split, history_path: Path
) -> dict[str, float]:
    """Train in place; return the last epoch's scores, named as in the history file."""
    history = network.fit(
        train.images,
        encode_labels(train.labels, recipe.loss),
        validation_data=(validation.images, encode_labels(validation.labels, recipe.loss)),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        # A terminal gets Keras's progress bar, a log file one line an epoch.
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[HistoryWriter(history_path)],
    )
    return {column: float(history.history[column][-1]) for column in HISTORY_COLUMNS}


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
    network = build_network(params.recipe, recipe)
    train, validation = (load_split(DECODED_DIR / name) for name in ("train", "validation"))
    network.summary()
    print(describe_cost(network, recipe, len(train.labels)), flush=True)
    scores = train_network(network, recipe, train, validation, HISTORY_PATH)
    write_model(MODEL_PATH, network)
    metrics = {
        "parameter_count": network.count_params(),
        "train_accuracy": scores["accuracy"],
        "train_loss": scores["loss"],
        "validation_accuracy": scores["val_accuracy"],
        "validation_loss": scores["val_loss"],
    }
    write_json(METRICS_PATH, metrics)


if __name__ == "__main__":
    run(main)
