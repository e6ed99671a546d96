"""Load a `.keras` file for prediction without trusting it."""

import copy
import math
import tempfile
from pathlib import Path
from typing import Any

from digits.files import ArtifactError
from digits.model.backend import find_reason, keras
from digits.model.inspection import check, check_used, inspect_model


def load_model(path: Path, class_count: int) -> keras.Model:
    """Load a model for prediction; code inside the file (a Lambda layer) is refused, not run.

    Raises:
        ArtifactError: missing, damaged, unsafe, or not a classifier of so many classes.
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


def _build(path: Path, config: dict[str, Any], weight_count: int, class_count: int) -> keras.Model:
    """Build the described network, after a check that the file has as many weights.

    `keras.saving.load_model` allocates before it compares.
    """
    # In this scope variables have only a shape; they get a value when it ends.
    scope = keras.StatelessScope(initialize_variables=False)
    try:
        with scope:
            given = copy.deepcopy(config)  # Keras changes it
            model = keras.saving.deserialize_keras_object(given, safe_mode=True)
            check_used(path, config, model)
            fits = model.output_shape == (None, class_count)
            check(path, fits, f"output {model.output_shape} for {class_count} classes")
            count = sum(math.prod(weight.shape) for weight in model.weights)
            check(path, count <= weight_count, f"{weight_count} weights for layers of {count}")
            scope.initialize_variables = True
    except BaseException:
        keras.utils.clear_session()  # or the next such scope would initialize these variables
        raise
    return model
