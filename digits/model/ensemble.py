"""Train a recipe: from its words, a seed and images to one model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digits.data.splits import Split
from digits.files.history import COLUMNS
from digits.model.archive import check_loadable, predict_in_parts, predict_probabilities
from digits.model.backend import (
    DeviceError,
    choose_strategy,
    has_bfloat16,
    keras,
    make_repeatable,
)
from digits.model.batches import count_steps, make_batches, make_validation_batches
from digits.model.calibration import apply_temperature, fit_temperature
from digits.model.checkpoint import (
    Checkpoint,
    Recorder,
    identify_run,
    load_checkpoint,
    write_checkpoint,
)
from digits.model.networks import (
    NetworkError,
    build_callbacks,
    build_network,
    build_trainable,
    collect_predictions,
    find_reason,
    join_members,
)
from digits.model.progress import Progress, describe_network
from digits.model.recipes import CLASSES, RECIPES_DIR, Recipe

METRICS = ("val_accuracy", "val_loss")  # of an epoch, by Keras's names
VALIDATION_BATCH_SIZE = 500  # a matter of memory, not of results
REHEARSAL_COUNT = 2  # images

Report = Callable[[pd.DataFrame, Mapping[str, Any]], None]  # is told history and metrics


@dataclass(frozen=True)
class Plan:
    """Which recipe is trained on what, and all that makes the result repeatable."""

    name: str
    recipe: Recipe
    train: Split
    validation: Split
    class_count: int
    seed: int
    threads: int = 0  # of one operation; 0: one a core
    devices: int = 1  # among which each batch is divided

    def __post_init__(self) -> None:
        """Settle in the recipe what depends on the dataset and on the machine."""
        recipe = self.recipe.suit_classes(self.class_count)
        if recipe.precision == "auto":
            precision = "bfloat16" if has_bfloat16() else "float32"
            recipe = recipe.model_copy(update={"precision": precision})
        object.__setattr__(self, "recipe", recipe)

    def name_member(self, number: int) -> str:
        return self.name if self.recipe.ensemble_size == 1 else f"{self.name}_{number + 1}"


@dataclass(frozen=True)
class Trained:
    """A model for prediction, its members' mean scores epoch by epoch, and its own scores.

    `probabilities` is float32 (n, k), what the model says of the validation images.
    """

    model: keras.Model
    history: pd.DataFrame
    metrics: dict[str, Any]
    probabilities: np.ndarray


def train_recipe(
    plan: Plan, report: Report = lambda *_: None, checkpoint_path: Path | None = None
) -> Trained:
    """Train the members of a recipe and join them into one model.

    `report` is told how things stand at the start and after each epoch. With a path, a training
    that was broken off goes on from the checkpoint there, to the same bytes.

    Raises:
        NetworkError: the recipe is no network that can be trained; nothing has been trained.
        DivergedError: a loss is not finite.
    """
    rehearse(plan)
    run = _identify(plan)
    checkpoint = load_checkpoint(checkpoint_path, run) if checkpoint_path else Checkpoint()

    def save() -> None:
        if checkpoint_path:
            write_checkpoint(checkpoint_path, run, checkpoint)
        report(*_summarize(checkpoint))

    save()
    seeds = _choose_seeds(plan.seed, plan.recipe.ensemble_size)
    members = [_train_member(plan, n, seed, checkpoint, save) for n, seed in enumerate(seeds)]
    return _finish(plan, members, checkpoint)


def rehearse(plan: Plan) -> None:
    """Train a throw-away copy for one step on a few images, and let it predict.

    Raises:
        NetworkError: why the real training would fail.
        DeviceError: it cannot be spread over so many devices.
    """
    name, recipe = plan.name, plan.recipe
    make_repeatable(plan.seed, plan.threads)
    check_devices(plan)
    few = Split(plan.train.images[:REHEARSAL_COUNT], plan.train.labels[:REHEARSAL_COUNT])
    build_callbacks(name, recipe)
    network = build_trainable(name, recipe)
    if network.output_shape[1] != plan.class_count:
        raise NetworkError(
            f"{RECIPES_DIR}/{name}.yaml: layers: expected the last one to give {plan.class_count} "
            f"probabilities, received {network.output_shape[1]}: `units: {CLASSES}` is as many as "
            "the dataset has classes"
        )
    network.run_eagerly = True  # one step is not worth a graph, and fails with better reasons
    try:
        network.fit(
            make_batches(few, recipe, plan.seed, plan.class_count)[0], shuffle=False, verbose=0
        )
        member = build_network(plan.name_member(0), recipe, network.get_weights())
        model = join_members(name, [member], recipe.test_time_shift)
        predict_probabilities(model, few.images, REHEARSAL_COUNT)
        check_loadable(model)
    except Exception as error:  # whatever a layer or an optimizer raises
        raise NetworkError(f"{RECIPES_DIR}/{name}.yaml: {find_reason(error)}") from error


def check_devices(plan: Plan) -> None:
    """Refuse a number of devices that are not there, or cannot share a batch evenly.

    Raises:
        DeviceError: as said. Keras adds up what the devices have of the first batch.
    """
    choose_strategy(plan.devices)
    first = min(plan.recipe.batch_size, len(plan.train.labels))
    if first % plan.devices:
        raise DeviceError(
            f"train.devices: expected a divisor of {first}, the images of a batch, "
            f"received {plan.devices}"
        )


def _identify(plan: Plan) -> str:
    arrays = [*vars(plan.train).values(), *vars(plan.validation).values()]
    settings = (plan.name, plan.recipe, plan.seed, plan.threads, plan.devices)
    return identify_run(repr(settings), arrays)


def _choose_seeds(seed: int, count: int) -> list[int]:
    """Derive a seed for each member, so that runs of neighbouring seeds share none."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count)]


def _train_member(
    plan: Plan, number: int, seed: int, checkpoint: Checkpoint, save: Callable[[], None]
) -> keras.Model:
    """Train a member by Keras's `fit` from where it stands; return it built for prediction."""
    recipe, train, validation = plan.recipe, plan.train, plan.validation
    name = plan.name_member(number)
    make_repeatable(seed, plan.threads)
    if number == len(checkpoint.finished):
        step_count = recipe.epochs * count_steps(len(train.labels), recipe.batch_size)
        batches, epoch = make_batches(train, recipe, seed, plan.class_count)
        watched = build_callbacks(plan.name, recipe)
        network = build_trainable(name, recipe, step_count, plan.devices)
        if number == 0:
            print(describe_network(network), flush=True)
        network.fit(
            batches,
            epochs=recipe.epochs,
            initial_epoch=recipe.epochs if checkpoint.stopped else checkpoint.epochs_done,
            validation_data=make_validation_batches(
                validation, recipe.loss, VALIDATION_BATCH_SIZE, plan.class_count
            ),
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_begin=lambda n, _: epoch.assign(n)),
                *watched,
                Recorder(checkpoint, watched, save),
                Progress(),
            ],
            shuffle=False,  # the batches are
            verbose=0,  # Progress says more with less
        )
        checkpoint.finish_member(network.get_weights())
    return build_network(name, recipe, checkpoint.finished[number])


def _finish(plan: Plan, members: Sequence[keras.Model], checkpoint: Checkpoint) -> Trained:
    """Temper the members, join them and score the whole on validation."""
    recipe, validation = plan.recipe, plan.validation
    if recipe.temperature_scaling:
        parts = collect_predictions(members, recipe.test_time_shift)
        given = predict_in_parts(parts, validation.images, VALIDATION_BATCH_SIZE)
        predictions = np.reshape(given, (-1, *given.shape[-2:]))  # of several, or of one alone
        temperature = fit_temperature(predictions, validation.labels)
        for member in members:
            apply_temperature(member, temperature)
        print(f"{plan.name}: temperature {temperature:.4f}", flush=True)
    model = join_members(plan.name, members, recipe.test_time_shift)
    # This optimizer has no state but its rate and its count of steps.
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    probabilities = predict_probabilities(model, validation.images, VALIDATION_BATCH_SIZE)
    labels = validation.labels.astype("int32")
    losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == labels))
    scores = zip(METRICS, (accuracy, float(np.mean(losses))), strict=True)
    metrics: dict[str, Any] = {**dict(scores), "compute_dtype": recipe.precision}
    if recipe.stops_early:
        metrics |= {"early_stopping": True}  # its epoch was chosen on these very images
    return Trained(model, _summarize(checkpoint)[0], metrics, probabilities)


def _summarize(checkpoint: Checkpoint) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the history, averaged over the members, and the scores of the newest epoch."""
    rows = pd.DataFrame(checkpoint.rows, columns=COLUMNS)
    history = rows.groupby("epoch", as_index=False).mean()
    newest = checkpoint.rows[-1] if checkpoint.rows else {}
    scores = {key: newest[key] for key in METRICS if newest}
    return history, {"epoch_count": len(rows), **scores}
