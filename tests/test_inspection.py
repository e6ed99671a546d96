"""Model files that declare more than they hold: refused in one line before Keras allocates."""

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from budget import load_within
from projects import RECIPES
from samples import FLATTEN, SOFTMAX, make_recipe, spec
from test_architectures import ARCHITECTURES

from digits.config import load_params
from digits.model.backend import keras
from digits.model.ensemble import join_members
from digits.model.inspection import REFUSED, inspect_model
from digits.model.networks import build_network
from digits.model.recipes import Recipe
from digits.model.saving import load_model, write_model

Members = dict[str, bytes]
HIDDEN = spec("Dense", units=16)
SHIPPED = {path.stem: load_params("", Recipe, path) for path in RECIPES.glob("*.yaml")}


def read_members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(members: Members, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def configure(members: Members, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Pack the model with a changed description."""
    config = json.loads(members["config.json"])
    change(config)
    return pack(members | {"config.json": json.dumps(config).encode()})


def store(members: Members, change: Callable[[h5py.File], object]) -> bytes:
    """Pack the model with changed weights."""
    file = io.BytesIO(members["model.weights.h5"])
    with h5py.File(file, "r+") as opened:
        change(opened)
    return pack(members | {"model.weights.h5": file.getvalue()})


def replace_kernel(change: Callable[[h5py.Group], object]) -> Callable[[Members], bytes]:
    def make(members: Members) -> bytes:
        def replace(file: h5py.File) -> None:
            group = file["layers/dense/vars"]
            del group["0"]
            change(group)

        return store(members, replace)

    return make


def set_layer(number: int, **changes: Any) -> Callable[[Members], bytes]:
    """Change arguments of one of the layers: input, flatten, dense, dense_1."""
    return lambda members: configure(
        members, lambda config: config["config"]["layers"][number]["config"].update(changes)
    )


def set_class(**changes: Any) -> Callable[[Members], bytes]:
    return lambda members: configure(
        members, lambda config: config["config"]["layers"][2].update(changes)
    )


def add_virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((784, 16), "float32")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (784, 16))
    group.create_virtual_dataset("0", layout)


def add_spare_layer(config: dict[str, Any]) -> None:
    spare = json.loads(json.dumps(config["config"]["layers"][2]))
    spare["name"] = spare["config"]["name"] = "spare"
    spare["config"]["units"] = 10**7
    config["config"]["layers"].append(spare)


def widen(config: dict[str, Any]) -> None:
    hidden, last = config["config"]["layers"][2:]
    hidden["config"]["units"] = 10**6
    del last["build_config"]  # it would not fit


def hide_layer(config: dict[str, Any]) -> None:
    hidden = json.loads(json.dumps(config["config"]["layers"][2]))
    hidden["config"]["units"] = 10**7
    config["config"]["layers"][2]["config"]["kernel_initializer"] = hidden


def double(config: dict[str, Any]) -> None:
    layers = config["config"]["layers"]
    layers.append(layers[2])


def nest(members: Members) -> bytes:
    """Let a model call a model 100 times, which calls one 100 times, and so on."""
    image = keras.Input((28, 28, 1))
    inner = keras.Model(image, keras.layers.ReLU()(image), name="inner")
    calls = keras.layers.Average()([inner(image) for _ in range(100)])
    config = json.loads(keras.Model(image, calls).to_json())
    for _ in range(4):
        outer = json.loads(json.dumps(config))
        (place,) = [it for it in outer["config"]["layers"] if it["class_name"] == "Functional"]
        place["config"] = {**config["config"], "name": "inner"}
        config = outer
    return pack(members | {"config.json": json.dumps(config).encode()})


def pack_twice(members: Members) -> bytes:
    file = io.BytesIO(pack(members))
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", members["config.json"])
    return file.getvalue()


def put(**members: bytes) -> Callable[[Members], bytes]:
    return lambda whole: pack(whole | {f"{key}.json": text for key, text in members.items()})


BRACKETS = 100_000
# What a file is made of, and what is said of it.
HOSTILE: dict[str, tuple[Callable[[Members], bytes], str]] = {
    "compressed": (
        lambda it: pack(it | {"config.json": b" " * 3 * 10**8}, zipfile.ZIP_DEFLATED),
        "config.json of 300000000 bytes",
    ),
    "member_twice": (pack_twice, "received members ["),
    "another_member": (
        lambda it: pack(it | {"assets/x": b""}),
        "received members [",
    ),
    "another_name": (
        lambda it: pack({("x" if n == "config.json" else n).ljust(len(n), "x"): it[n] for n in it}),
        "received members [",
    ),
    "blanks": (
        put(config=b" " * 10**8),
        "config.json of 100000000 bytes",
    ),
    "metadata": (
        put(metadata=b" " * 10**8),
        "metadata.json of 100000000 bytes",
    ),
    "brackets": (
        put(config=b"[" * BRACKETS),
        "received maximum recursion depth exceeded",
    ),
    "closed_brackets": (
        put(config=b'{"a":' * 500 + b"1" + b"}" * 500),
        "expected a Keras model",
    ),
    "deep": (
        lambda it: configure(it, lambda config: config.update(a=json.loads("[" * 100 + "]" * 100))),
        "received brackets within brackets",
    ),
    "many_layers": (
        put(
            config=b'{"module":"keras.layers","config":{"layers":['
            + b'{"class_name":"ReLU"},' * 10**6
            + b"{}]}}"
        ),
        "config.json of 22",
    ),
    "many_calls": (nest, "calls of layers"),
    "billion_units": (
        set_layer(2, units=10**9),
        "the number 1000000000",
    ),
    "million_units": (
        lambda it: configure(it, widen),
        "expected 795000010 weights, as many as config.json's layers have, received 12730 in",
    ),
    "big_input": (set_layer(0, batch_shape=[None, 9000, 9000, 9]), "received input [None, 9000"),
    "spare_layer": (
        lambda it: configure(it, add_spare_layer),
        "layers that the outputs do not need",
    ),
    "layer_twice": (
        lambda it: configure(it, double),
        "model.keras: ",
    ),
    "layer_as_initializer": (
        lambda it: configure(it, hide_layer),
        "keras.layers.Dense as kernel_initializer",
    ),
    "lambda": (
        set_class(class_name="Lambda"),
        "received keras.layers.Lambda as layers",
    ),
    "foreign_module": (
        set_class(module="keras_hub.layers"),
        "received keras_hub.layers.Dense as layers",
    ),
    "foreign_name": (
        set_class(registered_name="my>Dense"),
        "received keras.layers.Dense as layers",
    ),
    "slash": (set_layer(2, name="a/b"), "model.keras: "),
    "chunked": (
        replace_kernel(
            lambda it: it.create_dataset("0", (2_500_000_000,), "f4", compression="gzip")
        ),
        "received array /layers/dense/vars/0",
    ),
    "never_written": (
        replace_kernel(lambda it: it.create_dataset("0", (2_500_000_000,), "f4")),
        "received array /layers/dense/vars/0",
    ),
    "external_data": (
        replace_kernel(
            lambda it: it.create_dataset("0", (9,), "i1", external=[("/etc/hostname", 0, 9)])
        ),
        "received array /layers/dense/vars/0",
    ),
    "external_link": (
        replace_kernel(lambda it: it.update({"0": h5py.ExternalLink("/etc/hostname", "/x")})),
        "received a link, layers/dense/vars/0",
    ),
    "soft_link_loop": (
        replace_kernel(lambda it: it.update({"0": h5py.SoftLink("/layers/dense/vars/0")})),
        "received a link, layers/dense/vars/0",
    ),
    "hard_link_loop": (
        replace_kernel(lambda it: it.update({"0": it.parent})),
        "model.keras: ",
    ),
    "virtual": (
        replace_kernel(add_virtual),
        "received array /layers/dense/vars/0",
    ),
    "vague": (
        replace_kernel(lambda it: it.create_dataset("0", data=["x"] * 9)),
        "model.keras: ",
    ),
    "attribute": (
        replace_kernel(lambda it: it.attrs.update({"name": [0] * 999})),
        "model.keras: ",
    ),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("hostile")
    whole = folder / "whole.keras"
    write_model(whole, build_network("small", make_recipe(FLATTEN, HIDDEN, SOFTMAX)))
    members = read_members(whole)
    paths = []
    for name, (make, _) in HOSTILE.items():
        paths.append(folder / name / "model.keras")
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(make(members))
    return dict(zip(HOSTILE, load_within(whole, paths), strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_one_line_and_takes_no_memory(name: str, answers: dict[str, str]) -> None:
    assert HOSTILE[name][1] in answers[name]
    assert f"{name}/model.keras: " in answers[name]
    assert len(answers[name].splitlines()) == 1


def check_loads(model: keras.Model, path: Path) -> None:
    write_model(path, model)
    loaded = load_model(path, 10)
    pairs = zip(model.get_weights(), loaded.get_weights(), strict=True)
    assert all((ours == theirs).all() for ours, theirs in pairs)


@pytest.mark.parametrize("recipe", SHIPPED.values(), ids=SHIPPED)
def test_recipes_of_the_project_load(recipe: Recipe, tmp_path: Path) -> None:
    own = recipe.suit_classes(10)
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


def test_bfloat16_weights_load(tmp_path: Path) -> None:
    image = keras.Input((28, 28, 1))
    layers = keras.layers
    flat = layers.Flatten()(image)
    hidden = layers.Dense(4, dtype="bfloat16")(flat)
    model = keras.Model(image, layers.Dense(10, activation="softmax")(hidden))
    check_loads(model, tmp_path / "model.keras")


def test_refused_layers_are_keras_layers() -> None:
    assert [name for name in REFUSED if hasattr(keras.layers, name)] == list(REFUSED)


def test_weights_are_counted(tmp_path: Path) -> None:
    network = build_network("small", make_recipe(FLATTEN, HIDDEN, SOFTMAX))
    write_model(tmp_path / "model.keras", network)
    assert inspect_model(tmp_path / "model.keras")[2] == network.count_params()
