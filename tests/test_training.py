"""Training: the same steps as Keras's `fit`, and augmentation that never repeats itself."""

import math
from typing import Any

import numpy as np
import pytest
from imports import ROOT
from pydantic import ValidationError
from samples import SOFTMAX, make_recipe

from digits.data.splits import Split
from digits.files.params import load_params
from digits.model.augmentation import distort
from digits.model.backend import make_repeatable, tf
from digits.model.networks import build_network, encode_labels
from digits.model.recipes import Augmentation, Recipe
from digits.model.training import count_seen_side, rate_fraction, train_epochs

STILL = Augmentation(shift=0.0, angle=0.0, scale=0.0, shear=0.0)
CONVOLUTION: dict[str, Any] = {"Conv2D": {"filters": 3, "kernel_size": 3, "activation": "relu"}}
NETWORKS: dict[str, list[dict[str, Any]]] = {
    "dense": [{"Flatten": {}}, SOFTMAX],
    "cropped": [CONVOLUTION, {"MaxPooling2D": {}}, CONVOLUTION, {"MaxPooling2D": {}}],
    "normalized": [CONVOLUTION, {"BatchNormalization": {}}, {"ReLU": {}}],
    "regularized": [{"Flatten": {}}, {"Dense": {"units": 8, "kernel_regularizer": "l2"}}],
}


@pytest.fixture
def train() -> Split:
    generator = np.random.default_rng(3)
    images = generator.random((64, 28, 28, 1), np.float32)
    return Split(images, generator.integers(0, 10, 64).astype(np.uint8))


def run_epochs(network: Any, chosen: Recipe, train: Split, seed: int = 0) -> list[Any]:
    return [list(progress) for progress in train_epochs(network, chosen, train, seed)]


@pytest.mark.parametrize(
    "loss",
    ["categorical_crossentropy", "sparse_categorical_crossentropy"],
    ids=["one-hot", "sparse"],
)
@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_steps_are_those_of_keras_fit(
    layers: list[dict[str, Any]], loss: str, train: Split
) -> None:
    flat = layers if "Flatten" in layers[0] else [*layers, {"Flatten": {}}]
    complete = flat if flat[-1] is SOFTMAX else [*flat, SOFTMAX]
    # One batch an epoch: the order of the images cannot matter.
    sgd = {"SGD": {"learning_rate": 0.05, "momentum": 0.9}}
    chosen = make_recipe(*complete, loss=loss, optimizer=sgd, epochs=3)
    make_repeatable(seed=5, threads=0)
    ours = build_network("ours", chosen)
    make_repeatable(seed=5, threads=0)
    theirs = build_network("theirs", chosen)
    progress = run_epochs(ours, chosen, train)
    history = theirs.fit(
        train.images, encode_labels(train.labels, loss), batch_size=64, epochs=3, verbose=0
    ).history
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-4)
    ends = [epoch[-1] for epoch in progress]
    assert [end[1] for end in ends] == pytest.approx(history["accuracy"], abs=1e-6)
    if not ours.losses:  # Keras adds the penalty to the loss that it shows
        assert [end[2] for end in ends] == pytest.approx(history["loss"], rel=1e-3)


def test_progress_counts_every_image_once(train: Split) -> None:
    chosen = make_recipe({"Flatten": {}}, SOFTMAX, batch_size=10, epochs=2)
    progress = run_epochs(build_network("n", chosen), chosen, train)
    assert len(progress) == 2
    assert progress[0][-1][0] == len(train.labels)


def test_same_seed_same_weights_other_seed_others(train: Split) -> None:
    limits = Augmentation(shift=2.0, angle=10.0, scale=0.1, shear=0.1)
    chosen = make_recipe(
        {"Flatten": {}}, {"Dropout": {"rate": 0.5}}, SOFTMAX, batch_size=10, augmentation=limits
    )
    weights = []
    for seed in (1, 1, 2):
        make_repeatable(seed, threads=0)
        network = build_network("n", chosen)
        run_epochs(network, chosen, train, seed)
        weights.append(network.get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 1e-3


def test_augmentation_differs_between_epochs(train: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[tuple[int, ...]] = []

    def spy(images: Any, seed: Any, _: Augmentation) -> Any:
        tf.py_function(lambda value: seeds.append(tuple(value.numpy().tolist())), [seed], [])
        return images

    monkeypatch.setattr("digits.model.training.distort", spy)
    moving = Augmentation(**{**STILL.model_dump(), "shift": 1.0})
    chosen = make_recipe({"Flatten": {}}, SOFTMAX, batch_size=16, epochs=3, augmentation=moving)
    run_epochs(build_network("n", chosen), chosen, train, seed=7)
    assert len(seeds) == 12
    assert len(set(seeds)) == 12
    assert {seed[0] for seed in seeds} == {7}


def test_distortion_depends_on_the_seed_alone(train: Split) -> None:
    limits = Augmentation(shift=2.0, angle=10.0, scale=0.1, shear=0.1)
    first, again, other = (
        distort(tf.constant(train.images), tf.constant([0, step]), limits).numpy()
        for step in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert first.shape == train.images.shape
    assert first.min() >= 0
    assert first.max() <= 1


def test_no_limits_leave_images_alone(train: Split) -> None:
    still = distort(tf.constant(train.images), tf.constant([0, 1]), STILL).numpy()
    np.testing.assert_allclose(still, train.images, atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "limit"), [("shift", 3.0), ("angle", 20.0), ("scale", 0.2), ("shear", 0.3)]
)
def test_each_limit_moves_a_dot_no_farther_than_it_says(changed: str, limit: float) -> None:
    limits = Augmentation(**{**STILL.model_dump(), changed: limit})
    row, column, centre = 18, 21, 13.5
    images = np.zeros((400, 28, 28, 1), np.float32)
    images[:, row - 1 : row + 2, column - 1 : column + 2] = 1
    moved = distort(tf.constant(images), tf.constant([0, 1]), limits).numpy()[..., 0]
    grid = np.arange(28)
    mass = moved.sum(axis=(1, 2))
    y = (moved.sum(axis=2) @ grid) / mass - centre
    x = (moved.sum(axis=1) @ grid) / mass - centre
    dy, dx = row - centre, column - centre
    radius = math.hypot(dx, dy)
    farthest = {
        "shift": (limit, limit),
        "angle": (radius * math.radians(limit),) * 2,
        "scale": (abs(dx) * limit, abs(dy) * limit),
        "shear": (abs(dy) * limit, 0.0),
    }[changed]
    slack = 0.25  # of a pixel, for the bilinear blur
    for move, far in ((np.abs(x - dx), farthest[0]), (np.abs(y - dy), farthest[1])):
        assert move.max() <= far + slack
        assert move.max() >= far * 0.5


def test_rate_rises_then_falls_linearly() -> None:
    shares = [float(rate_fraction(tf.constant(p), 0.25)) for p in (0.0, 0.125, 0.25, 0.625, 1.0)]
    assert shares == pytest.approx([0.1, 0.55, 1.0, 0.5, 0.0])


def test_rate_follows_the_schedule(train: Split) -> None:
    chosen = make_recipe({"Flatten": {}}, SOFTMAX, batch_size=16, schedule="one_cycle")
    network = build_network("n", chosen)
    run_epochs(network, chosen, train)
    assert float(network.optimizer.learning_rate.numpy()) == pytest.approx(0.01 * 0.25)


@pytest.mark.parametrize(
    ("name", "side"), [("cnn", 26), ("cnn_optdigits", 26), ("mlp", 28), ("deep_cnn", 28)]
)
def test_seen_side_of_the_recipes(name: str, side: int) -> None:
    network = build_network(name, load_params(f"recipes.{name}", Recipe, ROOT / "params.yaml"))
    assert count_seen_side(network) == side


def test_unseen_rows_change_no_output(train: Split) -> None:
    network = build_network("cnn", load_params("recipes.cnn", Recipe, ROOT / "params.yaml"))
    side = count_seen_side(network)
    changed = train.images.copy()
    changed[:, side:] = 1 - changed[:, side:]
    changed[:, :, side:] = 1 - changed[:, :, side:]
    before, after = (network(images).numpy() for images in (train.images, changed))
    np.testing.assert_array_equal(before, after)


def test_normalization_sees_every_row() -> None:
    layers = [CONVOLUTION, {"BatchNormalization": {}}, {"MaxPooling2D": {"pool_size": 3}}]
    network = build_network("n", make_recipe(*layers, {"Flatten": {}}, SOFTMAX))
    assert count_seen_side(network) == 28


def test_smoothing_needs_one_hot_labels() -> None:
    with pytest.raises(ValidationError, match="smoothing needs one-hot labels"):
        make_recipe(SOFTMAX, loss="sparse_categorical_crossentropy", label_smoothing=0.1)


def test_smoothing_reaches_the_loss(train: Split) -> None:
    losses = []
    for smoothing in (0.0, 0.5):
        chosen = make_recipe({"Flatten": {}}, SOFTMAX, label_smoothing=smoothing)
        make_repeatable(seed=1, threads=0)
        network = build_network("n", chosen)
        given = network(train.images).numpy().astype(float)
        one_hot = np.eye(10)[train.labels] * (1 - smoothing) + smoothing / 10
        expected = -(one_hot * np.log(given)).sum(axis=1).mean()
        losses.append(run_epochs(network, chosen, train)[0][-1][2])
        assert losses[-1] == pytest.approx(expected, rel=1e-4)
    assert losses[0] != losses[1]
