"""Where a training stands after each epoch, on disk, so that a crash costs an epoch at most."""

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
# The state of Keras's own callbacks, which their `on_train_begin` sets back.
STATE = ("best", "best_epoch", "best_weights", "cooldown_counter", "stopped_epoch", "wait")


@dataclass
class Checkpoint:
    """Finished members' weights, all state of the member in training, the scores of all."""

    rows: list[dict[str, float]] = field(default_factory=list)  # one an epoch
    finished: list[list[np.ndarray]] = field(default_factory=list)
    state: list[np.ndarray] = field(default_factory=list)
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    stopped: bool = False  # by a callback, before the last epoch

    @property
    def epochs_done(self) -> int:
        """Count the epochs of the member in training."""
        return int(self.rows[-1]["epoch"]) if self.state else 0

    def finish_member(self, weights: list[np.ndarray]) -> None:
        self.finished.append(weights)
        self.state, self.callbacks, self.stopped = [], [], False

    def write(self, path: Path, run: str) -> None:
        """Write it in place of the last one, under its own digest: a kill leaves one of both."""
        body = json.dumps(vars(self), default=_encode).encode()
        write_bytes(path, _head(run, body) + b"\n" + body)


@dataclass(eq=False)
class Recorder(keras.callbacks.Callback):
    """Keep the checkpoint of a member's training, and go on from where it stands.

    Keras's BackupAndRestore keeps no state of dropout's random draws and of other callbacks, so
    that a training that goes on from it is another one.
    """

    checkpoint: Checkpoint
    watched: Sequence[keras.callbacks.Callback]  # the others: this one must come after them
    save: Callable[[], None]  # is called when the checkpoint has changed

    def __post_init__(self) -> None:
        super().__init__()

    def on_train_begin(self, logs: Any = None) -> None:
        del logs
        if not self.checkpoint.state:
            return
        print(f"{self.model.name}: resuming after epoch {self.checkpoint.epochs_done}", flush=True)
        for variable, value in zip(self._list_variables(), self.checkpoint.state, strict=True):
            variable.assign(value)
        for callback, values in zip(self.watched, self.checkpoint.callbacks, strict=True):
            vars(callback).update(values)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add the epoch to the checkpoint; with a loss that is no number, the weights are lost."""
        if not math.isfinite(logs["loss"]):
            where = f"{self.model.name}, epoch {epoch + 1}"
            raise DigitsError(f"{where}: expected a finite loss, received {logs['loss']}")
        # Losses are without penalties and label smoothing: what Keras's logs call cross-entropy.
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
        """List all that training changes: weights, moments, step count, dropout's random state."""
        return [*self.model.variables, *self.model.optimizer.variables]


def identify_run(settings: str, arrays: Sequence[np.ndarray]) -> str:
    """Digest all that a training depends on, code and libraries too: no other goes on from it."""
    versions = (tf.__version__, keras.__version__, np.__version__)
    digest = hashlib.sha256(f"{settings} {versions}".encode())
    for path in sorted(CODE_DIR.glob("*.py")):
        digest.update(path.read_bytes())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def load_checkpoint(path: Path, run: str) -> Checkpoint:
    """Load the checkpoint of this very run; an empty one where there is none, or a damaged one."""
    head, _, body = path.read_bytes().partition(b"\n") if path.is_file() else (b"", b"", b"")
    if head == _head(run, body):
        return Checkpoint(**json.loads(body, object_hook=_decode))
    if head.startswith(run.encode()):  # of any other run, there is nothing to say
        print(f"{path}: expected a whole file, received a damaged one: training anew", flush=True)
    return Checkpoint()


def _head(run: str, body: bytes) -> bytes:
    return f"{run} {hashlib.sha256(body).hexdigest()}".encode()


def _encode(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array).data).decode()
    return {"dtype": array.dtype.str, "shape": array.shape, "data": data}


def _decode(values: dict[str, Any]) -> Any:
    if "dtype" not in values:
        return values
    data = base64.b64decode(values["data"])
    return np.frombuffer(data, values["dtype"]).reshape(values["shape"])
