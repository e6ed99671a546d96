"""Networks from recipes, and models on disk."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import RECIPES
from pydantic import ValidationError
from samples import FLATTEN, SOFTMAX, fork, make_plan, make_recipe, spec

from digits.config import describe_errors, load_params
from digits.files import ArtifactError
from digits.model.backend import keras
from digits.model.loading import load_model
from digits.model.networks import build_network, build_trainable, join_members
from digits.model.objects import NetworkError
from digits.model.recipes import Recipe
from digits.model.saving import predict_probabilities, write_model
from digits.model.training import smoke_test

CONVOLUTION = spec("Conv2D", filters=4, kernel_size=3)
ROWS = spec("Reshape", target_shape=[28, 28])


def small_network(name: str = "small") -> Any:
    keras.utils.set_random_seed(1)
    return build_network(name, make_recipe(FLATTEN, SOFTMAX))


def test_cnn_has_225034_parameters_and_the_reference_layers() -> None:
    network = build_network("cnn", load_params("", Recipe, RECIPES / "cnn.yaml").suit_classes(10))
    assert network.count_params() == 225_034
    assert [layer.output.shape[1:] for layer in network.layers[1:]] == [
        *[(26, 26, 32), (13, 13, 32), (11, 11, 64), (5, 5, 64)],
        *[(1600,), (128,), (128,), (10,)],
    ]


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
        ([spec("MaxPooling2D", pool_size=40), SOFTMAX], r"layer1: Computed output size would be"),
        (
            [CONVOLUTION | {"use_bias": "off"}, FLATTEN, SOFTMAX],
            r"use_bias: expected true or false",
        ),
        ([spec("Normalization", mean=0.1), FLATTEN, SOFTMAX], "expected mean and variance"),
        ([ROWS, spec("LSTM", units=4, return_state=True), SOFTMAX], "layer3: .*received 3 input"),
        # Objects in arguments, and branches.
        (
            [CONVOLUTION | {"kernel_regularizer": spec("L3")}, SOFTMAX],
            r"regularizer\.type: .*regularizer, rec",
        ),
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
    dtypes = {layer.name: layer.compute_dtype for layer in network.layers[1:]}
    assert dtypes == {
        "layer1": "bfloat16",
        "layer2.branch1.layer1": "bfloat16",
        "layer2.branch1.layer2": "float32",
        "layer2.branch2.layer1": "bfloat16",
        "layer2.branch2.layer2": "bfloat16",
        "layer2.branch2.layer3": "float32",
        "layer2": "float32",
    }


def test_joined_model_averages_members_and_shifts(tmp_path: Path) -> None:
    members = [small_network("one"), small_network("two")]
    images = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    views = [images]
    for axis in (1, 2):
        for step in (1, -1):
            moved = np.roll(images, step, axis)
            edge = [slice(None)] * 4
            edge[axis] = slice(0, 1) if step == 1 else slice(-1, None)
            moved[tuple(edge)] = 0
            views.append(moved)
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
        network = small_network()
        joined = join_members("joined", [network, small_network("other")], 1)
        write_model(path, joined)
        archives.append(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        assert b"shared_object_id" in archive.read("config.json")  # by address, as Keras writes it
        assert b"date" not in archive.read("metadata.json")
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert archives[0] == archives[1]
    images = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
    loaded = predict_probabilities(load_model(path, 10), images, 5)
    np.testing.assert_array_equal(loaded, predict_probabilities(joined, images, 5))


def test_predictions_that_are_no_probabilities_are_refused() -> None:
    images = np.zeros((2, 28, 28, 1), np.float32)
    network = small_network()
    network.layers[-1].bias.assign(np.full(10, np.nan))
    with pytest.raises(ArtifactError, match="received NaN"):
        predict_probabilities(network, images, 2)
