"""`tune.yaml`: what `tune` tries, and by which validation metric it chooses."""

import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Field, model_validator

from digits.config import PARAMS_PATH, ConfigError, Section, did_you_mean, load_params
from digits.model.recipes import RECIPES_DIR

TUNE_PATH = Path("tune.yaml")
# Metrics of `metrics/train.json`, all of validation images, by which direction is better.
METRICS = {"maximize": ("val_accuracy", "val_robustness"), "minimize": ("val_loss",)}
# Other keys change the validation images, or do not affect training.
SETTABLE = re.compile(rf"train\.\w+|{RECIPES_DIR}/[\w-]+\.yaml:\w+(\.\w+)*")
SEED = "train.seed"

Value = int | float | str | bool | None
Point = dict[str, Value]
Distribution = CategoricalDistribution | FloatDistribution | IntDistribution


class Dimension(Section):
    """Values to choose from, or a range; of whole numbers if `low`, `high` and `step` are."""

    values: Annotated[list[Value], Field(min_length=1)] | None = None
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = Field(default=None, gt=0)
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.build()
        return self

    def build(self) -> Distribution:
        """Build Optuna's distribution, which raises ValueError for an invalid range."""
        low, high, step = self.low, self.high, self.step
        if self.values is not None and low is None and high is None:
            return CategoricalDistribution(self.values)
        if self.values is not None or low is None or high is None:
            raise ValueError("`values`, or `low` and `high`, not both")
        if all(isinstance(number, int) for number in (low, high, step or 1)):
            return IntDistribution(int(low), int(high), self.log, int(step or 1))
        return FloatDistribution(low, high, self.log, step)

    def list_values(self) -> list[Value]:
        """List what a grid tries."""
        distribution = self.build()
        if isinstance(distribution, CategoricalDistribution):
            return list(distribution.choices)
        if distribution.log or distribution.step is None:
            raise ValueError("`values` or a `step` for a grid")
        low, high, step = distribution.low, distribution.high, distribution.step
        count = math.floor((high - low) / step + 1e-9) + 1
        # Rounded: 0.1 + 2 * 0.1 is not what a person would write.
        return [round(low + number * step, 12) for number in range(count)]


class Search(Section):
    """The whole file."""

    # Begins the names of the study and of its experiments.
    name: Annotated[str, Field(pattern=r"^[A-Za-z]\w{0,19}$")]
    # Each with its weight in the mean that is optimized.
    metrics: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    direction: Literal["maximize", "minimize"]
    sampler: Literal["tpe", "grid"]
    # A trial ends early where its validation accuracy, or loss, is worse than that of half (median)
    # or three quarters (quartile) of the completed ones was at the same epoch.
    pruner: Literal["none", "median", "quartile"] = "none"
    warmup_epochs: int = Field(default=1, ge=0)
    # Of training: a trial is trained with each, and their mean counts. None: `space` has the seed.
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)] | None = None
    settings: Point = Field(default={})  # of all trials
    space: dict[str, Dimension] = Field(min_length=1)
    heartbeat_seconds: int = Field(default=30, ge=1, le=3600)
    push: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$")] | None = None  # to this Git remote

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = METRICS[self.direction]
        for name in self.metrics.keys() - {*known}:
            raise ValueError(
                f"to {self.direction} some of {', '.join(known)}, since the test images choose "
                f"nothing, not {name!r}{did_you_mean(name, known)}"
            )
        if (self.seeds is None) is not (SEED in self.space) or SEED in self.settings:
            raise ValueError(f"`seeds`, or {SEED} in `space`, and not both")
        for key in (*self.settings, *self.space):
            if not SETTABLE.fullmatch(key):
                raise ValueError(f"keys such as {SEED} and {RECIPES_DIR}/NAME.yaml:epochs: {key!r}")
        if self.sampler == "grid":
            self.list_points()
        return self

    def list_seeds(self, point: Mapping[str, Value]) -> list[Value]:
        """List what a trial of these parameters is trained from."""
        return [*self.seeds] if self.seeds else [point[SEED]]

    def list_points(self) -> list[Point]:
        """List the points of a grid."""
        axes = [dimension.list_values() for dimension in self.space.values()]
        return [dict(zip(self.space, values, strict=True)) for values in itertools.product(*axes)]

    @property
    def watched(self) -> str:
        """The column of the learning curves by which trials are pruned."""
        return "val_accuracy" if self.direction == "maximize" else "val_loss"

    def weigh(self, scores: Mapping[str, Any]) -> float:
        """Return the weighted mean of the metrics; NaN if one is missing."""
        values = [scores.get(name) for name in self.metrics]
        known = [float("nan") if value is None else float(value) for value in values]
        weights = self.metrics.values()
        return sum(map(math.prod, zip(known, weights, strict=True))) / sum(weights)

    def describe_objective(self) -> str:
        """Name what is optimized, each metric with its weight where there are several."""
        if len(self.metrics) == 1:
            return next(iter(self.metrics))
        weighted = (f"{name} ({weight:g})" for name, weight in self.metrics.items())
        return f"mean of {' and '.join(weighted)}"


def load_search() -> Search:
    """Load `tune.yaml`; refuse a key with which `dvc exp run -S` would fail, trial after trial."""
    search = load_params("", Search, TUNE_PATH)
    for key in (*search.settings, *search.space):
        file, _, inner = key.rpartition(":")
        try:
            load_params(inner, object, Path(file or PARAMS_PATH))
        except ConfigError as error:
            raise ConfigError(f"{TUNE_PATH}: {key}: {error}") from error
    return search
