"""Networks from recipes, their calibration, and models on disk."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from samples import FLATTEN, SOFTMAX, fork, make_plan, make_recipe, spec
from scipy import ndimage
from scipy.special import softmax

from digits.config import describe_errors
from digits.model.backend import keras
from digits.model.loading import load_model
from digits.model.networks import (
    build_network,
    build_trainable,
    calibrate,
    fit_temperature,
    join_members,
)
from digits.model.objects import NetworkError
from digits.model.recipes import Recipe
from digits.model.saving import predict_probabilities, write_model
from digits.model.training import smoke_test

CONVOLUTION = spec("Conv2D", filters=4, kernel_size=3)
ROWS = spec("Reshape", target_shape=[28, 28])


def small_network(name: str = "small") -> Any:
    keras.utils.set_random_seed(1)
    return build_network(name, make_recipe(FLATTEN, SOFTMAX))


def refuse(*layers: dict[str, Any], **changes: Any) -> str:
    """Return the one line with which a recipe is refused before any training."""
    with pytest.raises((NetworkError, ValidationError)) as refusal:
        smoke_test(make_plan(make_recipe(*layers, **changes), name="bad"))
    if isinstance(refusal.value, ValidationError):
        return describe_errors("", Recipe, refusal.value)
    assert str(refusal.value).startswith("recipes/bad.yaml: ")
    assert "\n" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([spec("Conv2d"), SOFTMAX], r"layer1\.type: expected a Keras layer.*mean 'Conv2D'\?\)"),
        ([spec("Lambda", function="print"), SOFTMAX], r"layer1\.type: .*received 'Lambda'"),
        ([FLATTEN, spec("Dense", unit=10)], r"layers\.layer2: .*'units'"),
        ([FLATTEN, CONVOLUTION], r"layers\.layer2: .*expected min_ndim=4, found ndim=2"),
        ([CONVOLUTION | {"use_bias": "off"}, SOFTMAX], r"use_bias: expected true or false"),
        ([spec("Normalization", mean=0.1), FLATTEN, SOFTMAX], "expected mean and variance"),
        # Objects in arguments, and branches.
        ([CONVOLUTION | {"bias_regularizer": spec("L3")}, SOFTMAX], r"regularizer\.type: .*'L3'"),
        ([spec("Bidirectional", layer=spec("LSTN", units=2)), SOFTMAX], r"layer\.type: .*'LSTM'"),
        ([spec("Add", branches=fork([], [CONVOLUTION])), SOFTMAX], "layer1: Inputs have incompat"),
        ([spec("Add", branches=fork([], [spec("X")])), SOFTMAX], r"branch2\.layer1\.type: .*'X'"),
        # What comes out.
        ([FLATTEN, spec("Dense", units=9)], r"to give 10 prob.*`units: classes`.*\(None, 9\)"),
        ([SOFTMAX], r"received shape \(None, 28, 28, 10\)"),
        ([FLATTEN, spec("Dense", units=10)], "expected probabilities that sum to 1"),
    ],
)
def test_refused_layers(layers: list[dict[str, Any]], message: str) -> None:
    assert re.search(message, refuse(*layers))


def decay(steps: float, first: object = 0.1) -> dict[str, Any]:
    rate = spec("PolynomialDecay", initial_learning_rate=first, decay_steps=steps)
    return spec("SGD", learning_rate=rate)


PLATEAU = {"callbacks": {"watch": spec("ReduceLROnPlateau")}}
CYCLE = {"schedule": "one_cycle"}
SCALED = {"optimizer": spec("LossScaleOptimizer", inner_optimizer=decay(1))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": spec("Adamm")}, r"optimizer\.type: expected a Keras optim.*mean 'Adam'"),
        ({"optimizer": spec("Adam", learning_rate=-1)}, r"learning_rate: expected 0 or more"),
        ({"optimizer": decay(1, "fast")}, "Cast float to string"),
        ({"optimizer": decay(1000)}, r"decay_steps: expected a share of the training, 0 to 1"),
        ({"callbacks": {"watch": spec("TensorBoard")}}, "watch.type: expected 'EarlyStopping'"),
        ({"callbacks": {"watch": spec("EarlyStopping", monitor="loss")}}, "expected 'val_loss'"),
        ({"callbacks": {"watch": spec("EarlyStopping", patiense=1)}}, r"watch: .*patiense"),
        ({"callbacks": {"watch": spec("EarlyStopping", patience="3")}}, r"patience: expected a"),
        ({"callbacks": {"watch": spec("EarlyStopping", mode="up")}}, r"mode: expected 'auto'"),
        ({"callbacks": {"watch": spec("ReduceLROnPlateau", factor=2.0)}}, r"factor >= 1\.0"),
        (PLATEAU | CYCLE, "one that sets the learning rate"),
        (CYCLE | {"optimizer": decay(1)}, "one that sets the learning rate"),
        (PLATEAU | SCALED, "one that sets the learning rate"),
        ({"loss": "sparse_categorical_crossentropy", "label_smoothing": 0.1}, "label_smoothing"),
        ({"temperature_scaling": True, "layers": {"l": spec("Softmax")}}, "no logits to divide"),
    ],
)
def test_refused_training(changes: dict[str, Any], message: str) -> None:
    assert re.search(message, refuse(FLATTEN, SOFTMAX, **changes))


@pytest.mark.parametrize(
    "layers",
    [
        [FLATTEN, spec("Dense", units=10), spec("Softmax")],
        [spec("Average", branches=fork([FLATTEN, SOFTMAX], [FLATTEN, SOFTMAX]))],
        [ROWS, spec("RNN", cell=[spec("LSTMCell", units=4), spec("GRUCell", units=3)]), SOFTMAX],
        [spec("SpectralNormalization", layer=CONVOLUTION), FLATTEN, SOFTMAX],
        [spec("Normalization", mean=0.13, variance=0.09), FLATTEN, SOFTMAX],
    ],
    ids=["softmax", "average", "cells", "wrapper", "normalization"],
)
def test_accepted_networks(layers: list[dict[str, Any]]) -> None:
    smoke_test(make_plan(make_recipe(*layers)))


def test_layers_have_the_recipe_s_names_and_precision_but_for_the_last() -> None:
    """Names of a branch's layers begin with those of the layer that joins and of the branch."""
    branches = spec("Average", branches=fork([FLATTEN, SOFTMAX], [CONVOLUTION, FLATTEN, SOFTMAX]))
    network = build_trainable("n", make_recipe(CONVOLUTION, branches, precision="bfloat16"))
    bfloat16 = ("layer1", "layer2.branch1.layer1", "layer2.branch2.layer1", "layer2.branch2.layer2")
    float32 = ("layer2.branch1.layer2", "layer2.branch2.layer3", "layer2")
    expected = dict.fromkeys(bfloat16, "bfloat16") | dict.fromkeys(float32, "float32")
    assert {layer.name: layer.compute_dtype for layer in network.layers[1:]} == expected


def test_joined_model_averages_members_and_shifts(tmp_path: Path) -> None:
    members = [small_network("one"), small_network("two")]
    images = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    steps = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    views = [ndimage.shift(images, (0, *step, 0), order=0) for step in steps]
    expected = np.mean([member(view).numpy() for member in members for view in views], axis=0)
    write_model(tmp_path / "joined.keras", join_members("joined", members, 1))
    model = load_model(tmp_path / "joined.keras", 10)
    assert model.name == "joined"
    np.testing.assert_allclose(predict_probabilities(model, images, 4), expected, atol=1e-6)
    assert join_members("one", members[:1], 0) is members[0]


def test_equal_models_are_equal_bytes_on_disk(tmp_path: Path) -> None:
    path, archives = tmp_path / "joined.keras", []
    for _ in range(2):
        keras.utils.clear_session()  # layers are named from 1 again
        members = [small_network("one"), small_network("two")]
        write_model(path, join_members("joined", members, 1))
        archives.append(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        assert b"shared_object_id" in archive.read("config.json")  # by address, as Keras writes it
        assert b"date" not in archive.read("metadata.json")
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert archives[0] == archives[1]


# Temperature scaling, of probabilities made too sure or too shy on purpose

COUNT = 20_000


def draw_labels(logits: np.ndarray) -> np.ndarray:
    """Draw labels that the softmax of the logits describes exactly."""
    generator = np.random.default_rng(0)
    return (softmax(logits, axis=1).cumsum(axis=1) > generator.random((len(logits), 1))).argmax(1)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_fit_finds_what_was_done_to_the_logits(temperature: float) -> None:
    logits = np.random.default_rng(1).normal(0, 2, (COUNT, 10))
    given = softmax(logits * temperature, axis=1)
    assert fit_temperature(given[None], draw_labels(logits)) == pytest.approx(temperature, rel=0.03)


def test_several_opinions_are_tempered_before_they_are_averaged() -> None:
    opinions = softmax(np.random.default_rng(2).normal(0, 2, (3, COUNT, 10)), axis=2)
    labels = draw_labels(np.log(opinions.mean(axis=0)))

    def score(temperature: float) -> float:
        powers = opinions ** (1 / temperature)
        mean = (powers / powers.sum(axis=2, keepdims=True)).mean(axis=0)
        return float(-np.log(mean[np.arange(COUNT), labels]).mean())

    best = min(np.exp(np.linspace(-1, 1, 81)), key=score)
    assert fit_temperature(opinions, labels) == pytest.approx(best, rel=0.03)


def test_certainty_that_is_always_wrong_becomes_as_unsure_as_may_be() -> None:
    wrong = np.roll(np.eye(10), 1, axis=0)
    assert fit_temperature(wrong[None], np.arange(10)) == pytest.approx(np.exp(3), rel=0.01)


def test_applied_temperature_divides_the_logits_and_changes_no_rank() -> None:
    network = small_network()
    images = np.random.default_rng(0).random((50, 28, 28, 1), np.float32)
    before = predict_probabilities(network, images, 50)
    temperature = calibrate([network], before, before.argmax(axis=1))
    after = predict_probabilities(network, images, 50)
    np.testing.assert_allclose(after, softmax(np.log(before) / temperature, axis=1), rtol=1e-4)
    np.testing.assert_array_equal(before.argsort(axis=1), after.argsort(axis=1))
