"""Load a `.keras` file for prediction without trusting it.

Keras's safe mode refuses code in the file, and Keras refuses archives and arrays that are larger
than they seem or lie elsewhere. But its safe mode was bypassed three times (CVE-2025-1550, -8747,
-9906), so only the classes that recipes can name are loaded.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

from digits.data.splits import IMAGE_SHAPE
from digits.files import ArtifactError
from digits.model.backend import find_reason, keras
from digits.model.objects import REFUSED

MEMBERS = ["config.json", "metadata.json", "model.weights.h5"]
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


def load_model(path: Path, class_count: int) -> keras.Model:
    """Load a model for prediction; code inside the file (a Lambda layer) is refused, not run.

    Raises:
        ArtifactError: missing, damaged, unsafe, or not a classifier of so many classes.
    """
    if not path.is_file():
        raise ArtifactError(f"{path}: expected a model, received none: run train, or `dvc pull`")
    try:
        _check_file(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except ArtifactError:
        raise
    except Exception as error:
        # Keras lets whatever zipfile, json, h5py or a layer raises pass through.
        raise ArtifactError(
            f"{path}: expected a Keras model, received {find_reason(error)}"
        ) from error
    fits = model.output_shape == (None, class_count)
    _check(path, fits, f"output {model.output_shape} for {class_count} classes")
    return model


def _check_file(path: Path) -> None:
    """Check what the file holds, and all classes that it names."""
    with zipfile.ZipFile(path) as archive:
        _check(path, sorted(archive.namelist()) == MEMBERS, "other members")
        config = json.loads(archive.read("config.json"))
    config.pop("compile_config", None)  # `compile=False` disregards it
    _check(path, config.get("class_name") in ("Functional", "Sequential"), repr(config)[:40])
    _check_value(path, config, "layers")


def _check_value(path: Path, value: Any, key: str) -> None:
    """Check the objects in the value of a key."""
    if isinstance(value, list):
        for entry in value:
            _check_value(path, entry, key)
    elif isinstance(value, dict):
        if "class_name" in value:
            _check_object(path, value, key)
        for name, entry in value.items():
            _check_value(path, entry, name)


def _check_object(path: Path, value: dict[str, Any], key: str) -> None:
    name, module = value["class_name"], value.get("module")
    known = next((modules for end, modules in MODULES.items() if key.endswith(end)), ())
    own = name not in REFUSED and value.get("registered_name") in (None, name)
    _check(path, module in known and own, f"{module}.{name} as {key}"[:80])
    if name == "InputLayer":
        shape = value["config"]["batch_shape"]
        _check(path, shape == [None, *IMAGE_SHAPE], f"input {shape}"[:80])


def _check(path: Path, holds: object, received: str) -> None:
    if not holds:
        raise ArtifactError(f"{path}: expected a Keras model of this project, received {received}")
