"""TensorFlow and Keras, imported without their start-up noise, and made repeatable.

Everything that needs them imports them from here: the settings must come before the import.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from digits.errors import DigitsError

# Native log lines (CPU features, no CUDA found) are noise to a user; Python's warnings and errors
# still show. A level set by the user wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Variables by which a user changes how these libraries compute are no part of a result. Kept are
# those that say what is logged, how much memory of a GPU is taken, and which processor is imitated.
COMPUTING = ("DNNL_", "KERAS_", "ONEDNN_", "TF_")
KEPT = ("ONEDNN_MAX_CPU_ISA", "ONEDNN_VERBOSE", "TF_CPP_", "TF_FORCE_GPU_", "TF_GPU_")
for _name in list(os.environ):
    if _name.startswith(COMPUTING) and not _name.startswith(KEPT):
        del os.environ[_name]
os.environ["KERAS_BACKEND"] = "tensorflow"
# Where no `keras.json` can be: Keras's own defaults hold, and it writes none.
os.environ["KERAS_HOME"] = f"{os.devnull}/keras"

# TensorFlow 2.21 logs these while it is being imported, whatever the level says.
STARTUP_NOISE = r"I[0-9]{4} [0-9]{2}:[0-9]{2}|I0000 |WARNING: All log messages before absl::"


@contextmanager
def without_lines(start: str) -> Iterator[None]:
    """Pass on what native code writes to standard error, but for lines of this start, a pattern.

    By a process of its own, so that a message passes even when TensorFlow aborts this one.
    """
    sys.stderr.flush()
    command = ["grep", "-avE", "--line-buffered", f"^({start})"]
    outlet, inlet = os.pipe()
    # Ctrl-C, which ends a terminal's processes, reaches it no more: it ends with this one.
    with subprocess.Popen(command, stdin=outlet, stdout=2, start_new_session=True):
        os.close(outlet)
        kept = os.dup(2)
        os.dup2(inlet, 2)
        os.close(inlet)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)  # closes the pipe: the filter ends
            os.close(kept)


try:
    with without_lines(STARTUP_NOISE):
        import keras
        import tensorflow as tf
except KeyboardInterrupt:  # in seconds that come before a stage's own answer to Ctrl-C
    print("ERROR: interrupted", file=sys.stderr)
    sys.exit(128 + signal.SIGINT)

# It takes the networks of an ensemble, each of which has a graph of its own, for one traced anew.
RETRACING = "triggered tf.function retracing"
tf.get_logger().addFilter(lambda record: RETRACING not in record.getMessage())

__all__ = [
    "choose_strategy",
    "find_reason",
    "has_bfloat16",
    "keras",
    "make_repeatable",
    "tf",
    "without_lines",
]

CPUINFO_PATH = Path("/proc/cpuinfo")  # Linux
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
AMPERE = (8, 0)  # the compute capability of the first GPUs with bfloat16


# What Keras and TensorFlow put before the reason of a failure, and around it.
HEADINGS = ("Exception encountered when calling", "Graph execution error", "Detected at node")
DECORATION = re.compile(r"\x1b\[[\d;]*m|\{\{.*?\}\} ?|\[Op:.*?\]( name: .*)?")


def find_reason(error: Exception) -> str:
    """Return the line that says why Keras or TensorFlow failed."""
    lines = (line.strip() for line in DECORATION.sub("", str(error)).splitlines())
    reasons = (line for line in lines if line and not line.startswith(HEADINGS))
    return next(reasons, type(error).__name__)


def has_bfloat16() -> bool:
    """Tell whether the first GPU, or else the processor, has instructions for bfloat16."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return details.get("compute_capability", (0, 0)) >= AMPERE
    if "ONEDNN_MAX_CPU_ISA" in os.environ or not CPUINFO_PATH.is_file():
        return False  # another processor is imitated, or none with such instructions
    flags = re.search(r"^flags\s*:(.*)", CPUINFO_PATH.read_text(), re.MULTILINE)
    return bool(flags and BFLOAT16_FLAGS & set(flags[1].split()))


def choose_strategy(count: int) -> tf.distribute.Strategy:
    """Choose where a training computes: where TensorFlow would, or mirrored on so many devices.

    These are GPUs; without any, TensorFlow's logical CPU devices: one, unless it is told otherwise.

    Raises:
        DigitsError: there are fewer.
    """
    if count == 1:
        return tf.distribute.get_strategy()
    kinds = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    devices = next(filter(None, kinds))
    if len(devices) < count:
        raise DigitsError(
            f"train.devices: expected at most {len(devices)}, the {devices[0].device_type} devices "
            f"that TensorFlow sees here, received {count}"
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices[:count]])


def make_repeatable(seed: int, threads: int) -> None:
    """Fix all randomness, so that the same run on the same machine gives the same bytes.

    `threads` is the number of CPU threads of one operation (0: one a core); call this before
    TensorFlow computes anything.
    """
    if threads != tf.config.threading.get_intra_op_parallelism_threads():
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    keras.utils.clear_session()  # layers are named from 1 again
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
