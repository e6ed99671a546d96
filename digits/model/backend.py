"""TensorFlow and Keras, imported without their start-up noise, and made repeatable.

Everything that needs them imports them from here: the settings must come before the import.
"""

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Native log lines (CPU features, no CUDA found) are noise to a user; Python's warnings and errors
# still show. A level set by the user wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

# TensorFlow 2.21 logs these while it is being imported, whatever the level says.
STARTUP_NOISE = re.compile(rb"I\d{4} \d\d:\d\d|I0000 |WARNING: All log messages before absl::")


@contextmanager
def _without_startup_noise() -> Iterator[None]:
    """Hold back what native code writes to standard error, then pass on all that is not noise."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not STARTUP_NOISE.match(line)))


try:
    with _without_startup_noise():
        import keras
        import tensorflow as tf
except KeyboardInterrupt:  # in seconds that come before a stage's own answer to Ctrl-C
    print("ERROR: interrupted", file=sys.stderr)
    sys.exit(128 + signal.SIGINT)

# It takes the networks of an ensemble, each of which has a graph of its own, for one traced anew.
RETRACING = "triggered tf.function retracing"
tf.get_logger().addFilter(lambda record: RETRACING not in record.getMessage())

__all__ = ["keras", "make_repeatable", "tf"]


def make_repeatable(seed: int, threads: int) -> None:
    """Fix every source of chance, so that the same run on the same machine gives the same bytes.

    `threads` is the number of CPU threads of one operation (0: one a core); call this before
    TensorFlow computes anything.
    """
    if threads != tf.config.threading.get_intra_op_parallelism_threads():
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    keras.utils.clear_session()  # layers are named from 1 again
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
