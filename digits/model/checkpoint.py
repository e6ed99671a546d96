"""The state of a training on disk after each epoch: a crash costs one epoch at most."""

import base64
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from digits.errors import DigitsError
from digits.files import HISTORY_COLUMNS, write_bytes
from digits.model.backend import keras, tf

CODE_DIR = Path(__file__).parent
# The state of Keras's own callbacks, which their `on_train_begin` resets.
STATE = ("best", "best_epoch", "best_weights", "cooldown_counter", "stopped_epoch", "wait")


@dataclass
class Checkpoint:
    """The weights of finished members, all state of the one in training, all epochs' scores."""

    rows: list[dict[str, float]] = field(default_factory=list)  # one an epoch
    finished: list[list[np.ndarray]] = field(default_factory=list)
    state: list[np.ndarray] = field(default_factory=list)
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    stopped: bool = False  # by a callback, before the last epoch

    @property
    def epochs_done(self) -> int:
        """Number of finished epochs of the member in training."""
        return int(self.rows[-1]["epoch"]) if self.state else 0

    def finish_member(self, weights: list[np.ndarray]) -> None:
        self.finished.append(weights)
        self.state, self.callbacks, self.stopped = [], [], False

    def write(self, path: Path, run: str) -> None:
        """Replace the file atomically: a kill leaves the old or the new."""
        body = json.dumps(vars(self), default=_encode).encode()
        write_bytes(path, _sign(run, body) + b"\n" + body)


def record(
    checkpoint: Checkpoint,
    network: keras.Model,
    watched: Sequence[keras.callbacks.Callback],
    save: Callable[[], None],
) -> keras.callbacks.Callback:
    """Make the callback that resumes a member's training, and adds each epoch to the checkpoint.

    Keras's BackupAndRestore does not keep the random state of dropout, nor other callbacks: a
    training resumed by it gives another model. `watched` are all other callbacks with a state: list
    them before this one. `save` is called after each epoch.
    """
    # What training changes: weights, moments, step count, random state of dropout.
    variables = [*network.variables, *network.optimizer.variables]

    def resume(_: Any) -> None:
        if not checkpoint.state:
            return
        print(f"{network.name}: resuming after epoch {checkpoint.epochs_done}", flush=True)
        for variable, value in zip(variables, checkpoint.state, strict=True):
            variable.assign(value)
        for callback, values in zip(watched, checkpoint.callbacks, strict=True):
            vars(callback).update(values)

    def add(epoch: int, logs: dict[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            where = f"{network.name}, epoch {epoch + 1}"
            raise DigitsError(f"{where}: expected a finite loss, received {logs['loss']}")
        # The cross-entropy is the loss without penalties and label smoothing.
        scores = {key: logs[key.replace("loss", "cross_entropy")] for key in HISTORY_COLUMNS[1:]}
        checkpoint.rows.append({"epoch": epoch + 1, **scores})
        checkpoint.state = [variable.numpy() for variable in variables]
        states = [vars(callback) for callback in watched]
        checkpoint.callbacks = [{key: own[key] for key in STATE if key in own} for own in states]
        checkpoint.stopped = network.stop_training
        save()

    return keras.callbacks.LambdaCallback(on_train_begin=resume, on_epoch_end=add)


def identify_run(settings: str, arrays: Sequence[np.ndarray]) -> str:
    """Hash all that a training depends on, code and libraries included: only it may resume."""
    versions = (tf.__version__, keras.__version__, np.__version__)
    digest = hashlib.sha256(f"{settings} {versions}".encode())
    for path in sorted(CODE_DIR.glob("*.py")):
        digest.update(path.read_bytes())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def load_checkpoint(path: Path, run: str) -> Checkpoint:
    """Load the checkpoint of this run; an empty one if there is none or it is damaged."""
    if not path.is_file():
        return Checkpoint()
    signature, _, body = path.read_bytes().partition(b"\n")
    if signature != _sign(run, body):
        print(f"{path}: of another training, or damaged: this one starts anew", flush=True)
        return Checkpoint()
    return Checkpoint(**json.loads(body, object_hook=_decode))


def _sign(run: str, body: bytes) -> bytes:
    return hashlib.sha256(run.encode() + body).hexdigest().encode()


def _encode(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": array.shape, "data": data}


def _decode(values: dict[str, Any]) -> Any:
    if "dtype" not in values:
        return values
    data = base64.b64decode(values["data"])
    return np.frombuffer(data, values["dtype"]).reshape(values["shape"])
