"""What a `.keras` file declares, held against what it holds, before Keras builds and allocates it.

Keras believes the file: a few bytes may declare gigabytes, and a process that is killed for its
memory reports nothing. Here nothing is built, and memory stays in proportion to the file.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from digits.data.datasets import IMAGE_SIDE
from digits.files.artifacts import ArtifactError

# Bytes. The largest network of params.yaml (deep_cnn, 8.3 MB) fits as an ensemble of 100, the most
# that a recipe may have. champion takes 18 KB of config a network; here is ten times that for 100.
LIMITS = {"config.json": 2**24, "metadata.json": 2**10, "model.weights.h5": 2**30}
END_SIZE = 22  # of the record that ends a zip without a comment
DIRECTORY_SIZE = 46 * len(LIMITS) + len("".join(LIMITS))  # entries without extra fields
END, END_64 = b"PK\5\6", b"PK\6\7"

DEPTH_LIMIT = 64  # of brackets; a wrapped layer in an ensemble has 16
CALL_LIMIT = 100_000  # of layers; champion has 600: 6 networks of 19 layers, five views each
NUMBER_LIMIT = 2**24  # as inputs of a dense layer of ten units they fill the weights' bytes
OBJECT_LIMIT = 100_000  # groups and datasets; an ensemble of 100 deep_cnn has 3,600

# Layers made of code, which would have to live elsewhere than in `params.yaml` and run on loading;
# and of a vocabulary, a file or a table that Keras computes at once: none of these is for images.
REFUSED = (
    "FlaxLayer",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "JaxLayer",
    "Lambda",
    "MelSpectrogram",
    "STFTSpectrogram",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
)
LAYERS = "keras.layers"
MODELS = (("keras.src.models.functional", "Functional"), ("keras", "Sequential"))
PLAIN_MODULES = ("keras.constraints", "keras.initializers", "keras.regularizers")
PLAIN = (("keras", "DTypePolicy"), (None, "__keras_tensor__"))
# What masks are computed by: Keras makes layers of it.
MASKING = (
    *("Any", "Concatenate", "ExpandDims", "LogicalAnd", "LogicalNot", "LogicalOr", "NotEqual"),
    *("OnesLike", "Squeeze", "Where", "ZerosLike"),
)
OPERATIONS = tuple(("keras.src.ops.numpy", name) for name in MASKING)
# The arguments that hold layers. As another, an initializer say, a layer would be made and lost.
HOLDERS = ("backward_layer", "cell", "cells", "forward_layer", "layer", "layers")
# Layers that have no weights and may stand for a function.
FUNCTIONS = ("ELU", "LeakyReLU", "ReLU", "Softmax")
ACTIVATIONS = ("activation", "recurrent_activation")


@dataclass(frozen=True)
class Inspected:
    """A model as the file describes it, and its weights as HDF5: so many numbers."""

    config: dict[str, Any]
    weights: bytes
    weight_count: int


def inspect_model(path: Path) -> Inspected:
    """Read a model file whose every size is known to be harmless.

    Raises:
        ArtifactError: what no recipe leads to, be it damaged, foreign or hostile.
    """
    try:
        members = _read_members(path)
        config = _parse(path, "config.json", members["config.json"])
        _parse(path, "metadata.json", members["metadata.json"])
        _Config(path).check(config)
        weights = members["model.weights.h5"]
        return Inspected(config, weights, _count_weights(path, weights))
    except ArtifactError:
        raise
    except Exception as error:
        # What zipfile and h5py raise of a damaged file is anything, and a config may lack any key.
        reason = str(error).strip().splitlines()[0] if str(error) else ""
        kind = type(error).__name__
        raise ArtifactError(f"{path}: expected a Keras model, received {kind}: {reason}") from error


def check_config(config: dict[str, Any], path: Path) -> None:
    """Check what Keras says of a model that is to be written to this path.

    Raises:
        ArtifactError: it could not be loaded again.
    """
    _Config(path).check(config)


def _read_members(path: Path) -> dict[str, bytes]:
    """Read the three members of the zip, whose sizes are checked before."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        _check(path, f"at most {sum(LIMITS.values())} bytes", size, size <= sum(LIMITS.values()))
        # zipfile reads a whole directory into memory, however long.
        file.seek(max(size - END_SIZE - DIRECTORY_SIZE, 0))
        tail = file.read()
        end = tail[-END_SIZE:]
        whole = end.startswith(END) and END_64 not in tail
        _check(path, "a Keras model", "no zip archive of its three members", whole)
        declared = int.from_bytes(end[12:16], "little"), int.from_bytes(end[16:20], "little")
        bounds = DIRECTORY_SIZE, size - END_SIZE - DIRECTORY_SIZE
        expected = "a zip directory of {} bytes at byte {}"
        _check(path, expected.format(*bounds), "{} at {}".format(*declared), declared == bounds)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = sorted(entry.filename for entry in entries)
            _check(path, f"a Keras model of {sorted(LIMITS)}", names, names == sorted(LIMITS))
            for entry in entries:
                where = f"{path}: {entry.filename}"
                stored = entry.compress_type == zipfile.ZIP_STORED
                _check(where, "bytes as they are", "compressed ones", stored)
                limit = min(LIMITS[entry.filename], size)
                bounded = entry.file_size == entry.compress_size <= limit
                _check(where, f"at most {limit} bytes", entry.file_size, bounded)
            return {entry.filename: archive.read(entry) for entry in entries}


def _parse(path: Path, name: str, text: bytes) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: {name}: expected JSON, received {error}") from error
    _check(f"{path}: {name}", "a JSON object", type(values).__name__, isinstance(values, dict))
    return dict(values)


class _Config:
    """The walk through a config; a value is known by the key that it stands under."""

    def __init__(self, path: Path) -> None:
        self.where = f"{path}: config.json"
        self.path = path

    def check(self, config: dict[str, Any]) -> None:
        _check(self.path, "a Keras model", repr(config)[:40], _identify(config) in MODELS)
        self._check_value(config, "layers", 0)
        calls = _count_calls(config)
        _check(self.where, f"at most {CALL_LIMIT} calls of layers", calls, calls <= CALL_LIMIT)

    def _check_value(self, value: Any, key: str, depth: int) -> None:
        _check(self.where, f"at most {DEPTH_LIMIT} levels", "more", depth <= DEPTH_LIMIT)
        if isinstance(value, list):
            for entry in value:
                self._check_value(entry, key, depth + 1)
        elif isinstance(value, dict):
            if "class_name" in value:
                value.pop("compile_config", None)  # as by `compile=False`, of inner models, too
                self._check_object(value, key)
            for name, entry in value.items():
                self._check_value(entry, name, depth + 1)
        else:
            self._check_plain(value, key)

    def _check_plain(self, value: Any, key: str) -> None:
        if key == "name" and isinstance(value, str):
            _check(self.where, "names without /", repr(value[:40]), "/" not in value)
        # Neither is a size: Keras numbers shared objects by their addresses.
        if isinstance(value, int) and key not in ("seed", "shared_object_id"):
            holds = abs(value) <= NUMBER_LIMIT
            _check(self.where, f"numbers up to {NUMBER_LIMIT}", str(value)[:80], holds)

    def _check_object(self, value: dict[str, Any], key: str) -> None:
        module, name = _identify(value)
        is_layer = _is_layer(value)
        known = is_layer or module in PLAIN_MODULES or (module, name) in PLAIN
        received = f"{module}.{name}"[:80]
        allowed = known and isinstance(name, str) and name not in REFUSED
        _check(self.where, "a Keras model of Keras's own layers", received, allowed)
        registered = value.get("registered_name")
        expected = "a Keras model without registered classes"
        _check(self.where, expected, repr(registered)[:80], registered in (None, name))
        if not is_layer:
            return
        held = key in HOLDERS or (key in ACTIVATIONS and name in FUNCTIONS)
        _check(self.where, f"a layer as one of {HOLDERS}", f"{name} as {key}"[:80], held)
        config = value["config"]
        if name == "InputLayer":
            shape, own = (None, IMAGE_SIDE, IMAGE_SIDE, 1), tuple(config["batch_shape"])
            _check(self.path, f"input {shape}", str(own)[:80], own == shape)
        if name == "Functional":
            self._check_graph(config)

    def _check_graph(self, config: dict[str, Any]) -> None:
        """Check that each call is needed: what the outputs do not need, the model does not know."""
        calls: dict[tuple[str, int], list[tuple[str, int]]] = {}
        for layer in config["layers"]:
            name = layer["name"]
            _check(self.where, "layers of different names", repr(name)[:40], (name, 0) not in calls)
            for number, node in enumerate(layer["inbound_nodes"] or [{}]):
                calls[name, number] = list(_find_histories(node))
        needed = set()
        waiting = list(_find_references(config["output_layers"]))
        while waiting:
            call = waiting.pop()
            if call not in needed:
                needed.add(call)
                waiting += calls[call]
        spare = [name for name, _ in calls.keys() - needed]
        _check(self.where, "layers that the outputs need", repr(spare[:1])[:80], not spare)


def _identify(value: dict[str, Any]) -> tuple[Any, Any]:
    return value.get("module"), value.get("class_name")


def _is_layer(value: dict[str, Any]) -> bool:
    return value.get("module") == LAYERS or _identify(value) in (*MODELS, *OPERATIONS)


def _count_calls(value: Any) -> int:
    """Count how often layers are called, each a call of those in it."""
    if isinstance(value, list):
        return sum(_count_calls(entry) for entry in value)
    if not isinstance(value, dict):
        return 0
    below = sum(_count_calls(entry) for entry in value.values())
    if not _is_layer(value):
        return below
    return max(len(value.get("inbound_nodes", [])), 1) * (1 + below)


def _find_histories(value: Any) -> Iterator[tuple[str, int]]:
    """Find the calls whose outputs a call takes."""
    if isinstance(value, list):
        for entry in value:
            yield from _find_histories(entry)
    elif isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            name, number, _ = value["config"]["keras_history"]
            yield name, number
        else:
            yield from _find_histories(list(value.values()))


def _find_references(value: Any) -> Iterator[tuple[str, int]]:
    """Find the calls in outputs: `[name, call, output]`, alone or in lists."""
    if value and isinstance(value[0], str):
        yield value[0], value[1]
    else:
        for entry in value:
            yield from _find_references(entry)


def _count_weights(path: Path, weights: bytes) -> int:
    """Count the numbers in an HDF5 file of plain arrays."""
    with h5py.File(io.BytesIO(weights)) as file:
        seen: set[int] = set()
        count = size = 0
        waiting: list[tuple[str, Any]] = [("", file["/"])]
        while waiting:
            name, found = waiting.pop()
            where = f"{path}: model.weights.h5{name[:80]}"
            address = h5py.h5o.get_info(found.id).addr
            _check(where, "one name for each object", "another", address not in seen)
            seen.add(address)
            _check_attributes(where, found)
            if isinstance(found, h5py.Dataset):
                _check_dataset(where, found)
                count, size = count + found.size, size + found.nbytes
                _check(where, f"at most {len(weights)} bytes of weights", size, size < len(weights))
                continue
            _check(where, "groups and arrays", type(found).__name__, isinstance(found, h5py.Group))
            total = len(seen) + len(waiting) + found.id.get_num_objs()
            _check(where, f"at most {OBJECT_LIMIT} objects", total, total <= OBJECT_LIMIT)
            for key in found:
                kind = found.id.links.get_info(key.encode()).type
                _check(where, "no links", repr(key[:80]), kind == h5py.h5l.TYPE_HARD)
                waiting.append((f"{name}/{key}", found[key]))
        return count


def _check_attributes(where: str, found: h5py.Group | h5py.Dataset) -> None:
    for number in range(h5py.h5a.get_num_attrs(found.id)):
        attribute = h5py.h5a.open(found.id, index=number)
        plain = (attribute.shape, attribute.dtype.kind) == ((), "O")
        _check(where, "attributes that are texts", repr(attribute.name[:80]), plain)


def _check_dataset(where: str, dataset: h5py.Dataset) -> None:
    """Check that the array's bytes are in the file, as they are."""
    properties = dataset.id.get_create_plist()
    layout = properties.get_layout()
    _check(where, "a contiguous array", f"layout {layout}", layout == h5py.h5d.CONTIGUOUS)
    outside = properties.get_external_count() + properties.get_nfilters()
    _check(where, "no filters and no other files", outside, outside == 0)
    plain = dataset.dtype.kind in "biuf" or dataset.dtype == "V2"  # bfloat16 is two bytes to HDF5
    _check(where, "an array of numbers", dataset.dtype, plain and dataset.dtype.itemsize <= 8)
    stored = dataset.id.get_storage_size()
    _check(where, f"an array of its {stored} bytes", dataset.nbytes, dataset.nbytes == stored)


def _check(where: Path | str, expected: str, received: Any, holds: object) -> None:
    if not holds:
        raise ArtifactError(f"{where}: expected {expected}, received {received}")
