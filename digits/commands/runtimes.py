"""Exported models, loaded by the programs that they are for, without TensorFlow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]  # float32 (n, 28, 28, 1) to probabilities (n, k)


def load_onnx(path: Path) -> Predict:
    """Load a `.onnx` file into ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415 (of the extra `export`)

    session = onnxruntime.InferenceSession(path)

    def predict(images: np.ndarray) -> np.ndarray:
        (probabilities,) = session.run(None, {"images": images})
        return probabilities

    return predict


def load_litert(path: Path) -> Predict:
    """Load a `.tflite` file into LiteRT."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 (of the extra `export`)

    run = Interpreter(str(path)).get_signature_runner()  # it fits the tensors to the images

    def predict(images: np.ndarray) -> np.ndarray:
        (probabilities,) = run(images=images).values()
        return probabilities

    return predict
