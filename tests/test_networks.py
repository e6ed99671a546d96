"""Networks from recipes, and models on disk."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imports import ROOT
from samples import SOFTMAX, make_recipe

from digits.files.artifacts import ArtifactError
from digits.files.params import load_params
from digits.model.archive import load_model, predict_probabilities, write_model
from digits.model.backend import keras
from digits.model.networks import (
    NetworkError,
    build_network,
    count_multiply_adds,
    encode_labels,
    join_members,
)
from digits.model.recipes import Recipe


def small_network(name: str = "small") -> Any:
    keras.utils.set_random_seed(1)
    return build_network(name, make_recipe({"Flatten": {}}, SOFTMAX))


def test_cnn_has_225034_parameters_and_the_reference_layers() -> None:
    network = build_network("cnn", load_params("recipes.cnn", Recipe, ROOT / "params.yaml"))
    assert network.count_params() == 225_034
    assert [layer.output.shape[1:] for layer in network.layers] == [
        (26, 26, 32),
        (13, 13, 32),
        (11, 11, 64),
        (5, 5, 64),
        (1600,),
        (128,),
        (128,),
        (10,),
    ]


def test_multiply_adds_of_cnn() -> None:
    network = build_network("cnn", load_params("recipes.cnn", Recipe, ROOT / "params.yaml"))
    convolutions = 26 * 26 * 32 * 9 + 11 * 11 * 64 * 9 * 32
    assert count_multiply_adds(network) == convolutions + 1600 * 128 + 128 * 10


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"Conv": {"filters": 1}}, SOFTMAX], r"layers\[0\]: expected a Keras layer.*'Conv'"),
        ([{"Lambda": {"function": "print"}}, SOFTMAX], r"layers\[0\]: .*received 'Lambda'"),
        ([{"Flatten": {}}, {"Dense": {}}], r"layers\[1\]: Dense: .*units"),
        ([{"Flatten": {}}, {"Dense": {"unit": 10}}], r"layers\[1\]: Dense: .*unit"),
        ([{"Dense": {"units": -1}}, SOFTMAX], r"layers\[0\]: Dense: "),
        ([{"Flatten": {}}, {"Conv2D": {"filters": 8, "kernel_size": 3}}], r"layers\[1\]: "),
        (
            [{"MaxPooling2D": {"pool_size": 28}}, {"MaxPooling2D": {"pool_size": 2}}, SOFTMAX],
            r"layers\[1\]: ",
        ),
        (
            [{"Flatten": {}}, {"Dense": {"units": 9, "activation": "softmax"}}],
            r"10 probabilities \(softmax\), received shape \(None, 9\)",
        ),
        ([SOFTMAX], r"received shape \(None, 28, 28, 10\)"),
        ([{"Flatten": {}}, {"Dense": {"units": 10}}], "activation linear"),
        ([{"Conv2D": {"filters": 1, "kernel_size": 3, "padding": -1}}, SOFTMAX], r"layers\[0\]: "),
        ([{"MaxPooling2D": {"strides": 0}}, SOFTMAX], r"layers\[0\]: "),
        ([{"BatchNormalization": {"axis": 10**30}}, SOFTMAX], r"layers\[0\]: "),
        ([{"Layer": {}}, {"Flatten": {}}, SOFTMAX], r"received shape None"),
    ],
)
def test_refused_layers(layers: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(NetworkError, match=message) as refusal:
        build_network("bad", make_recipe(*layers))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "a/b"])
def test_refused_name(name: str) -> None:
    with pytest.raises(NetworkError, match="expected a name without a slash"):
        build_network(name, make_recipe({"Flatten": {}}, SOFTMAX))


@pytest.mark.parametrize(
    "optimizer", [{"Adamm": {}}, {"Adam": {"rate": 1.0}}, {"Adam": {"learning_rate": "fast"}}]
)
def test_refused_optimizer(optimizer: dict[str, Any]) -> None:
    with pytest.raises(NetworkError, match=r"recipes\.bad\.optimizer: ") as refusal:
        build_network("bad", make_recipe({"Flatten": {}}, SOFTMAX, optimizer=optimizer))
    assert "\n" not in str(refusal.value)


def test_labels_are_one_hot_or_as_they_are() -> None:
    labels = np.array([3, 0], np.uint8)
    one_hot = encode_labels(labels, "categorical_crossentropy")
    assert one_hot.dtype == np.float32
    assert one_hot.tolist() == [[0, 0, 0, 1, *[0] * 6], [1, *[0] * 9]]
    assert encode_labels(labels, "sparse_categorical_crossentropy") is labels


def test_joined_model_averages_members_and_shifts(tmp_path: Path) -> None:
    chosen = make_recipe({"Flatten": {}}, SOFTMAX)
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
    write_model(tmp_path / "joined.keras", join_members("joined", members, shift=1))
    model = load_model(tmp_path / "joined.keras")
    assert model.name == "joined"
    np.testing.assert_allclose(predict_probabilities(model, images, 4), expected, atol=1e-6)


def test_one_member_without_shifts_is_the_model() -> None:
    member = small_network()
    assert join_members("small", [member], shift=0) is member


def test_model_survives_the_disk_byte_for_byte(tmp_path: Path) -> None:
    network = small_network()
    write_model(tmp_path / "a.keras", network)
    write_model(tmp_path / "b.keras", network)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert b"date" not in archive.read("metadata.json")
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    images = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
    model = load_model(tmp_path / "a.keras")
    assert model.name == "small"
    np.testing.assert_array_equal(
        predict_probabilities(model, images, 5), predict_probabilities(network, images, 5)
    )


def test_joined_model_has_no_addresses(tmp_path: Path) -> None:
    path, archives = tmp_path / "joined.keras", []
    for _ in range(2):
        keras.utils.clear_session()  # layers are named from 1 again
        members = [small_network(), small_network("other")]
        write_model(path, join_members("joined", members, shift=1))
        archives.append(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        assert b"shared_object_id" in archive.read("config.json")
    assert archives[0] == archives[1]


def test_refused_model_files(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with pytest.raises(ArtifactError, match="expected a model, received none"):
        load_model(path)
    write_model(path, small_network())
    whole = path.read_bytes()
    for damaged in (b"", b"not a zip", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="expected a Keras model"):
            load_model(path)


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
        load_model(path)
    assert not Path("planted").exists()
    keras.saving.load_model(path, safe_mode=False)(np.zeros((1, 28, 28, 1)))
    assert Path("planted").exists()  # the trap was armed


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
    "config",
    [
        call("os", "system", "touch planted"),  # CVE-2025-1550
        call("keras.utils", "get_file", "planted", "file:///etc/hostname"),  # CVE-2025-8747
        call("keras.config", "enable_unsafe_deserialization"),  # CVE-2025-9906
        b'{"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": ""}}',
        b'{"module": "os", "class_name": "function", "config": "system"}',
        b'{"module": "builtins", "class_name": "eval", "config": {}}',
        b"[]",
        b"{}",
    ],
    ids=["os-system", "get-file", "unsafe", "torch", "function", "eval", "list", "nothing"],
)
def test_exploit_in_a_model_file_is_refused(
    config: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.keras"
    write_model(path, small_network())
    replace_config(path, config)
    with pytest.raises(ArtifactError, match="expected a Keras model, received") as refusal:
        load_model(path)
    assert "\n" not in str(refusal.value)
    assert [found.name for found in tmp_path.iterdir()] == ["model.keras"]


def test_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()]).save(tmp_path / "m.keras")
    with pytest.raises(ArtifactError, match=r"expected output \(None, 10\), received \(None, 784"):
        load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("shape", [(32, 32, 3), (784,)])
def test_model_of_other_images_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    layers = [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    keras.Sequential([keras.Input(shape), *layers]).save(path)
    with pytest.raises(ArtifactError, match=r"expected input \(None, 28, 28, 1\), received \(None"):
        load_model(path)


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "layer.keras"
    write_model(path, small_network())
    layer = json.dumps(keras.saving.serialize_keras_object(keras.layers.Dense(10))).encode()
    replace_config(path, layer)
    with pytest.raises(ArtifactError, match="expected a Keras model, received"):
        load_model(path)


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
