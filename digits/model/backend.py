"""TensorFlow and Keras, imported without their start-up noise, and made repeatable.

Everything that needs them imports them from here: the settings must come before the import.
"""

import os
import re
import signal
import sys
from pathlib import Path

from digits.errors import DigitsError
from digits.stderr import without_lines

# Hide native log lines, such as CPU features or missing CUDA, unless the user has set a level.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The user's environment must not change how these libraries compute. Kept are variables for logs,
# for a GPU's memory, and for the processor that oneDNN imitates.
COMPUTING = ("DNNL_", "KERAS_", "ONEDNN_", "TF_")
KEPT = ("ONEDNN_MAX_CPU_ISA", "ONEDNN_VERBOSE", "TF_CPP_", "TF_FORCE_GPU_", "TF_GPU_")
for _name in list(os.environ):
    if _name.startswith(COMPUTING) and not _name.startswith(KEPT):
        del os.environ[_name]
os.environ["KERAS_BACKEND"] = "tensorflow"
# A folder that cannot exist: no `keras.json` is read or written, Keras's own defaults hold.
os.environ["KERAS_HOME"] = f"{os.devnull}/keras"

# TensorFlow 2.21 logs these lines when it is imported, at any level.
STARTUP_NOISE = r"I[0-9]{4} [0-9]{2}:[0-9]{2}|I0000 |WARNING: All log messages before absl::"

try:
    with without_lines(STARTUP_NOISE):
        import keras
        import tensorflow as tf
except KeyboardInterrupt:  # importing takes seconds, and `run_main` does not run yet
    print("ERROR: interrupted", file=sys.stderr)
    sys.exit(128 + signal.SIGINT)

# The networks of an ensemble have a graph each, which TensorFlow mistakes for retracing.
RETRACING = "triggered tf.function retracing"
tf.get_logger().addFilter(lambda record: RETRACING not in record.getMessage())

__all__ = ["keras", "tf"]

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
        return False  # oneDNN imitates an older processor, or this is not Linux
    flags = re.search(r"^flags\s*:(.*)", CPUINFO_PATH.read_text(), re.MULTILINE)
    return bool(flags and BFLOAT16_FLAGS & set(flags[1].split()))


def choose_strategy(count: int) -> tf.distribute.Strategy:
    """Return TensorFlow's default strategy for one device, a mirrored one for more.

    Devices are GPUs or, without any, TensorFlow's logical CPUs, of which there is one by default.

    Raises:
        DigitsError: there are fewer devices.
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

    `threads` is the number of CPU threads of one operation (0: one a core). Call this before
    TensorFlow computes anything.
    """
    if threads != tf.config.threading.get_intra_op_parallelism_threads():
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    keras.utils.clear_session()  # layers are named from 1 again
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
