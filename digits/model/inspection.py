"""Check what a `.keras` file declares against its size, before Keras builds and allocates it.

Keras's safe mode was bypassed three times (CVE-2025-1550, -8747, -9906): only known classes pass.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py

from digits.data.splits import IMAGE_SHAPE
from digits.files import ArtifactError
from digits.model.backend import keras
from digits.model.objects import REFUSED

LIMITS = {"config.json": 2**24, "metadata.json": 2**10, "model.weights.h5": 2**30}  # bytes
CALL_LIMIT = 100_000  # of layers; champion has 600: 6 networks of 19 layers, five views each
NUMBER_LIMIT = 2**24  # with so many inputs, a dense layer of ten units nearly has 2**30 bytes
LAYERS = ("keras.layers", "keras", "keras.src.models.functional", "keras.src.ops.numpy")
# Modules from which a class may come, by the end of the key that holds it.
MODULES: dict[str, tuple[str | None, ...]] = {
    "regularizer": ("keras.regularizers",),
    "initializer": ("keras.initializers",),
    "constraint": ("keras.constraints",),
    "dtype": ("keras",),
    "activation": ("keras.layers",),
    **dict.fromkeys(("layer", "layers", "cell", "cells"), LAYERS),
    **dict.fromkeys(("args", "kwargs", "mask"), (None,)),  # tensors, in the graph of a model
}


def inspect_model(path: Path) -> tuple[dict[str, Any], bytes, int]:
    """Return the description of the model, its weights as HDF5, and the number of weights.

    A model that no recipe makes is an ArtifactError; what zipfile, json and h5py raise passes
    through.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        check(path, sorted(entry.filename for entry in entries) == sorted(LIMITS), "other members")
        for entry in entries:
            fits = entry.file_size <= min(LIMITS[entry.filename], path.stat().st_size)
            check(path, fits, f"{entry.filename} of {entry.file_size} bytes")
        members = {entry.filename: archive.read(entry) for entry in entries}
    config, weights = json.loads(members["config.json"]), members["model.weights.h5"]
    check(path, config.get("class_name") in ("Functional", "Sequential"), repr(config)[:40])
    calls = _check_value(path, config, "layers")
    check(path, calls <= CALL_LIMIT, f"{calls} calls of layers")
    return config, weights, _count_weights(path, weights)


def check_used(path: Path, config: dict[str, Any], model: keras.Model) -> None:
    """Refuse layers that are described and not part of the model: they may be of any size."""
    if config["class_name"] == "Functional":
        layers, built = config["config"]["layers"], {each.name: each for each in model.operations}
        check(path, len(layers) == len(built), "layers that the outputs do not need")
        for layer in layers:
            check_used(path, layer, built[layer["name"]])


def _check_value(path: Path, value: Any, key: str) -> int:
    """Check the value of a key; return how many calls of layers it has."""
    if isinstance(value, list):
        return sum(_check_value(path, entry, key) for entry in value)
    if isinstance(value, dict):
        if "class_name" in value:
            _check_object(path, value, key)
        below = sum(_check_value(path, entry, name) for name, entry in value.items())
        calls = len(value.get("inbound_nodes") or []) if key.endswith("layers") else 0
        return max(calls, 1) * (below + (calls > 0))
    is_size = isinstance(value, int) and key not in ("seed", "shared_object_id")
    check(path, not is_size or abs(value) <= NUMBER_LIMIT, f"the number {str(value)[:40]}")
    return 0


def _check_object(path: Path, value: dict[str, Any], key: str) -> None:
    name, module = value["class_name"], value.get("module")
    known = next((modules for end, modules in MODULES.items() if key.endswith(end)), ())
    own = name not in REFUSED and value.get("registered_name") in (None, name)
    check(path, module in known and own, f"{module}.{name} as {key}"[:80])
    value.pop("compile_config", None)  # as `compile=False` does, but of inner models as well
    if name == "InputLayer":
        shape = value["config"]["batch_shape"]
        check(path, shape == [None, *IMAGE_SHAPE], f"input {shape}"[:80])


def _count_weights(path: Path, weights: bytes) -> int:
    """Count the numbers in an HDF5 file; refuse arrays that are links, external or compressed."""
    links: dict[str, object] = {}
    found: dict[str, h5py.Group | h5py.Dataset] = {}
    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems_links(links.__setitem__)  # h5py hides what a callback raises
        for name, link in links.items():
            check(path, isinstance(link, h5py.HardLink), f"a link, {name}"[:80])
        file.visititems(found.__setitem__)
        arrays = [item for item in found.values() if isinstance(item, h5py.Dataset)]
        for array in arrays:
            outside = array.id.get_create_plist().get_external_count()
            stored = array.id.get_storage_size() == array.nbytes and not outside
            check(path, stored, f"array {array.name}"[:80])
        check(path, sum(array.nbytes for array in arrays) < len(weights), "more arrays than bytes")
        return sum(array.size for array in arrays)


def check(path: Path, holds: object, received: str) -> None:
    if not holds:
        raise ArtifactError(f"{path}: expected a Keras model of this project, received {received}")
