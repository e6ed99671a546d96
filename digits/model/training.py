"""Train a recipe: from a seed and images to one model."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digits.data.splits import Split
from digits.errors import DigitsError
from digits.files import HISTORY_COLUMNS
from digits.model import networks
from digits.model.backend import choose_strategy, find_reason, has_bfloat16, keras, make_repeatable
from digits.model.batches import count_steps, make_batches, make_validation_batches
from digits.model.checkpoint import Checkpoint, identify_run, load_checkpoint, record
from digits.model.objects import NetworkError
from digits.model.recipes import CLASSES, RECIPES_DIR, Recipe
from digits.model.saving import predict_in_parts, predict_probabilities

VALIDATION_BATCH_SIZE = 500  # a matter of memory, not of results
SMOKE_COUNT = 2  # images

Report = Callable[[pd.DataFrame, Mapping[str, Any]], None]  # is called with history and metrics


@dataclass(frozen=True)
class Plan:
    """A recipe, the images it is trained on, and the settings that its result depends on."""

    name: str
    recipe: Recipe  # as `settle_recipe` returns it
    train: Split = field(repr=False)
    validation: Split = field(repr=False)
    class_count: int
    seed: int
    threads: int = 0  # of one operation; 0: one a core
    devices: int = 1  # among which each batch is divided

    def name_member(self, number: int) -> str:
        return self.name if self.recipe.ensemble_size == 1 else f"{self.name}_{number + 1}"


@dataclass(frozen=True)
class Trained:
    """A model for prediction, the mean of its members' scores by epoch, and its own scores.

    `probabilities` is float32 (n, k), the model's predictions for the validation images.
    """

    model: keras.Model
    history: pd.DataFrame
    metrics: dict[str, Any]
    probabilities: np.ndarray


def settle_recipe(recipe: Recipe, class_names: Sequence[str]) -> Recipe:
    """Set what depends on the dataset and the machine: its classes, the precision."""
    suited = recipe.suit_classes(class_names)
    if suited.precision != "auto":
        return suited
    return suited.model_copy(update={"precision": "bfloat16" if has_bfloat16() else "float32"})


def train_recipe(
    plan: Plan, report: Report = lambda *_: None, checkpoint_path: Path | None = None
) -> Trained:
    """Train the members of a recipe and join them into one model.

    `report` is called at the start and after each epoch. With a path, an interrupted training
    resumes from the checkpoint there, to the same bytes.

    Raises:
        NetworkError: the recipe cannot be trained; nothing has been trained.
        DigitsError: a loss is not finite.
    """
    smoke_test(plan)
    arrays = [*vars(plan.train).values(), *vars(plan.validation).values()]
    run = identify_run(repr(plan), arrays)
    checkpoint = load_checkpoint(checkpoint_path, run) if checkpoint_path else Checkpoint()

    def save() -> None:
        if checkpoint_path:
            checkpoint.write(checkpoint_path, run)
        report(*_summarize(checkpoint))

    save()
    # Not seed + n: runs of neighbouring seeds would share members.
    seeds = np.random.SeedSequence(plan.seed).generate_state(plan.recipe.ensemble_size)
    members = [_train_member(plan, n, int(seed), checkpoint, save) for n, seed in enumerate(seeds)]
    return _finish(plan, members, checkpoint)


def smoke_test(plan: Plan) -> None:
    """Train a copy for one step on a few images, and let it predict.

    Raises:
        NetworkError: the training would fail, and why.
        DigitsError: the batches cannot be divided among so many devices.
    """
    make_repeatable(plan.seed, plan.threads)
    choose_strategy(plan.devices)
    first = min(plan.recipe.batch_size, len(plan.train.labels))
    if first % plan.devices:  # Keras adds up what the devices have of the first batch
        raise DigitsError(
            f"train.devices: expected a divisor of {first}, the images of a batch, "
            f"received {plan.devices}"
        )
    try:
        _train_one_step(plan)
    except Exception as error:  # whatever a layer or an optimizer raises
        raise NetworkError(f"{RECIPES_DIR}/{plan.name}.yaml: {find_reason(error)}") from error


def _train_one_step(plan: Plan) -> None:
    recipe = plan.recipe
    few = Split(plan.train.images[:SMOKE_COUNT], plan.train.labels[:SMOKE_COUNT])
    networks.build_callbacks(recipe)
    network = networks.build_trainable(plan.name, recipe)
    if network.output_shape[1:] != (plan.class_count,):
        raise NetworkError(
            f"layers: expected the last one to give {plan.class_count} probabilities, as "
            f"`units: {CLASSES}` does, received shape {network.output_shape}"
        )
    network.run_eagerly = True  # faster than a graph for one step, and errors are clearer
    batches, _ = make_batches(few, recipe, plan.seed, plan.class_count)
    network.fit(batches, shuffle=False, verbose=0)
    member = networks.build_network(plan.name, recipe, network.get_weights())
    model = networks.join_members(plan.name, [member], recipe.test_time_shift)
    predict_probabilities(model, few.images, SMOKE_COUNT)


def _train_member(
    plan: Plan, number: int, seed: int, checkpoint: Checkpoint, save: Callable[[], None]
) -> keras.Model:
    """Train a member by Keras's `fit`, or resume it; return it built for prediction."""
    recipe, name = plan.recipe, plan.name_member(number)
    make_repeatable(seed, plan.threads)
    if number == len(checkpoint.finished):
        step_count = recipe.epochs * count_steps(len(plan.train.labels), recipe.batch_size)
        batches, epoch = make_batches(plan.train, recipe, seed, plan.class_count)
        watched = networks.build_callbacks(recipe)
        network = networks.build_trainable(name, recipe, step_count, plan.devices)
        if number == 0:
            network.summary()
        print(f"{name}: {recipe.epochs} epochs", flush=True)
        network.fit(
            batches,
            epochs=recipe.epochs,
            initial_epoch=recipe.epochs if checkpoint.stopped else checkpoint.epochs_done,
            validation_data=make_validation_batches(
                plan.validation, recipe.loss, VALIDATION_BATCH_SIZE, plan.class_count
            ),
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_begin=lambda n, _: epoch.assign(n)),
                *watched,
                record(checkpoint, network, watched, save),
            ],
            shuffle=False,  # the batches are shuffled already
            verbose=1 if sys.stdout.isatty() else 2,  # steps, or a line an epoch
        )
        checkpoint.finish_member(network.get_weights())
    return networks.build_network(name, recipe, checkpoint.finished[number])


def _finish(plan: Plan, members: Sequence[keras.Model], checkpoint: Checkpoint) -> Trained:
    """Calibrate the members, join them, and score the model on validation."""
    recipe, validation, temperature = plan.recipe, plan.validation, 0.0
    if recipe.temperature_scaling:
        parts = networks.collect_predictions(members, recipe.test_time_shift)
        given = predict_in_parts(parts, validation.images, VALIDATION_BATCH_SIZE)
        temperature = networks.calibrate(members, given, validation.labels)
    model = networks.join_members(plan.name, members, recipe.test_time_shift)
    # Keras saves the optimizer, too; this one has no state but the rate and the step count.
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    probabilities = predict_probabilities(model, validation.images, VALIDATION_BATCH_SIZE)
    labels = validation.labels.astype("int32")
    losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == labels))
    scores = {"val_accuracy": accuracy, "val_loss": float(np.mean(losses))}
    shown = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
    tempered = f" (probabilities at temperature {temperature:.4f})" if temperature else ""
    print(f"{plan.name}, the model: {shown}{tempered}", flush=True)
    metrics: dict[str, Any] = {**scores, "compute_dtype": recipe.precision}
    if recipe.has_callback("EarlyStopping"):
        metrics["early_stopping"] = True  # the epoch was chosen on these images
    return Trained(model, _summarize(checkpoint)[0], metrics, probabilities)


def _summarize(checkpoint: Checkpoint) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the history, averaged over the members, and the scores of the newest epoch."""
    rows = pd.DataFrame(checkpoint.rows, columns=HISTORY_COLUMNS)
    history = rows.groupby("epoch", as_index=False).mean()
    metrics: dict[str, Any] = {"epoch_count": len(rows)}
    if checkpoint.rows:
        newest = checkpoint.rows[-1]
        metrics |= {key: newest[key] for key in ("val_accuracy", "val_loss")}
    return history, metrics
