"""Networks from recipes, and models on disk."""

import datetime as dt
import json
import math
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
from digits.model.batches import encode_labels
from digits.model.ensemble import join_members
from digits.model.inspection import REFUSED
from digits.model.networks import build_network, build_trainable
from digits.model.objects import NetworkError
from digits.model.recipes import Recipe
from digits.model.saving import load_model, predict_probabilities, write_model
from digits.model.training import smoke_test, train_recipe


def small_network(name: str = "small") -> Any:
    keras.utils.set_random_seed(1)
    return build_network(name, make_recipe(spec("Flatten"), SOFTMAX))


def test_cnn_has_225034_parameters_and_the_reference_layers() -> None:
    network = build_network("cnn", load_params("", Recipe, RECIPES / "cnn.yaml").suit_classes(10))
    assert network.count_params() == 225_034
    assert [layer.output.shape[1:] for layer in network.layers[1:]] == [
        (26, 26, 32),
        (13, 13, 32),
        (11, 11, 64),
        (5, 5, 64),
        (1600,),
        (128,),
        (128,),
        (10,),
    ]


CONVOLUTION = spec("Conv2D", filters=4, kernel_size=3)
ROWS = spec("Reshape", target_shape=[28, 28])


def change(**arguments: Any) -> dict[str, Any]:
    return {**CONVOLUTION, **arguments}


def refuse(*layers: dict[str, Any], name: str = "bad", **changes: Any) -> str:
    """Return the one line with which a recipe is refused before any training."""
    with pytest.raises((NetworkError, ValidationError)) as refusal:
        smoke_test(make_plan(make_recipe(*layers, **changes), name=name))
    if isinstance(refusal.value, ValidationError):
        return describe_errors("", Recipe, refusal.value)
    assert "\n" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [spec("Conv", filters=1), SOFTMAX],
            r"layers\.layer1\.type: expected a Keras layer.*'Conv'",
        ),
        ([spec("Conv2d", filters=1), SOFTMAX], r"\(did you mean 'Conv2D'\?\)"),
        (
            [spec("Lambda", function="print"), SOFTMAX],
            r"layers\.layer1\.type: .*received 'Lambda'",
        ),
        (
            [spec("TFSMLayer", filepath="x"), SOFTMAX],
            r"layers\.layer1\.type: .*received 'TFSMLayer'",
        ),
        ([FLATTEN, spec("Dense")], r"layers\.layer2: .*'units'"),
        ([FLATTEN, spec("Dense", unit=10)], r"layers\.layer2\.unit: .*mean 'units'"),
        ([spec("Dense", units=-1), SOFTMAX], r"layers\.layer1: .*units"),
        ([FLATTEN, CONVOLUTION], r"layers\.layer2: .*expected min_ndim=4, found ndim=2"),
        (
            [spec("MaxPooling2D", pool_size=40), FLATTEN, SOFTMAX],
            r"layers\.layer1: Computed output size would be zero",
        ),
        ([spec("Dropout", rate=1.5), FLATTEN, SOFTMAX], r"layer1: Invalid value"),
        ([change(padding=-1), SOFTMAX], r"layers\.layer1: .*'padding': -1"),
        ([change(padding="sane"), SOFTMAX], r"layers\.layer1: .*sane"),
        ([spec("MaxPooling2D", strides=0), SOFTMAX], r"layers\.layer1: .*'strides': 0"),
        ([spec("BatchNormalization", axis=10**30), SOFTMAX], r"layer1: .*'axis': 1000"),
        ([spec("Layer"), FLATTEN, SOFTMAX], r"layers\.layer1\.type: .*received 'Layer'"),
        (
            [spec("Input"), FLATTEN, SOFTMAX],
            r"layers\.layer1\.type: .*received 'Input'(?!.*InputSpec)",
        ),
        ([spec("Normalization"), FLATTEN, SOFTMAX], "expected mean and variance"),
        ([spec("Normalization", mean=0.1), FLATTEN, SOFTMAX], "expected mean and variance"),
        (
            [spec("Discretization", num_bins=3), FLATTEN, SOFTMAX],
            r"recipes/bad\.yaml: You need",
        ),
        (
            [ROWS, spec("LSTM", units=4, return_state=True), SOFTMAX],
            "expected one output",
        ),
        (
            [ROWS, spec("LSTM", units=4, stateful=True), SOFTMAX],
            r"layer2: .*stateful.*static",
        ),
        (
            [spec("Dropout", rate=0.5, noise_shape=[7, 1, 28, 1]), FLATTEN, SOFTMAX],
            "broadcast",
        ),
        ([spec("UpSampling2D", interpolation="cubic"), FLATTEN, SOFTMAX], "'bilinear'"),
        # Arguments that Python takes for something else.
        ([change(use_bias="off"), FLATTEN, SOFTMAX], r"use_bias: expected true or false"),
        ([change(use_bias=0), FLATTEN, SOFTMAX], r"use_bias: expected true or false, received 0"),
        ([change(trainable=0), FLATTEN, SOFTMAX], r"trainable: expected true or false"),
        ([change(filters="32"), FLATTEN, SOFTMAX], r"layer1: .*'filters': '32'"),
        ([change(kernel_size=["3", 3]), FLATTEN, SOFTMAX], r"layer1: .*'kernel_size': \['3', 3\]"),
        ([change(filters=True), FLATTEN, SOFTMAX], r"filters: expected neither true nor false"),
        ([spec("Dropout", rate=math.nan), FLATTEN, SOFTMAX], "rate: expected a finite number"),
        (
            [spec("Dropout", rate=dt.date(2026, 1, 1)), FLATTEN, SOFTMAX],
            r"layer1: .*'rate': date",
        ),
        # Objects in arguments.
        (
            [change(kernel_regularizer=spec("L3")), FLATTEN, SOFTMAX],
            "a Keras regularizer, received",
        ),
        (
            [change(kernel_regularizer=spec("L2", l=1.0)), SOFTMAX],
            r"kernel_regularizer\.l: .* mean 'l2'",
        ),
        ([change(kernel_regularizer=spec("L2", l2="0.1")), SOFTMAX], r"kernel_regularizer.*l2"),
        (
            [change(kernel_regularizer={"L2": 0.1}), SOFTMAX],
            r"kernel_regularizer\.type: expected a Keras regularizer, received None",
        ),
        ([change(activation=spec("leaky_relu")), SOFTMAX], "mean 'LeakyReLU'"),
        (
            [change(activation={"class_name": "Lambda", "config": {}}), SOFTMAX],
            r"activation\.type: expected a Keras layer, received None",
        ),
        (
            [spec("Bidirectional", layer=spec("LSTN", units=2)), SOFTMAX],
            r"layer\.type: .*'LSTM'",
        ),
        # Branches.
        (
            [spec("Add", branches=[]), FLATTEN, SOFTMAX],
            r"layers\.layer1\.branches: expected a valid dictionary, received \[\]",
        ),
        ([spec("Add", branches=[FLATTEN]), SOFTMAX], r"layer1\.branches: expected a valid dict"),
        ([spec("Add", branches="two"), SOFTMAX], r"layer1\.branches: .*received 'two'"),
        ([spec("Add"), FLATTEN, SOFTMAX], r"layers\.layer1: "),
        (
            [spec("Add", branches=fork([], [CONVOLUTION])), SOFTMAX],
            r"layers\.layer1: Inputs have incompatible shapes",
        ),
        (
            [
                spec("Add", branches=fork([], [spec("Add", branches=fork([], [spec("Conv")]))])),
                SOFTMAX,
            ],
            r"layer1\.branches\.branch2\.layer1\.branches\.branch2\.layer1\.type: .*'Conv'",
        ),
        # What comes out.
        (
            [FLATTEN, spec("Dense", units=9, activation="softmax")],
            r"layers: expected the last one to give 10 prob.*`units: classes`.*shape \(None, 9\)",
        ),
        ([SOFTMAX], r"received shape \(None, 28, 28, 10\)"),
        ([FLATTEN, spec("Dense", units=10)], "expected probabilities that sum to 1"),
        (
            [FLATTEN, spec("Dense", units=10, activation="sigmoid")],
            "probabilities that sum",
        ),
        (
            [FLATTEN, spec("Dense", units=10), spec("Softmax", axis=0)],
            "probabilities that sum",
        ),
        # Names.
        ([spec("Flatten", name="a"), SOFTMAX], r"layer1\.name: expected none"),
    ],
)
def test_refused_layers(layers: list[dict[str, Any]], message: str) -> None:
    assert re.search(message, refuse(*layers))


@pytest.mark.parametrize("name", ["a/b", "my net", "größe", "-x"])
def test_refused_name(name: str) -> None:
    said = refuse(FLATTEN, SOFTMAX, name=name)
    assert said.startswith(f"recipes/{name}.yaml: ")
    assert "name" in said


@pytest.mark.parametrize("name", REFUSED)
def test_layers_of_code_are_not_proposed(name: str) -> None:
    assert f"mean {name!r}" not in refuse(spec(name), FLATTEN, SOFTMAX)
    assert f"mean {name!r}" not in refuse(spec(name[:-1]), FLATTEN, SOFTMAX)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (spec("Adamm"), r"optimizer\.type: expected a Keras optimizer.*mean 'Adam'"),
        (spec("Adam", rate=1.0), r"optimizer\.rate: unknown argument"),
        (spec("Adam", learning_rate="fast"), r"optimizer: .*fast"),
        (spec("Adam", clipnorm=True), r"clipnorm: expected neither true nor false"),
        (spec("Adam", use_ema=1), r"use_ema: expected true or false"),
        (spec("Adam", clipnorm=1.0, clipvalue=1.0), "Only one of"),
        (
            spec("Adam", learning_rate=spec("Cosine")),
            "Keras schedule, received 'Cosine'",
        ),
        (
            spec("Adam", learning_rate=spec("CosineDecay", decay_steps=1000)),
            r"learning_rate\.decay_steps: expected a share of the training, 0 to 1, received 1000",
        ),
        (spec("SGD", momentum=2), r"optimizer: .*momentum"),
    ],
)
def test_refused_optimizer(optimizer: dict[str, Any], message: str) -> None:
    assert re.search(message, refuse(FLATTEN, SOFTMAX, optimizer=optimizer))


PLATEAU = spec("ReduceLROnPlateau")
SCHEDULE = spec("PolynomialDecay", initial_learning_rate=0.1, decay_steps=1)


def scale_loss(arguments: dict[str, Any]) -> dict[str, Any]:
    return spec("LossScaleOptimizer", inner_optimizer=spec("SGD", **arguments))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"callbacks": {"watch": spec("TensorBoard")}}, "some of .*EarlyStopping.* a monitor of"),
        ({"callbacks": {"watch": spec("EarlyStopping", monitor="accuracy")}}, "a monitor of"),
        ({"callbacks": {"watch": spec("EarlyStopping", patiense=1)}}, "mean 'patience'"),
        ({"callbacks": {"watch": spec("EarlyStopping", patience="few")}}, "patience as a number"),
        ({"callbacks": {"watch": spec("EarlyStopping", baseline="high")}}, "baseline as a number"),
        (
            {"callbacks": {"watch": spec("EarlyStopping", start_from_epoch="x")}},
            "epoch as a number",
        ),
        ({"callbacks": {"watch": spec("ReduceLROnPlateau", patience=[3])}}, "patience as a number"),
        ({"callbacks": {"watch": spec("ReduceLROnPlateau", cooldown="x")}}, "cooldown as a number"),
        ({"callbacks": {"watch": spec("ReduceLROnPlateau", min_lr="tiny")}}, "min_lr as a number"),
        (
            {"callbacks": {"watch": spec("EarlyStopping", mode="mn")}},
            r"callbacks\.watch: .*unknown",
        ),
        ({"callbacks": {"watch": spec("ReduceLROnPlateau", factor=2.0)}}, r"factor >= 1\.0"),
        (
            {"callbacks": {"watch": PLATEAU}, "schedule": "one_cycle"},
            "a schedule sets the learning rate",
        ),
        (
            {"callbacks": {"watch": PLATEAU}, "optimizer": spec("SGD", learning_rate=SCHEDULE)},
            "a schedule sets the learning rate",
        ),
        (
            {"schedule": "one_cycle", "optimizer": spec("SGD", learning_rate=SCHEDULE)},
            "constant where the learning rate is a schedule",
        ),
        # In the optimizer that another one wraps, too.
        (
            {"callbacks": {"watch": PLATEAU}, "optimizer": scale_loss({"learning_rate": SCHEDULE})},
            "a schedule sets the learning rate",
        ),
        (
            {"schedule": "one_cycle", "optimizer": scale_loss({"learning_rate": SCHEDULE})},
            "constant where the learning rate is a schedule",
        ),
    ],
)
def test_refused_schedules_and_callbacks(changes: dict[str, Any], message: str) -> None:
    assert re.search(message, refuse(FLATTEN, SOFTMAX, **changes))


@pytest.mark.parametrize(
    "last",
    [
        [FLATTEN, spec("Dense", units=10), spec("Softmax")],
        [FLATTEN, spec("Dense", units=10), spec("Activation", activation="softmax")],
        [change(filters=10, kernel_size=28, activation="softmax"), FLATTEN],
        [spec("Average", branches=fork([FLATTEN, SOFTMAX], [FLATTEN, SOFTMAX]))],
        [
            ROWS,
            spec("RNN", cell=[spec("LSTMCell", units=4), spec("GRUCell", units=3)]),
            SOFTMAX,
        ],
        [spec("SpectralNormalization", layer=CONVOLUTION), FLATTEN, SOFTMAX],
        [spec("Normalization", mean=0.13, variance=0.09), FLATTEN, SOFTMAX],
    ],
    ids=["softmax", "activation", "convolution", "average", "cells", "wrapper", "normalization"],
)
def test_accepted_networks(last: list[dict[str, Any]]) -> None:
    smoke_test(make_plan(make_recipe(*last)))


def test_shares_become_steps() -> None:
    boundaries = spec("PiecewiseConstantDecay", boundaries=[0.25, 0.5], values=[3.0, 2.0, 1.0])
    optimizer = spec("SGD", learning_rate=boundaries)
    network = build_trainable("n", make_recipe(FLATTEN, SOFTMAX, optimizer=optimizer), step_count=8)
    rates = []
    for step in range(8):
        network.optimizer.iterations.assign(step)
        rates.append(float(network.optimizer.learning_rate))
    assert rates == [3, 3, 3, 2, 2, 1, 1, 1]


def test_layers_have_the_names_of_the_recipe() -> None:
    """Those of a branch begin with the names of the layer that joins and of the branch."""
    join = spec("Add", branches=fork([CONVOLUTION, change(padding="same")], [CONVOLUTION]))
    network = build_network("n", make_recipe(join, FLATTEN, SOFTMAX))
    assert {layer.name for layer in network.layers[1:]} == {
        "layer1.branch1.layer1",
        "layer1.branch1.layer2",
        "layer1.branch2.layer1",
        *("layer1", "layer2", "layer3"),
    }


def test_attention_takes_its_inputs_one_by_one() -> None:
    """Without branches each of them is the same tensor: self-attention."""
    attention = {"num_heads": 2, "key_dim": 4}
    itself = make_recipe(ROWS, spec("MultiHeadAttention", **attention), FLATTEN, SOFTMAX)
    crossed = fork([], [spec("Reshape", target_shape=[14, 56])])
    other = spec("MultiHeadAttention", **attention, branches=crossed)
    for recipe, values in ((itself, 28), (make_recipe(ROWS, other, FLATTEN, SOFTMAX), 14)):
        network = build_network("n", recipe)
        layer = next(it for it in network.layers if it.name == "layer2")
        query, value = layer.input if isinstance(layer.input, list) else [layer.input] * 2
        assert (query.shape[1], value.shape[1]) == (28, values)
        smoke_test(make_plan(recipe))


def test_precision_is_that_of_all_but_the_last_layer() -> None:
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


@pytest.mark.parametrize(
    "layer",
    [
        spec("Dense", units=4, activity_regularizer="l2"),
        spec("ActivityRegularization", l1=0.1),
        spec("TimeDistributed", layer=spec("Dense", units=4, activity_regularizer="l2")),
    ],
)
def test_penalties_on_activations_go_with_bfloat16(layer: dict[str, Any]) -> None:
    rows = spec("Reshape", target_shape=[28, 28])
    smoke_test(make_plan(make_recipe(rows, layer, FLATTEN, SOFTMAX, precision="bfloat16")))


def test_model_is_what_a_keras_user_expects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan(make_recipe(CONVOLUTION, spec("BatchNormalization"), FLATTEN, SOFTMAX))
    trained = train_recipe(plan)
    summary = capsys.readouterr().out
    write_model(tmp_path / "model.keras", trained.model)
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in model.layers[2:3]] == [keras.layers.BatchNormalization]
    assert all(layer.name in summary for layer in model.layers[1:])
    loss, accuracy = model.evaluate(plan.validation.images, plan.validation.labels, verbose=0)
    assert accuracy == pytest.approx(trained.metrics["val_accuracy"], abs=1e-6)
    assert loss == pytest.approx(trained.metrics["val_loss"], rel=1e-5)
    assert [variable.path for variable in model.optimizer.variables] == [
        "sgd/iteration",
        "sgd/learning_rate",
    ]


def test_labels_are_one_hot_or_as_they_are() -> None:
    labels = np.array([3, 0], np.uint8)
    one_hot = np.asarray(encode_labels(labels, "categorical_crossentropy", 10))
    assert one_hot.dtype == np.float32
    assert one_hot.tolist() == [[0, 0, 0, 1, *[0] * 6], [1, *[0] * 9]]
    assert encode_labels(labels, "sparse_categorical_crossentropy", 10) is labels


def test_joined_model_averages_members_and_shifts(tmp_path: Path) -> None:
    chosen = make_recipe(spec("Flatten"), SOFTMAX)
    members = [build_network(f"member_{number}", chosen) for number in (1, 2)]
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


def test_one_member_without_shifts_is_the_model() -> None:
    member = small_network()
    assert join_members("small", [member], 0) is member


def test_model_survives_the_disk_byte_for_byte(tmp_path: Path) -> None:
    network = small_network()
    write_model(tmp_path / "a.keras", network)
    write_model(tmp_path / "b.keras", network)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert b"date" not in archive.read("metadata.json")
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    images = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
    model = load_model(tmp_path / "a.keras", 10)
    assert model.name == "small"
    np.testing.assert_array_equal(
        predict_probabilities(model, images, 5), predict_probabilities(network, images, 5)
    )


def test_joined_model_has_no_addresses(tmp_path: Path) -> None:
    path, archives = tmp_path / "joined.keras", []
    for _ in range(2):
        keras.utils.clear_session()  # layers are named from 1 again
        members = [small_network(), small_network("other")]
        write_model(path, join_members("joined", members, 1))
        archives.append(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        assert b"shared_object_id" in archive.read("config.json")
    assert archives[0] == archives[1]


def test_refused_model_files(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with pytest.raises(ArtifactError, match="expected a model, received none"):
        load_model(path, 10)
    write_model(path, small_network())
    whole = path.read_bytes()
    for damaged in (b"", b"not a zip", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="expected a Keras model"):
            load_model(path, 10)


def replace_config(path: Path, config: bytes) -> None:
    """Put another description of the model into a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()} | {
            "config.json": config
        }
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def test_code_in_a_model_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.keras"
    monkeypatch.chdir(tmp_path)

    # Keras stores the code of a lambda, of a function its name only. The code has no imports.
    plant = lambda images: __import__("pathlib").Path("planted").write_text("") or images  # noqa: E731
    unsafe = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Lambda(plant, output_shape=(28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    unsafe.save(path)
    Path("planted").unlink(missing_ok=True)
    with pytest.raises(ArtifactError, match="expected a Keras model"):
        load_model(path, 10)
    assert not Path("planted").exists()
    keras.saving.load_model(path, safe_mode=False)(np.zeros((1, 28, 28, 1)))
    assert Path("planted").exists()  # the trap was armed


OWN = "expected a Keras model of this project, received"
TORCH = b'{"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": ""}}'


def call(module: str, name: str, *arguments: str) -> bytes:
    """Describe a model whose one layer is a function, called while the model is loaded."""
    function = {"module": module, "class_name": "function", "config": name}
    layer = {
        **function,
        "registered_name": name,
        "name": "layer",
        "inbound_nodes": [{"args": arguments, "kwargs": {}}],
    }
    ends = {"input_layers": [["layer", 0, 0]], "output_layers": [["layer", 0, 0]]}
    config = {"name": "model", "layers": [layer], **ends}
    functional = {"class_name": "Functional", "module": "keras.src.models.functional"}
    return json.dumps(functional | {"config": config}).encode()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (call("os", "system", "touch planted"), f"{OWN} os.function"),  # CVE-2025-1550
        (  # CVE-2025-8747
            call("keras.utils", "get_file", "planted", "file:///etc/hostname"),
            f"{OWN} keras.utils.function",
        ),
        (  # CVE-2025-9906
            call("keras.config", "enable_unsafe_deserialization"),
            f"{OWN} keras.config.function",
        ),
        (
            TORCH,
            "expected a Keras model of this project, received {'module': 'keras.layers', ",
        ),
        (
            b'{"module": "os", "class_name": "function", "config": "system"}',
            "expected a Keras model of this project, received {'module': 'os', ",
        ),
        (
            b'{"module": "builtins", "class_name": "eval", "config": {}}',
            "expected a Keras model of this project, received {'module': 'builtins', ",
        ),
        (b"[]", "expected a Keras model, received 'list' object"),
        (b"{}", "expected a Keras model of this project, received {}"),
    ],
    ids=["os-system", "get-file", "unsafe", "torch", "function", "eval", "list", "nothing"],
)
def test_exploit_in_a_model_file_is_refused(
    config: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.keras"
    write_model(path, small_network())
    replace_config(path, config)
    with pytest.raises(ArtifactError, match=re.escape(f"model.keras: {reason}")) as refusal:
        load_model(path, 10)
    assert "\n" not in str(refusal.value)
    assert [found.name for found in tmp_path.iterdir()] == ["model.keras"]


def test_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()]).save(tmp_path / "m.keras")
    with pytest.raises(ArtifactError, match=r"expected output \(None, 10\), received \(None, 784"):
        load_model(tmp_path / "m.keras", 10)


@pytest.mark.parametrize("shape", [(32, 32, 3), (784,)])
def test_model_of_other_images_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    layers = [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    keras.Sequential([keras.Input(shape), *layers]).save(path)
    with pytest.raises(ArtifactError, match=r"of this project, received input \[None"):
        load_model(path, 10)


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "layer.keras"
    write_model(path, small_network())
    layer = json.dumps(keras.saving.serialize_keras_object(keras.layers.Dense(10))).encode()
    replace_config(path, layer)
    with pytest.raises(ArtifactError, match="expected a Keras model"):
        load_model(path, 10)


def test_predictions_that_are_no_probabilities_are_refused() -> None:
    images = np.zeros((2, 28, 28, 1), np.float32)
    network = small_network()
    network.layers[-1].bias.assign(np.full(10, np.nan))
    with pytest.raises(ArtifactError, match="received NaN"):
        predict_probabilities(network, images, 2)
    logits = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    logits.layers[-1].bias.assign(np.full(10, 3.0))
    with pytest.raises(ArtifactError, match="sum to 1"):
        predict_probabilities(logits, images, 2)
