"""Trained models on disk, as `.keras` archives that depend on nothing but the model."""

import copy
import io
import json
import math
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from digits.data.splits import check_probabilities
from digits.files import ArtifactError, write_bytes
from digits.model.backend import find_reason, keras
from digits.model.inspection import check, check_config, check_used, inspect_model
from digits.paths import MODEL_PATH

SHARED = re.compile(r'("shared_object_id": )(\d+)')  # no text holds it: its quotes are escaped
PREDICTED_AT_A_TIME = 20_000  # images
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip entry can have


def write_model(path: Path, model: keras.Model) -> None:
    """Write the model as Keras saves it, but for dates and addresses: equal models, equal bytes."""
    with tempfile.TemporaryDirectory() as folder:
        dated = Path(folder) / "model.keras"
        model.save(dated)
        write_bytes(path, _make_deterministic(dated))


def check_loadable(model: keras.Model) -> None:
    """Refuse, by ArtifactError, a model that `load_model` will not take, before it is trained."""
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    check_config(MODEL_PATH, config)


def load_model(path: Path, class_count: int) -> keras.Model:
    """Load a model for prediction; code inside the file (a Lambda layer) is refused, not run.

    Raises:
        ArtifactError: missing, damaged, foreign, unsafe, or not a classifier of so many classes.
    """
    if not path.is_file():
        raise ArtifactError(f"{path}: expected a model, received none: run train, or `dvc pull`")
    try:
        config, weights, weight_count = inspect_model(path)
        model = _build(path, config, weight_count, class_count)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.weights.h5"
            file.write_bytes(weights)  # the archive itself would be read in pieces
            model.load_weights(file)
    except ArtifactError:
        raise
    except Exception as error:
        # Keras lets whatever zipfile, json, h5py or a layer raises pass through.
        raise ArtifactError(
            f"{path}: expected a Keras model, received {find_reason(error)}"
        ) from error
    return model


def predict_probabilities(model: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Return float32 (n, k): each image's probability of each class.

    Raises:
        ArtifactError: the model gives something else, NaN for example.
    """
    probabilities = predict_in_parts(model, images, batch_size)
    check_probabilities("model", probabilities)
    return probabilities.astype(np.float32)


def predict_in_parts(model: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Return what a model gives, (n, k), or all that one of m outputs gives, (m, n, k).

    Keras copies the images that it is given: these are so many batches at a time.
    """
    step = batch_size * max(PREDICTED_AT_A_TIME // batch_size, 1)
    parts = (images[start : start + step] for start in range(0, len(images), step))
    given = [model.predict(part, batch_size=batch_size, verbose=0) for part in parts]
    return np.concatenate(given, axis=-2)


def _build(path: Path, config: dict[str, Any], weight_count: int, class_count: int) -> keras.Model:
    """Build the network that the file describes; it allocates no more than the file has weights.

    `keras.saving.load_model` would allocate first and compare then.
    """
    # In this scope variables have a shape, and no value before its end.
    scope = keras.StatelessScope(initialize_variables=False)
    try:
        with scope:
            given = copy.deepcopy(config)  # Keras takes it to pieces
            model = keras.saving.deserialize_keras_object(given, safe_mode=True)
            check_used(path, config, model)
            fits = model.output_shape == (None, class_count)
            check(path, fits, f"output {model.output_shape} for {class_count} classes")
            count = sum(math.prod(weight.shape) for weight in model.weights)
            check(path, count <= weight_count, f"{weight_count} weights for layers of {count}")
            scope.initialize_variables = True
    except BaseException:
        keras.utils.clear_session()  # or the next such scope would give them values
        raise
    return model


def _make_deterministic(archive_path: Path) -> bytes:
    """Take the date out of a `.keras` archive, and number what Keras knows by its addresses."""
    numbers: dict[str, int] = {}
    rewritten = io.BytesIO()
    with zipfile.ZipFile(archive_path) as dated, zipfile.ZipFile(rewritten, "w") as dateless:
        for name in sorted(dated.namelist()):
            content: bytes | str = dated.read(name)
            if name == "metadata.json":
                metadata = json.loads(content)
                del metadata["date_saved"]
                content = json.dumps(metadata)
            if name == "config.json":
                content = SHARED.sub(
                    lambda found: f"{found[1]}{numbers.setdefault(found[2], len(numbers))}",
                    dated.read(name).decode(),
                )
            dateless.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)
    return rewritten.getvalue()
