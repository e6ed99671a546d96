"""Trained models in the forms of other programs: what Keras exports, to the same bytes each time.

A form with one input calls it `images`, float32 (n, 28, 28, 1) in [0, 1], and gives float32 (n, k).
Forms that Keras or TensorFlow loads are loaded here, too, to be compared.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from digits.errors import DigitsError
from digits.model.backend import keras, tf, without_lines
from digits.model.networks import INPUT_SHAPE
from digits.model.objects import find_reason

INPUT, OUTPUT = "images", "probabilities"
# Named by us: the name of a model's own input counts the models before it.
SIGNATURE = [keras.InputSpec(dtype="float32", shape=(None, *INPUT_SHAPE), name=INPUT)]
QUANTIZING = "fully_quantize: "  # TensorFlow's C++ prints it, whatever the level of its log is
LEGACY = "saving your model as an HDF5 file"  # Keras advises the archive; both are exported


class ConversionError(DigitsError):
    """A form has no counterpart of what a model computes."""


def to_litert(model: keras.Model) -> bytes:
    """Convert to LiteRT (`.tflite`) in float32, for any number of images at a time.

    Raises:
        ConversionError: a layer that LiteRT does not have.
    """
    # Without those that need the whole of TensorFlow: no runtime of LiteRT brings them along.
    operations = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    return _export(model, "litert", target_spec=operations)


def to_litert_int8(model: keras.Model, images: np.ndarray) -> bytes:
    """Convert to LiteRT with weights and activations of 8 bits; input and output stay float32.

    The activations' ranges are those that the images, float32 (n, 28, 28, 1), bring about.

    Raises:
        ConversionError: a layer that LiteRT does not have in 8 bits.
    """
    with without_lines(QUANTIZING):
        return _export(
            model,
            "litert",
            target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=lambda: ([image[np.newaxis]] for image in images),
        )


def to_onnx(model: keras.Model) -> bytes:
    """Convert to ONNX, with `images` (n, 28, 28, 1) as input and `probabilities` (n, k) as output.

    It needs the packages tf2onnx and onnx.

    Raises:
        ConversionError: a layer that ONNX does not have.
    """
    with warnings.catch_warnings():
        # Keras looks for a name that NumPy 2 has no more.
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        return _name_by_use(_export(model, "onnx"))


def to_h5(model: keras.Model) -> bytes:
    """Convert to the HDF5 file that Keras wrote before its version 3."""

    def keep(record: logging.LogRecord) -> bool:
        return LEGACY not in record.getMessage()

    logger = logging.getLogger("absl")
    logger.addFilter(keep)
    try:
        return _read_written(model.save, "model.h5")
    finally:
        logger.removeFilter(keep)


def write_saved_model(folder: Path, model: keras.Model) -> None:
    """Write a SavedModel into a new folder, with the signatures `serve` and `serving_default`.

    TensorFlow numbers its functions through and gives each file a number by chance: equal models
    are not equal bytes here.
    """
    model.export(folder, format="tf_saved_model", verbose=False, input_signature=SIGNATURE)


def load_keras(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Load a `.keras` archive or an HDF5 file that we have made, as Keras does."""
    model = keras.saving.load_model(path, compile=False)
    return model.predict_on_batch


def load_saved_model(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Load a SavedModel by TensorFlow alone, as a server does."""
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]

    def predict(images: np.ndarray) -> np.ndarray:
        (probabilities,) = serve(**{INPUT: tf.constant(images)}).values()
        return probabilities.numpy()

    return predict


def _export(model: keras.Model, kind: str, **options: Any) -> bytes:
    def write(path: Path) -> None:
        model.export(path, format=kind, verbose=False, input_signature=SIGNATURE, **options)

    try:
        return _read_written(write, "model.tflite")  # LiteRT's ending is a must, ONNX takes any
    except (ImportError, MemoryError, OSError):
        raise
    except Exception as error:  # whatever a converter raises
        raise ConversionError(
            f"{model.name}: expected layers that {kind} has, received {find_reason(error)}"
        ) from error


def _read_written(write: Callable[[Path], None], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def _name_by_use(data: bytes) -> bytes:
    """Order and name what is in an ONNX file by its use.

    tf2onnx does so by sets, and by counters that go on from model to model.
    """
    import onnx  # noqa: PLC0415 (of the extra `export`)

    model = onnx.load_from_string(data)
    ((image,), (output,)) = model.graph.input, model.graph.output
    _rename(model.graph, {"": "", image.name: INPUT, output.name: OUTPUT})
    for tensor in (image, output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "n"
    return model.SerializeToString(deterministic=True)


def _rename(graph: Any, names: dict[str, str]) -> None:
    """Order and rename what a graph of ONNX, and those in it, compute; '' is no tensor's name."""

    def rename(name: str) -> str:
        return names.setdefault(name, f"tensor_{len(names)}")

    nodes = _sort(graph)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.doc_string = ""
    for number, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{number}", ""
        node.input[:] = [rename(name) for name in node.input]
        for inner in (it.g for it in node.attribute if it.HasField("g")):
            _rename(inner, names)
        node.output[:] = [rename(name) for name in node.output]
    for tensor in (*graph.input, *graph.output, *graph.initializer):
        tensor.name = rename(tensor.name)
    ranks = {name: rank for rank, name in enumerate(names.values())}
    constants = sorted(graph.initializer, key=lambda tensor: ranks[tensor.name])
    del graph.initializer[:]
    graph.initializer.extend(constants)


def _sort(graph: Any) -> list[Any]:
    """List a graph's nodes: each after those that it needs, which come in the order of need."""
    makers = {name: n for n, node in enumerate(graph.node) for name in node.output if name}
    order: dict[int, None] = {}
    waiting = [makers[output.name] for output in reversed(graph.output) if output.name in makers]
    while waiting:
        needed = [makers[name] for name in _list_inputs(graph.node[waiting[-1]]) if name in makers]
        missing = [number for number in needed if number not in order]
        if missing:
            waiting += reversed(missing)
        else:
            order.setdefault(waiting.pop())
    return [graph.node[number] for number in order]


def _list_inputs(node: Any) -> list[str]:
    """List the tensors that a node takes, and those that the graphs in it take from outside."""
    graphs = [it.g for it in node.attribute if it.HasField("g")]
    inner = [name for graph in graphs for it in graph.node for name in _list_inputs(it)]
    return [*node.input, *inner]
