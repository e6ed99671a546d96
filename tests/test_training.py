"""What a training is made of: batches, distortion, learning rates, normalization."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from samples import FLATTEN, SOFTMAX, make_plan, make_recipe, make_split, spec

from digits.data.splits import Split, load_split, write_split
from digits.model import saving
from digits.model.backend import keras, make_repeatable, tf
from digits.model.batches import count_steps, make_batches
from digits.model.networks import build_network, build_trainable
from digits.model.objects import BatchNormalization
from digits.model.recipes import Augmentation
from digits.model.training import train_recipe

LIMITS = Augmentation(shift=2.0, angle=10.0, scale=0.1, shear=0.1)


@pytest.fixture
def train() -> Split:
    """Return images whose first pixel is their number, and labels."""
    split = make_split(50)
    split.images[:, 0, 0, 0] = np.arange(50)
    return split


def take_epochs(
    split: Split, seed: int, numbers: list[int], limits: Augmentation
) -> list[np.ndarray]:
    """Return the images of some epochs in the order in which they are trained on."""
    recipe = make_recipe(SOFTMAX, batch_size=16, augmentation=limits)
    dataset, epoch = make_batches(split, recipe, seed, 10)
    assert len(dataset) == count_steps(len(split.labels), 16)
    taken = []
    for number in numbers:
        epoch.assign(number)
        taken.append(np.concatenate([images.numpy() for images, _ in dataset]))
    return taken


def test_an_epoch_has_every_image_once_with_its_label_one_hot(train: Split) -> None:
    dataset, _ = make_batches(train, make_recipe(SOFTMAX, batch_size=16), 1, 10)
    batches = [(images.numpy(), targets.numpy()) for images, targets in dataset]
    assert [len(targets) for _, targets in batches] == [16, 16, 16, 2]
    numbers = np.concatenate([images[:, 0, 0, 0] for images, _ in batches]).astype(int)
    assert sorted(numbers) == list(range(50)) != numbers.tolist()
    targets = np.concatenate([targets for _, targets in batches])
    np.testing.assert_array_equal(targets, np.eye(10, dtype="float32")[train.labels[numbers]])


def test_images_on_disk_give_the_same_weights(tmp_path: Path) -> None:
    recipe = make_recipe(
        FLATTEN, SOFTMAX, batch_size=10, augmentation=LIMITS, temperature_scaling=True
    )
    plan = make_plan(recipe)
    mapped: dict[str, Any] = {}
    for name in ("train", "validation"):
        split = getattr(plan, name)
        write_split(tmp_path / name, [split.images], split.labels)
        mapped[name] = load_split(tmp_path / name, 10)
    plans = plan, replace(plan, **mapped)
    one, other = (train_recipe(each).model.get_weights() for each in plans)
    np.testing.assert_equal(one, other)


def test_predicted_in_parts_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_network("n", make_recipe(FLATTEN, SOFTMAX))
    both = keras.Model(model.input, [model.output, model.output])
    images = make_split(50).images
    whole = model.predict(images, batch_size=8, verbose=0)
    monkeypatch.setattr(saving, "PREDICTED_AT_A_TIME", 20)
    np.testing.assert_array_equal(saving.predict_in_parts(model, images, 8), whole)
    np.testing.assert_array_equal(saving.predict_in_parts(both, images, 8), [whole, whole])


@pytest.mark.parametrize("limits", [Augmentation(), LIMITS], ids=["order", "distortion"])
def test_batches_are_a_function_of_seed_epoch_and_step(limits: Augmentation, train: Split) -> None:
    first, second = take_epochs(train, 1, [0, 1], limits)
    alone, again = take_epochs(train, 1, [1, 0], limits)
    (other,) = take_epochs(train, 2**32 - 1, [0], limits)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(second, alone)
    assert np.abs(first - second).max() > 1
    assert np.abs(first - other).max() > 1


def test_each_image_of_each_epoch_is_distorted_by_itself() -> None:
    same = Split(np.repeat(make_split(1).images, 48, axis=0), np.zeros(48, np.uint8))
    drawn = np.concatenate(take_epochs(same, 1, [0, 1], LIMITS)).reshape(96, -1)
    assert len(np.unique(drawn.round(5), axis=0)) == 96


BOUNDARIES = spec("PiecewiseConstantDecay", boundaries=[0.25, 0.75], values=[3.0, 2.0, 1.0])


@pytest.mark.parametrize(
    ("rate", "changes", "expected"),
    [
        (2.0, {"schedule": "one_cycle", "warmup_fraction": 0.25}, [0.2, 1.1, 2.0, 1.0, 0.0]),
        (BOUNDARIES, {}, [3, 3, 3, 2, 1]),
    ],
    ids=["one cycle", "shares"],
)
def test_learning_rate_follows_its_schedule(
    rate: object, changes: dict[str, Any], expected: list[float]
) -> None:
    recipe = make_recipe(FLATTEN, SOFTMAX, **changes, optimizer=spec("SGD", learning_rate=rate))
    network = build_trainable("n", recipe, step_count=80)
    rates = []
    for step in (0, 10, 20, 50, 80):
        network.optimizer.iterations.assign(step)
        rates.append(float(network.optimizer.learning_rate))
    assert rates == pytest.approx(expected, abs=1e-6)


def test_early_stopping_ends_with_the_best_weights() -> None:
    stopping = spec("EarlyStopping", patience=2, restore_best_weights=True)
    changes = {"callbacks": {"watch": stopping}, "optimizer": spec("Adam", learning_rate=0.05)}
    plan = make_plan(make_recipe(FLATTEN, SOFTMAX, epochs=30, batch_size=8, **changes))
    trained = train_recipe(plan)
    losses = trained.history["val_loss"]
    assert losses.idxmin() == len(losses) - 3 < 27
    validation = plan.validation
    loss, _ = trained.model.evaluate(validation.images, validation.labels, verbose=0)
    assert loss == pytest.approx(losses.min(), rel=1e-4)
    assert trained.metrics["early_stopping"]


# Where the fused kernel may serve, and all that makes it step aside.
LAYERS: dict[str, tuple[dict[str, Any], bool]] = {
    "plain": ({}, True),
    "momentum": ({"momentum": 0.5, "epsilon": 0.01, "axis": 3}, True),
    "other axis": ({"axis": 1}, False),
    "no scale": ({"scale": False}, False),
    "frozen": ({"trainable": False}, False),
    "float64": ({"dtype": "float64"}, False),
}


@pytest.mark.parametrize("shape", [(2, 1, 1, 3), (16, 5, 5, 3)], ids=str)
@pytest.mark.parametrize(("arguments", "fused"), LAYERS.values(), ids=LAYERS)
def test_normalization_is_kerass(
    arguments: dict[str, Any],
    fused: bool,  # noqa: FBT001
    shape: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = tf.constant(np.random.default_rng(0).normal(1, 2, shape), tf.float32)
    kernel = Mock(wraps=tf.raw_ops.FusedBatchNormV3)
    monkeypatch.setattr(tf.raw_ops, "FusedBatchNormV3", kernel)
    outcomes = []
    for kind in (keras.layers.BatchNormalization, BatchNormalization):
        layer = kind(**arguments)
        layer.build(shape)
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=True)
            score = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3) + sum(layer.losses)
        still = layer(images, training=False)
        weights = [variable.numpy() for variable in layer.variables]
        outcomes.append([outputs.numpy(), tape.gradient(score, images).numpy(), still, *weights])
    assert kernel.called == fused
    for theirs, ours in zip(*outcomes, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_bfloat16_trains_a_plain_model_of_float32() -> None:
    make_repeatable(1, threads=0)
    layers = spec("Conv2D", filters=2, kernel_size=3), spec("BatchNormalization"), FLATTEN, SOFTMAX
    trained = train_recipe(make_plan(make_recipe(*layers, precision="bfloat16")))
    assert trained.metrics["compute_dtype"] == "bfloat16"
    assert {layer.compute_dtype for layer in trained.model.layers} == {"float32"}
    assert type(trained.model.layers[2]) is keras.layers.BatchNormalization
    names = [variable.path for variable in trained.model.optimizer.variables]
    assert names == ["sgd/iteration", "sgd/learning_rate"]
