"""The ledger: a line for every run of the leaderboard, in Git, so that none needs training again.

`benchmarks/ledger.json` is a list with a line a run. By the test images that a run misread,
everything that the leaderboard says of accuracy can be computed again: `pandas.read_json` reads it.
"""

import importlib.metadata
import json
import os
import platform
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from digits.config import Section, describe_errors
from digits.data.datasets import Digest, Line
from digits.errors import DigitsError
from digits.files.artifacts import write_text
from digits.model.recipes import Precision

LEDGER_PATH = Path("benchmarks/ledger.json")
CPUINFO_PATH = Path("/proc/cpuinfo")
TOLERANCE = 1e-6  # shares are written with six decimals
REPAIR = f"`git checkout {LEDGER_PATH}` brings back the last commit's"

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)] | None  # None: DVC restored the training from its cache


class LedgerError(DigitsError):
    """The ledger was cut, or contradicts itself."""


class Machine(Section):
    """What a run was made on."""

    processor: Line
    cores: Annotated[int, Field(ge=1)]
    python: Line
    tensorflow: Line
    keras: Line
    numpy: Line


class Run(Section):
    """A trained model: of what, on what machine, at which cost, and how good it is."""

    recipe: Line  # its name on the leaderboard
    seed: Count
    inputs: Digest  # of the code, the parameters and the data that make the model
    model: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]  # MD5, as in dvc.lock
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    precision: Precision
    threads: Count  # 0: one a core
    machine: Machine
    training_seconds: Seconds
    training_cpu_seconds: Seconds
    parameter_count: Count
    multiply_adds: Count  # of one image, forward, through all networks of the model
    images_seen: Count  # by each network in training
    val_image_count: Count
    val_error_count: Count
    val_accuracy: Share
    image_count: Count
    error_count: Count
    accuracy: Share
    # Mean accuracy over kinds of corrupted test images; of runs without the three below: by other
    # kinds, which are no longer measured.
    robustness: Share
    robustness_seen: Share | None = None  # over the kinds that training has met; None: over none
    robustness_unseen: Share | None = None
    other_hands: Share | None = None  # accuracy on digits of other people and another scanner
    errors: list[Count]  # the test images that it misreads

    @model_validator(mode="after")
    def _check_sums(self) -> Self:
        for prefix in ("", "val_"):
            count, wrong = (getattr(self, f"{prefix}{it}_count") for it in ("image", "error"))
            accuracy = getattr(self, f"{prefix}accuracy")
            if not 0 <= wrong <= count or abs(1 - wrong / max(count, 1) - accuracy) > TOLERANCE:
                raise ValueError(
                    f"{prefix}accuracy of {wrong} errors in {count} images, not {accuracy}"
                )
        if len(self.errors) != self.error_count:
            raise ValueError(f"{self.error_count} errors, not {len(self.errors)}")
        if any(low >= high for low, high in pairwise([-1, *self.errors, self.image_count])):
            raise ValueError(f"errors that rise, each below {self.image_count}")
        return self

    @property
    def right(self) -> np.ndarray:
        """Which test images it reads right, bool (n,)."""
        right = np.ones(self.image_count, bool)
        right[self.errors] = False
        return right


def describe_machine() -> Machine:
    """Describe the processor, the cores that this process may use, and the libraries."""
    text = CPUINFO_PATH.read_text(encoding="utf-8") if CPUINFO_PATH.exists() else ""
    model = re.search(r"model name\s*: (.+)", text)
    linux = hasattr(os, "sched_getaffinity")
    return Machine(
        processor=model[1].strip() if model else platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1,
        python=platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")},
    )


def load_ledger() -> list[Run]:
    """Load every run; none, where there never was one.

    Raises:
        LedgerError: the file was cut, a line is none, or two contradict each other.
    """
    if not LEDGER_PATH.exists():
        return []
    try:
        rows = json.loads(LEDGER_PATH.read_text(encoding="utf-8"), object_pairs_hook=_read_object)
    except (ValueError, RecursionError) as error:
        raise LedgerError(
            f"{LEDGER_PATH}: expected a list of runs as JSON, received a file that was cut or "
            f"damaged ({error}): {REPAIR}"
        ) from error
    if not isinstance(rows, list):
        raise LedgerError(f"{LEDGER_PATH}: expected a list of runs, received {type(rows).__name__}")
    runs = []
    for number, row in enumerate(rows, 1):
        try:
            runs.append(Run.model_validate(row))
        except ValidationError as error:
            reason = describe_errors("", Run, error)
            raise LedgerError(f"{LEDGER_PATH}: run {number}: {reason}: {REPAIR}") from error
    check_runs(runs)
    return runs


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON, of which Python would keep the last of two values of a key."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice[:40]!a} twice in a run")
    return values


def check_runs(runs: Sequence[Run]) -> None:
    """Refuse runs that cannot all be true.

    Raises:
        LedgerError: the same inputs twice; one model with two results; other numbers of images.
    """
    for inputs, count in Counter(run.inputs for run in runs).items():
        if count > 1:
            raise LedgerError(
                f"{LEDGER_PATH}: expected one run of each inputs, received {count} of "
                f"{inputs}: {REPAIR}"
            )
    known: dict[str, Run] = {}
    for run in runs:
        other = known.setdefault(run.model, run)
        if _tell_model(run) != _tell_model(other):
            raise LedgerError(
                f"{LEDGER_PATH}: expected one result of the model {run.model}, received those of "
                f"{other.recipe} {other.seed} and {run.recipe} {run.seed}: {REPAIR}"
            )
    counts = {run.image_count for run in runs}
    if len(counts) > 1:
        raise LedgerError(
            f"{LEDGER_PATH}: expected one number of test images, received {sorted(counts)}: "
            f"{REPAIR}"
        )


def _tell_model(run: Run) -> tuple[object, ...]:
    """Return what follows from a model and the images, whatever code has trained it."""
    results = (run.errors, run.val_error_count, run.val_image_count)
    return (*results, run.parameter_count, run.multiply_adds)


def write_ledger(runs: Iterable[Run]) -> None:
    """Write the runs by recipe and seed, a line each: a new run is a new line of the diff."""
    ordered = sorted(runs, key=lambda run: (run.recipe, run.seed, run.date, run.inputs))
    lines = ",\n".join(json.dumps(run.model_dump()) for run in ordered)
    write_text(LEDGER_PATH, f"[\n{lines}\n]\n")


def add_run(runs: Iterable[Run], new: Run) -> list[Run]:
    """Put a run in, in place of the one of the same inputs.

    Where it was restored, nobody has taken its time: that of the same model stays.
    """
    others = [run for run in runs if run.inputs != new.inputs]
    former = [run for run in runs if run.model == new.model and run.training_seconds is not None]
    if new.training_seconds is None and former:
        timed = ("training_seconds", "training_cpu_seconds", "machine", "date")
        new = new.model_copy(update={key: getattr(former[0], key) for key in timed})
    return [*others, new]
