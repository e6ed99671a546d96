"""Load exported models into ONNX Runtime and LiteRT, without TensorFlow."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from digits.data.splits import IMAGE_SHAPE

Predict = Callable[[np.ndarray], np.ndarray]  # float32 (n, 28, 28, 1) to probabilities (n, k)
NOTICE = b"INFO: Created TensorFlow Lite XNNPACK delegate"  # LiteRT's C++, whenever it starts


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

    with _without_notice():
        run = Interpreter(str(path)).get_signature_runner()  # of any number of images
        run(images=np.zeros((1, *IMAGE_SHAPE), np.float32))  # the notice comes now

    def predict(images: np.ndarray) -> np.ndarray:
        (probabilities,) = run(images=images).values()
        return probabilities

    return predict


@contextmanager
def _without_notice() -> Iterator[None]:
    """Hide the notice, and pass on all else that native code writes to standard error."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            for line in said:
                if not line.startswith(NOTICE):
                    sys.stderr.write(line.decode(errors="replace"))
