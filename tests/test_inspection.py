"""Model files that run code or declare more than they hold: refused in one line, unallocated."""

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from budget import load_within
from projects import RECIPES
from samples import FLATTEN, SOFTMAX, make_recipe, spec
from test_architectures import ARCHITECTURES

from digits.config import load_params
from digits.files import ArtifactError
from digits.model.backend import keras
from digits.model.inspection import inspect_model
from digits.model.loading import load_model
from digits.model.networks import build_network, join_members
from digits.model.recipes import Recipe
from digits.model.saving import write_model

Members = dict[str, bytes]
Make = Callable[[Members], bytes]


def pack(members: Members, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def configure(change: Callable[[dict[str, Any]], object]) -> Make:
    """Pack the model with a changed description."""

    def make(members: Members) -> bytes:
        config = json.loads(members["config.json"])
        change(config)
        return pack(members | {"config.json": json.dumps(config).encode()})

    return make


def set_layer(number: int, **changes: Any) -> Make:
    """Change arguments of one of the layers: input, flatten, dense, dense_1."""
    return configure(lambda config: config["config"]["layers"][number]["config"].update(changes))


def set_class(**changes: Any) -> Make:
    return configure(lambda config: config["config"]["layers"][2].update(changes))


def store(change: Callable[[h5py.Group], object]) -> Make:
    """Pack the model with something else in place of a kernel."""

    def make(members: Members) -> bytes:
        file = io.BytesIO(members["model.weights.h5"])
        with h5py.File(file, "r+") as opened:
            group = opened["layers/dense/vars"]
            del group["0"]
            change(group)
        return pack(members | {"model.weights.h5": file.getvalue()})

    return make


def add_virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((784, 16), "float32")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (784, 16))
    group.create_virtual_dataset("0", layout)


def add_spare_layer(config: dict[str, Any]) -> None:
    spare = json.loads(json.dumps(config["config"]["layers"][2]))
    spare["config"] |= {"units": 10**7, "name": "spare"}
    config["config"]["layers"].append(spare | {"name": "spare"})


def widen(config: dict[str, Any]) -> None:
    hidden, last = config["config"]["layers"][2:]
    hidden["config"]["units"] = 10**6
    del last["build_config"]  # it would not fit


def nest(config: dict[str, Any]) -> None:
    """Let a model call a model 100 times, which calls one 100 times, and so on."""
    for _ in range(4):
        inner = json.loads(json.dumps(config)) | {"inbound_nodes": [[]] * 100}
        config["config"]["layers"].append(inner)


def call(module: str, name: str, *arguments: str) -> Make:
    """Put a function in place of a layer: it would be called while the model is loaded."""
    nodes = [{"args": arguments, "kwargs": {}}]
    return set_class(
        module=module, class_name="function", config=name, registered_name=name, inbound_nodes=nodes
    )


KERNEL = "received array /layers/dense/vars/0"
LINK = "received a link, layers/dense/vars/0"
# What a file is made of, and what is said of it.
HOSTILE: dict[str, tuple[Make, str]] = {
    "os_system": (call("os", "system", "touch x"), "received os.function"),  # CVE-2025-1550
    "get_file": (  # CVE-2025-8747
        call("keras.utils", "get_file", "x", "file:///etc/hostname"),
        "received keras.utils.function",
    ),
    "lambda": (set_class(class_name="Lambda"), "received keras.layers.Lambda as layers"),
    "foreign_module": (set_class(module="keras_hub.layers"), "received keras_hub.layers.Dense"),
    "foreign_name": (set_class(registered_name="my>Dense"), "received keras.layers.Dense as"),
    "another_member": (lambda members: pack(members | {"assets/x": b""}), "other members"),
    "compressed": (
        lambda members: pack(members | {"config.json": b" " * 3 * 10**8}, zipfile.ZIP_DEFLATED),
        "config.json of 300000000 bytes",
    ),
    "brackets": (
        lambda members: pack(members | {"config.json": b"[" * 100_000}),
        "received maximum recursion depth exceeded",
    ),
    "many_calls": (configure(nest), "calls of layers"),
    "billion_units": (set_layer(2, units=10**9), "the number 1000000000"),
    "million_units": (configure(widen), "received 12730 weights for layers of 795000010"),
    "big_input": (set_layer(0, batch_shape=[None, 9000, 9000, 9]), "received input [None, 9000"),
    "spare_layer": (configure(add_spare_layer), "layers that the outputs do not need"),
    "layer_as_initializer": (
        set_layer(2, kernel_initializer={"module": "keras.layers", "class_name": "Dense"}),
        "keras.layers.Dense as kernel_initializer",
    ),
    "chunked": (
        store(lambda group: group.create_dataset("0", (2_500_000_000,), "f4", compression="gzip")),
        KERNEL,
    ),
    "external_data": (
        store(
            lambda group: group.create_dataset("0", (9,), "i1", external=[("/etc/hostname", 0, 9)])
        ),
        KERNEL,
    ),
    "external_link": (
        store(lambda group: group.update({"0": h5py.ExternalLink("/etc/hostname", "/x")})),
        LINK,
    ),
    "virtual": (store(add_virtual), KERNEL),
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_hostile_files_are_one_line_each_and_take_no_memory(tmp_path: Path) -> None:
    whole = tmp_path / "whole.keras"
    write_model(
        whole, build_network("small", make_recipe(FLATTEN, spec("Dense", units=16), SOFTMAX))
    )
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    paths = [tmp_path / f"{name}.keras" for name in HOSTILE]
    for path, (make, _) in zip(paths, HOSTILE.values(), strict=True):
        path.write_bytes(make(members))
    for path, answer in zip(paths, load_within(whole, paths), strict=True):
        assert answer.startswith(f"{path}: expected a Keras model")
        assert HOSTILE[path.stem][1] in answer
        assert len(answer.splitlines()) == 1
    assert {*tmp_path.iterdir()} == {whole, *paths}


def test_code_in_a_model_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, planted = tmp_path / "model.keras", Path("planted")

    # Keras stores the code of a lambda, of a function its name only. The code has no imports.
    plant = lambda images: __import__("pathlib").Path("planted").write_text("") or images  # noqa: E731
    trap = keras.layers.Lambda(plant, output_shape=(28, 28, 1))
    softmax = keras.layers.Dense(10, activation="softmax")
    keras.Sequential([keras.Input((28, 28, 1)), trap, keras.layers.Flatten(), softmax]).save(path)
    planted.unlink(missing_ok=True)
    with pytest.raises(ArtifactError, match="expected a Keras model"):
        load_model(path, 10)
    assert not planted.exists()
    keras.saving.load_model(path, safe_mode=False)(np.zeros((1, 28, 28, 1)))
    assert planted.exists()  # the trap was armed


def test_model_of_other_classes_or_images_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    for shape, message in (
        ((28, 28, 1), r"output \(None, 784\) for 10 classes"),
        ((32, 32, 3), r"of this project, received input \[None"),
    ):
        keras.Sequential([keras.Input(shape), keras.layers.Flatten()]).save(path)
        with pytest.raises(ArtifactError, match=message):
            load_model(path, 10)
    with pytest.raises(ArtifactError, match="expected a model, received none"):
        load_model(tmp_path / "none.keras", 10)


@pytest.mark.parametrize(
    "recipe",
    [
        *(load_params("", Recipe, path) for path in RECIPES.glob("*.yaml")),
        *(pytest.param(each, marks=pytest.mark.nightly) for each in ARCHITECTURES.values()),
    ],
)
def test_model_of_a_recipe_loads(recipe: Recipe, tmp_path: Path) -> None:
    """One network, and two whose predictions for shifted images are averaged."""
    path = tmp_path / "model.keras"
    members = [build_network(f"member_{n}", recipe.suit_classes("0123456789")) for n in range(2)]
    for model in (members[0], join_members("joined", members, 1)):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        write_model(path, model)
        weights = model.get_weights()
        assert inspect_model(path)[2] >= sum(weight.size for weight in weights)
        pairs = zip(weights, load_model(path, 10).get_weights(), strict=True)
        assert all((ours == theirs).all() for ours, theirs in pairs)
