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


def build_small() -> keras.Model:
    return build_network("small", make_recipe(FLATTEN, spec("Dense", units=16), SOFTMAX))


def pack(members: Members, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def put(**members: bytes) -> Make:
    return lambda whole: pack(whole | {f"{key}.json": text for key, text in members.items()})


def configure(change: Callable[[dict[str, Any]], object]) -> Make:
    """Pack the model with a changed description."""

    def make(members: Members) -> bytes:
        config = json.loads(members["config.json"])
        change(config)
        return put(config=json.dumps(config).encode())(members)

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


def copy_layer(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    layer = json.loads(json.dumps(config["config"]["layers"][2]))
    layer["config"] |= {"units": 10**7} | changes
    return layer | changes


def add_spare_layer(config: dict[str, Any]) -> None:
    config["config"]["layers"].append(copy_layer(config, name="spare"))


def hide_layer(config: dict[str, Any]) -> None:
    config["config"]["layers"][2]["config"]["kernel_initializer"] = copy_layer(config)


def widen(config: dict[str, Any]) -> None:
    hidden, last = config["config"]["layers"][2:]
    hidden["config"]["units"] = 10**6
    del last["build_config"]  # it would not fit


def nest(members: Members) -> bytes:
    """Let a model call a model 100 times, which calls one 100 times, and so on."""
    image = keras.Input((28, 28, 1))
    inner = keras.Model(image, keras.layers.ReLU()(image), name="inner")
    calls = keras.layers.Average()([inner(image) for _ in range(100)])
    config = json.loads(keras.Model(image, calls).to_json())
    for _ in range(4):
        outer = json.loads(json.dumps(config))
        (place,) = [
            layer for layer in outer["config"]["layers"] if layer["class_name"] == "Functional"
        ]
        place["config"] = {**config["config"], "name": "inner"}
        config = outer
    return put(config=json.dumps(config).encode())(members)


def call(module: str, name: str, *arguments: str) -> Make:
    """Describe a model whose one layer is a function, called while the model is loaded."""
    node: dict[str, Any] = {"inbound_nodes": [{"args": arguments, "kwargs": {}}], "name": "layer"}
    layer: dict[str, Any] = {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }
    ends = {"input_layers": [["layer", 0, 0]], "output_layers": [["layer", 0, 0]]}
    config: dict[str, Any] = {"name": "model", "layers": [layer | node], **ends}
    functional = {"class_name": "Functional", "module": "keras.src.models.functional"}
    return put(config=json.dumps(functional | {"config": config}).encode())


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
    "brackets": (put(config=b"[" * 100_000), "received maximum recursion depth exceeded"),
    "many_calls": (nest, "calls of layers"),
    "billion_units": (set_layer(2, units=10**9), "the number 1000000000"),
    "million_units": (configure(widen), "received 12730 weights for layers of 795000010"),
    "big_input": (set_layer(0, batch_shape=[None, 9000, 9000, 9]), "received input [None, 9000"),
    "spare_layer": (configure(add_spare_layer), "layers that the outputs do not need"),
    "layer_as_initializer": (configure(hide_layer), "keras.layers.Dense as kernel_initializer"),
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


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("hostile")
    whole = folder / "whole.keras"
    write_model(whole, build_small())
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    paths = []
    for name, (make, _) in HOSTILE.items():
        paths.append(folder / name / "model.keras")
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(make(members))
    found = dict(zip(HOSTILE, load_within(whole, paths), strict=True))
    assert {path.name for path in folder.rglob("*")} == {*HOSTILE, "model.keras", "whole.keras"}
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_one_line_and_takes_no_memory(name: str, answers: dict[str, str]) -> None:
    assert HOSTILE[name][1] in answers[name]
    assert f"{name}/model.keras: expected a Keras model" in answers[name]
    assert len(answers[name].splitlines()) == 1


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


def check_loads(model: keras.Model, path: Path) -> None:
    write_model(path, model)
    loaded = load_model(path, 10)
    assert inspect_model(path)[2] >= sum(weight.size for weight in model.get_weights())
    pairs = zip(model.get_weights(), loaded.get_weights(), strict=True)
    assert all((ours == theirs).all() for ours, theirs in pairs)


@pytest.mark.parametrize("name", [path.stem for path in RECIPES.glob("*.yaml")])
def test_recipes_of_the_project_load(name: str, tmp_path: Path) -> None:
    own = load_params("", Recipe, RECIPES / f"{name}.yaml").suit_classes(10)
    members = [build_network(f"member_{n}", own) for n in range(own.ensemble_size)]
    model = join_members("joined", members, own.test_time_shift)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    check_loads(model, tmp_path / "model.keras")


@pytest.mark.nightly
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_public_architectures_load(name: str, tmp_path: Path) -> None:
    members = [build_network(f"member_{n}", ARCHITECTURES[name]) for n in range(2)]
    check_loads(members[0], tmp_path / "model.keras")
    check_loads(join_members("joined", members, 1), tmp_path / "model.keras")
