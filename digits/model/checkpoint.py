"""Where a training stands after an epoch, on disk, so that a crash costs an epoch at most."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from digits.files.artifacts import write_bytes
from digits.model.backend import keras

CODE_DIR = Path(__file__).parent
Row = tuple[int, float, float, float, float]  # of the history


@dataclass
class Checkpoint:
    """Which run, its history, finished members' weights, all state of the one in training."""

    run: str
    rows: list[Row] = field(default_factory=list)
    finished: list[list[np.ndarray]] = field(default_factory=list)
    state: list[np.ndarray] = field(default_factory=list)


def identify_run(settings: str, arrays: Sequence[np.ndarray], stage: Path) -> str:
    """Digest all that a training depends on: only the very same one may go on from a checkpoint.

    Besides settings and data that is the code, of the stage and of this folder.
    """
    digest = hashlib.sha256(f"{settings} {keras.__version__} {np.__version__}".encode())
    for path in (stage, *sorted(CODE_DIR.glob("*.py"))):
        digest.update(path.read_bytes())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def copy_state(network: keras.Sequential) -> list[np.ndarray]:
    """Copy all that training changes: weights, moments, step count, dropout's chance."""
    return [variable.numpy() for variable in _list_state(network)]


def restore_state(network: keras.Sequential, state: Sequence[np.ndarray]) -> None:
    """Put the network, its optimizer built, back to where `copy_state` found it."""
    for variable, value in zip(_list_state(network), state, strict=True):
        variable.assign(value)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write it in place of the last one; a kill leaves one of the two."""
    arrays = {f"state_{n}": array for n, array in enumerate(checkpoint.state)}
    for number, weights in enumerate(checkpoint.finished):
        arrays |= {f"member_{number}_{n}": array for n, array in enumerate(weights)}
    written = io.BytesIO()
    np.savez(
        written, allow_pickle=False, run=checkpoint.run, rows=np.array(checkpoint.rows), **arrays
    )
    write_bytes(path, written.getvalue())


def load_checkpoint(path: Path, run: str) -> Checkpoint:
    """Load the checkpoint of this very run; an empty one where there is none that can be used."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["run"]) != run:
                return Checkpoint(run)
            rows = [(int(row[0]), *row[1:].tolist()) for row in stored["rows"]]
            groups: dict[str, list[np.ndarray]] = {}
            for name in stored.files:
                group, _, number = name.rpartition("_")
                if number.isdecimal():
                    groups.setdefault(group, []).append(stored[name])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return Checkpoint(run)  # none, or damaged: nothing is lost but time
    state = groups.pop("state", [])
    return Checkpoint(run, rows, [groups[f"member_{n}"] for n in range(len(groups))], state)


def _list_state(network: keras.Sequential) -> list[keras.Variable]:
    return [*network.variables, *network.optimizer.variables]
