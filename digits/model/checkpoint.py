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
        """Replace the file atomically, its digest in front: a kill leaves the old or the new."""
        body = json.dumps(vars(self), default=_encode).encode()
        write_bytes(path, _head(run, body) + b"\n" + body)


class Recorder(keras.callbacks.Callback):
    """Resume a member's training from the checkpoint, and update that after each epoch.

    Keras's BackupAndRestore does not keep the random state of dropout, nor other callbacks: a
    training resumed by it gives another model. `watched` are all other callbacks with a state: list
    them before this one. `save` is called after each update.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        watched: Sequence[keras.callbacks.Callback],
        save: Callable[[], None],
    ) -> None:
        super().__init__()
        self.checkpoint, self.watched, self.save = checkpoint, watched, save

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 (Keras's signature)
        if not self.checkpoint.state:
            return
        print(f"{self.model.name}: resuming after epoch {self.checkpoint.epochs_done}", flush=True)
        for variable, value in zip(self._list_variables(), self.checkpoint.state, strict=True):
            variable.assign(value)
        for callback, values in zip(self.watched, self.checkpoint.callbacks, strict=True):
            vars(callback).update(values)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add the epoch to the checkpoint, unless the training has diverged."""
        if not math.isfinite(logs["loss"]):
            where = f"{self.model.name}, epoch {epoch + 1}"
            raise DigitsError(f"{where}: expected a finite loss, received {logs['loss']}")
        # The cross-entropy is the loss without penalties and label smoothing.
        keys = {name: name.replace("loss", "cross_entropy") for name in HISTORY_COLUMNS[1:]}
        scores = {name: logs[key] for name, key in keys.items()}
        self.checkpoint.rows.append({"epoch": epoch + 1, **scores})
        self.checkpoint.state = [variable.numpy() for variable in self._list_variables()]
        self.checkpoint.callbacks = [
            {name: value for name, value in vars(callback).items() if name in STATE}
            for callback in self.watched
        ]
        self.checkpoint.stopped = self.model.stop_training
        self.save()

    def _list_variables(self) -> list[keras.Variable]:
        """List what training changes: weights, moments, step count, random state of dropout."""
        return [*self.model.variables, *self.model.optimizer.variables]


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
    """Load the checkpoint of this run; if there is none or it is damaged, return an empty one."""
    head, _, body = path.read_bytes().partition(b"\n") if path.is_file() else (b"", b"", b"")
    if head == _head(run, body):
        return Checkpoint(**json.loads(body, object_hook=_decode))
    if head.startswith(run.encode()):  # another run's is replaced without a word
        print(f"{path}: damaged checkpoint, training starts over", flush=True)
    return Checkpoint()


def _head(run: str, body: bytes) -> bytes:
    return f"{run} {hashlib.sha256(body).hexdigest()}".encode()


def _encode(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": array.shape, "data": data}


def _decode(values: dict[str, Any]) -> Any:
    if "dtype" not in values:
        return values
    data = base64.b64decode(values["data"])
    return np.frombuffer(data, values["dtype"]).reshape(values["shape"])
