"""Export trained models to other formats: SavedModel, ONNX and LiteRT, by Keras.

Each takes `images`, float32 (n, 28, 28, 1) in [0, 1], and gives `probabilities`,
float32 (n, k), for any number of images at a time.
"""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from digits.data.splits import IMAGE_SHAPE
from digits.errors import DigitsError
from digits.model.backend import find_reason, keras, tf
from digits.stderr import without_lines

INPUT, OUTPUT = "images", "probabilities"
SIGNATURE = [keras.InputSpec(dtype="float32", shape=(None, *IMAGE_SHAPE), name=INPUT)]
QUANTIZING = "fully_quantize: "  # TensorFlow's C++ prints it, whatever the level of its log is


class ConversionError(DigitsError):
    """A format has no counterpart of what a model computes."""


def to_litert(model: keras.Model) -> bytes:
    """Convert to LiteRT (`.tflite`) in float32.

    Raises:
        ConversionError: a layer that LiteRT does not have.
    """
    # Not those that need TensorFlow: LiteRT's runtimes do not have them.
    operations = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    return _convert(model, "litert", target_spec=operations)


def to_litert_int8(model: keras.Model, images: np.ndarray) -> bytes:
    """Convert to LiteRT with weights and activations of 8 bits; input and output stay float32.

    The activations' ranges are those measured on the images, float32 (n, 28, 28, 1).

    Raises:
        ConversionError: a layer that LiteRT does not have in 8 bits.
    """
    with without_lines(QUANTIZING):
        return _convert(
            model,
            "litert",
            target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=lambda: ([image[np.newaxis]] for image in images),
        )


def to_onnx(model: keras.Model) -> bytes:
    """Convert to ONNX; this needs the packages tf2onnx and onnx.

    Raises:
        ConversionError: a layer that ONNX does not have.
    """
    with warnings.catch_warnings():
        # Keras looks for a name that NumPy 2 no longer has.
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        return _convert(model, "onnx")


def write_saved_model(folder: Path, model: keras.Model) -> None:
    """Write a SavedModel into a new folder, with the signatures `serve` and `serving_default`."""
    _export(model, folder, "tf_saved_model")


def load_saved_model(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Load a SavedModel by TensorFlow alone, as a server does."""
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    return lambda images: serve(**{INPUT: tf.constant(images)})[OUTPUT].numpy()


def _convert(model: keras.Model, kind: str, **options: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")  # the ending that LiteRT wants; ONNX takes any
        try:
            _export(model, path, kind, **options)
        except (ImportError, MemoryError, OSError):
            raise
        except Exception as error:  # a converter may raise anything
            raise ConversionError(
                f"{model.name}: expected layers that {kind} has, received {find_reason(error)}"
            ) from error
        return path.read_bytes()


def _export(model: keras.Model, path: Path, kind: str, **options: Any) -> None:
    named = keras.Model(model.inputs, {OUTPUT: model.output}, name=model.name)
    named.export(path, format=kind, verbose=False, input_signature=SIGNATURE, **options)
