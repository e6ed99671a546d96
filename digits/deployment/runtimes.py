"""Load exported models into ONNX Runtime and LiteRT, without TensorFlow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from digits.data.splits import IMAGE_SHAPE
from digits.stderr import without_lines

Predict = Callable[[np.ndarray], np.ndarray]  # float32 (n, 28, 28, 1) to probabilities (n, k)
NOTICE = "INFO: Created TensorFlow Lite XNNPACK delegate"  # LiteRT's C++, whenever it starts


def load_onnx(path: Path) -> Predict:
    """Load a `.onnx` file into ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415 (it takes a second)

    session = onnxruntime.InferenceSession(path)

    def predict(images: np.ndarray) -> np.ndarray:
        (probabilities,) = session.run(None, {"images": images})
        return probabilities

    return predict


def load_litert(path: Path) -> Predict:
    """Load a `.tflite` file into LiteRT."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 (it takes a second)

    with without_lines(NOTICE):
        run = Interpreter(str(path)).get_signature_runner()  # of any number of images
        run(images=np.zeros((1, *IMAGE_SHAPE), np.float32))  # the notice comes now

    def predict(images: np.ndarray) -> np.ndarray:
        (probabilities,) = run(images=images).values()
        return probabilities

    return predict
