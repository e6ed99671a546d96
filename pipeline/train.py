"""Train the network of the selected recipe on the train split, watched on the validation split."""

import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from digits.data.splits import Split, join_splits, load_split
from digits.errors import DigitsError
from digits.files.artifacts import write_json
from digits.files.params import Params, load_params
from digits.files.tables import write_table
from digits.model.archive import write_model
from digits.model.backend import keras, make_repeatable
from digits.model.calibration import apply_temperature, fit_temperature
from digits.model.checkpoint import (
    Checkpoint,
    Row,
    copy_state,
    identify_run,
    load_checkpoint,
    restore_state,
    write_checkpoint,
)
from digits.model.networks import (
    build_network,
    collect_opinions,
    encode_labels,
    join_members,
)
from digits.model.progress import describe_cost, describe_speed, show_progress
from digits.model.recipes import Precision, Recipe
from digits.model.training import train_epochs
from digits.stage import run

TRAIN_DIR, VALIDATION_DIR = Path("data/decoded/train"), Path("data/decoded/validation")
MODEL_PATH = Path("models/model.keras")
METRICS_PATH = Path("metrics/train.json")
HISTORY_PATH = Path("plots/history.csv")
CHECKPOINT_PATH = Path("models/checkpoint.npz")  # no output: DVC would delete it before the stage

HISTORY_COLUMNS = ("epoch", "accuracy", "loss", "val_accuracy", "val_loss")  # Keras's own words
VALIDATION_BATCH_SIZE = 500  # a matter of memory, not of results

Role = tuple[Split, Split | None]  # what a member is trained on, and watched on if anything is left


class TrainParams(Params):
    """Which recipe, and what makes the run repeatable."""

    recipe: str
    seed: int = Field(ge=0, lt=2**32)
    threads: int = Field(ge=0)
    precision: Precision


class DivergedError(DigitsError):
    """The loss is no longer a number: the weights are lost."""


def train_members(
    params: TrainParams, recipe: Recipe, splits: tuple[Split, Split], checkpoint: Checkpoint
) -> list[keras.Sequential]:
    """Train the recipe's members, each from a seed of its own, from where the checkpoint stands."""
    members = []
    roles = assign_splits(recipe, splits)
    for number, seed in enumerate(choose_seeds(params.seed, recipe.member_count)):
        make_repeatable(seed, params.threads)
        name = params.recipe if recipe.member_count == 1 else f"{params.recipe}_{number + 1}"
        network = build_network(name, recipe, params.precision)
        if number == 0:
            network.summary()
            counts = [len(train.labels) for train, _ in roles]
            print(describe_cost(network, recipe, counts), flush=True)
        if number < len(checkpoint.finished):
            network.set_weights(checkpoint.finished[number])
        else:
            train_member(network, recipe, seed, roles[number], checkpoint)
        members.append(network)
    return members


def assign_splits(recipe: Recipe, splits: tuple[Split, Split]) -> list[Role]:
    """Give each member its part."""
    rest: Role = splits
    if recipe.train_on_validation:
        rest = join_splits(splits), None
    return [splits, *[rest] * (recipe.member_count - 1)]


def train_member(
    network: keras.Sequential,
    recipe: Recipe,
    seed: int,
    role: Role,
    checkpoint: Checkpoint,
) -> None:
    """Train one member, and write the checkpoint and the history every epoch.

    Raises:
        DivergedError: the loss of an epoch is not finite.
    """
    train, validation = role
    done = len(checkpoint.rows) - recipe.epochs * len(checkpoint.finished)
    epochs = train_epochs(network, recipe, train, seed, done)
    if checkpoint.state:
        restore_state(network, checkpoint.state)
        print(f"{network.name}: resuming after epoch {done}", flush=True)
    for epoch, progress in enumerate(epochs, start=done + 1):
        print(f"{network.name}: epoch {epoch}/{recipe.epochs}", flush=True)
        accuracy, loss = show_progress(progress, len(train.labels))
        if not math.isfinite(loss):
            raise DivergedError(
                f"{network.name}, epoch {epoch}: expected a finite loss, received {loss}"
            )
        val_loss, val_accuracy = math.nan, math.nan
        if validation:
            targets = encode_labels(validation.labels, recipe.loss)
            val_loss, val_accuracy = evaluate(network, validation.images, targets)
            print(f"validation accuracy: {val_accuracy:.4f} - loss: {val_loss:.4f}", flush=True)
        checkpoint.rows.append((epoch, accuracy, loss, val_accuracy, val_loss))
        checkpoint.state = copy_state(network)
        write_checkpoint(CHECKPOINT_PATH, checkpoint)
        write_table(HISTORY_PATH, average_history(checkpoint.rows))
    checkpoint.finished.append(network.get_weights())
    checkpoint.state = []


def choose_seeds(seed: int, count: int) -> list[int]:
    """Derive a seed for each member, so that runs of neighbouring seeds share none."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count)]


def average_history(rows: list[Row]) -> pd.DataFrame:
    """Average the members' scores, epoch by epoch; NaN where there is none counts as none."""
    history = pd.DataFrame(rows, columns=HISTORY_COLUMNS)
    return history.groupby("epoch", as_index=False).mean()


def evaluate(model: keras.Model, images: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Return a compiled model's loss and accuracy."""
    loss, accuracy = model.evaluate(images, targets, batch_size=VALIDATION_BATCH_SIZE, verbose=0)
    return loss, accuracy


def list_judged(members: list[keras.Sequential], recipe: Recipe) -> list[keras.Sequential]:
    """List the members that have not been trained on validation."""
    return members[:1] if recipe.train_on_validation else members


def finish_members(
    members: list[keras.Sequential], recipe: Recipe, validation: Split
) -> tuple[list[keras.Sequential], float]:
    """Build the members again for prediction, in float32 whatever they were trained in, tempered.

    Returns them and the temperature, 1 where the recipe wants none.
    """
    finished = []
    for member in members:
        network = build_network(member.name, recipe)
        network.set_weights(member.get_weights())
        finished.append(network)
    if not recipe.temperature_scaling:
        return finished, 1.0
    together = collect_opinions(list_judged(finished, recipe), recipe.prediction_shift)
    given = together.predict(validation.images, batch_size=VALIDATION_BATCH_SIZE, verbose=0)
    opinions = np.reshape(given, (-1, *np.shape(given)[-2:]))  # Keras gives a list, or one alone
    temperature = fit_temperature(opinions, validation.labels)
    for network in finished:
        apply_temperature(network, temperature)
    return finished, temperature


def main() -> None:
    params = load_params("train", TrainParams)
    recipe = load_params(f"recipes.{params.recipe}", Recipe)
    splits = _, validation = load_split(TRAIN_DIR), load_split(VALIDATION_DIR)
    settings = f"{params!r} {recipe!r}"
    arrays = [array for split in splits for array in (split.images, split.labels)]
    checkpoint = load_checkpoint(CHECKPOINT_PATH, identify_run(settings, arrays, Path(__file__)))
    done, start = len(checkpoint.rows), time.perf_counter()
    members = train_members(params, recipe, splits, checkpoint)
    if not done:
        roles = assign_splits(recipe, splits)
        image_count = recipe.epochs * sum(len(train.labels) for train, _ in roles)
        print(describe_speed(image_count, time.perf_counter() - start))
    finished, temperature = finish_members(members, recipe, validation)
    model = join_members(params.recipe, finished, recipe.prediction_shift)
    judged = join_members(params.recipe, list_judged(finished, recipe), recipe.prediction_shift)
    # As evaluate scores it: plain cross-entropy, whatever the members were trained on.
    judged.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = evaluate(judged, validation.images, validation.labels)
    history = average_history(checkpoint.rows)
    metrics = {
        "parameter_count": model.count_params(),
        "temperature": temperature,
        "train_accuracy": history["accuracy"].iloc[-1],
        "validation_accuracy": accuracy,
        "validation_loss": loss,
    }
    write_table(HISTORY_PATH, history)
    write_model(MODEL_PATH, model)
    write_json(METRICS_PATH, metrics)
    CHECKPOINT_PATH.unlink(missing_ok=True)


if __name__ == "__main__":
    run(main)
