"""`tune.yaml`: what `tune` tries, and by which validation metric it chooses."""

import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from digits.config import PARAMS_PATH, ConfigError, Section, did_you_mean, load_params, load_yaml
from digits.errors import DigitsError
from digits.model.recipes import RECIPES_DIR

TUNE_PATH = Path("tune.yaml")
# Metrics of `metrics/train.json`, all of validation images, and which way each is better.
METRICS = {"val_accuracy": "maximize", "val_robustness": "maximize", "val_loss": "minimize"}
# Other keys change the validation images, or nothing that training makes.
SETTABLE = re.compile(rf"train\.\w+|(?P<file>{RECIPES_DIR}/[\w-]+\.yaml):(?P<key>\w+(\.\w+)*)")
SEED = "train.seed"
WORD = re.compile(r"[\w.-]+")  # a text that `dvc exp run -S` takes as it is
MOST_POINTS = 100_000  # of a grid: more is a slip

Value = int | float | str | bool | None
Point = dict[str, Value]


class SearchError(DigitsError):
    """`tune.yaml` asks for what cannot be searched."""


def _check_values(values: list[Value]) -> list[Value]:
    for value in values:
        if isinstance(value, str) and not WORD.fullmatch(value):
            raise ValueError("texts of letters, digits, '.', '_' and '-'")
    if len({repr(value) for value in values}) < len(values):
        raise ValueError("entries that differ")
    return values


class Dimension(Section):
    """Values to choose from, or a range; of whole numbers if both its ends are."""

    values: Annotated[list[Value], Field(min_length=1), AfterValidator(_check_values)] | None = None
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = Field(default=None, gt=0)
    log: bool = False

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        ends = (self.low, self.high)
        if self.values is not None:
            if ends != (None, None) or self.step or self.log:
                raise ValueError("`values`, or `low` and `high`, not both")
            return self
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("`values`, or a `low` below a `high`")
        if self.log and (self.low <= 0 or self.step):
            raise ValueError("a `low` above 0 and no `step` where `log` is true")
        if self.is_whole and not isinstance(self.step or 1, int):
            raise ValueError("a whole `step` between whole numbers")
        return self

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def suggest(self, trial: Any, key: str) -> Value:
        """Have Optuna's trial choose a value."""
        if self.values is not None:
            return trial.suggest_categorical(key, self.values)
        if self.is_whole:
            return trial.suggest_int(key, self.low, self.high, step=self.step or 1, log=self.log)
        return trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log)

    def list_values(self) -> list[Value] | None:
        """List what a grid tries; None: the range has no steps."""
        if self.values is not None:
            return self.values
        step = self.step or (1 if self.is_whole and not self.log else None)
        if step is None or self.low is None or self.high is None:
            return None
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        # Rounded: 0.1 + 2 * 0.1 is not what a person would write.
        return [round(self.low + number * step, 12) for number in range(min(count, MOST_POINTS))]


class Search(Section):
    """The whole file."""

    # Begins the names of the study and of its experiments.
    name: Annotated[str, Field(pattern=r"^[A-Za-z]\w{0,19}$")]
    # Each with its weight in the mean that is optimized.
    metrics: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    direction: Literal["maximize", "minimize"]
    sampler: Literal["tpe", "grid"]
    # A trial ends early where its validation accuracy, or loss, is worse than that of half (median)
    # or three quarters (quartile) of those that came to their end was at the same epoch.
    pruner: Literal["none", "median", "quartile"] = "none"
    warmup_epochs: int = Field(default=1, ge=0)
    # Of training: a trial is trained with each, and their mean counts. None: `space` has the seed.
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)] | None = None
    settings: Point = Field(default={})  # of all trials
    space: dict[str, Dimension] = Field(min_length=1)
    heartbeat_seconds: int = Field(default=30, ge=1, le=3600)
    push: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$")] | None = None  # to this Git remote

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, metrics: dict[str, float]) -> dict[str, float]:
        for name in metrics.keys() - METRICS.keys():
            hint = did_you_mean(name, METRICS)
            raise ValueError(
                f"some of {', '.join(METRICS)}, since the test images choose nothing, not "
                f"{name!r}{hint}"
            )
        if len({METRICS[name] for name in metrics}) > 1:
            raise ValueError("val_loss alone, since less of it is better")
        return metrics

    @field_validator("direction")
    @classmethod
    def _check_direction(cls, direction: str, info: Any) -> str:
        for name in info.data.get("metrics", ()):
            if METRICS[name] != direction:
                raise ValueError(f"{METRICS[name]!r} with {name}")
        return direction

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: list[int] | None) -> list[int] | None:
        if len(set(seeds or ())) < len(seeds or ()):
            raise ValueError("entries that differ")
        return seeds

    @field_validator("settings")
    @classmethod
    def _check_settings(cls, settings: Point) -> Point:
        _check_values(list(dict.fromkeys(settings.values())))
        if SEED in settings:
            raise ValueError(f"other keys than {SEED}, which `seeds` sets")
        return _check_keys(settings)

    @field_validator("space")
    @classmethod
    def _check_space(cls, space: dict[str, Dimension], info: Any) -> dict[str, Dimension]:
        for key in space.keys() & info.data.get("settings", {}).keys():
            raise ValueError(f"other keys than `settings` has, not {key}")
        if info.data.get("sampler") == "grid":
            for key, dimension in space.items():
                if dimension.list_values() is None:
                    raise ValueError(f"`values` or a `step` of {key} for a grid")
        return _check_keys(space)

    @model_validator(mode="after")
    def _check_seed(self) -> Self:
        if (self.seeds is None) is not (SEED in self.space):
            raise ValueError(f"`seeds`, or {SEED} in `space`, and not both")
        return self

    def list_seeds(self, point: Point) -> list[Value]:
        """List what a trial of these parameters is trained from."""
        return [*self.seeds] if self.seeds else [point[SEED]]

    @property
    def watched(self) -> str:
        """The column of the learning curves by which trials are pruned."""
        return "val_loss" if "val_loss" in self.metrics else "val_accuracy"

    def weigh(self, scores: Mapping[str, Any]) -> float:
        """Return the weighted mean of the metrics; NaN if one is missing."""
        values = [scores.get(name) for name in self.metrics]
        known = [float("nan") if value is None else float(value) for value in values]
        weights = self.metrics.values()
        return sum(map(math.prod, zip(known, weights, strict=True))) / sum(weights)

    def list_points(self) -> list[Point]:
        """List the points of a grid."""
        axes = [dimension.list_values() or [] for dimension in self.space.values()]
        count = math.prod(map(len, axes))
        if count > MOST_POINTS:
            raise SearchError(f"{TUNE_PATH}: space: expected fewer points than {count:,}")
        return [dict(zip(self.space, values, strict=True)) for values in itertools.product(*axes)]


def _check_keys(keys: Any) -> Any:
    for key in keys:
        if not SETTABLE.fullmatch(key):
            raise ValueError(
                f"keys such as train.seed and {RECIPES_DIR}/NAME.yaml:epochs, not {key!r}"
            )
    return keys


def load_search(path: Path = TUNE_PATH) -> Search:
    """Load the file.

    Raises:
        ConfigError: one line with key, expected and received; or a key that is nowhere.
    """
    search = load_params("", Search, path)
    for section, keys in (("settings", search.settings), ("space", search.space)):
        for key in keys:
            _check_known(key, f"{path}: {section}.{key}")
    return search


def _check_known(key: str, where: str) -> None:
    """Refuse a key that its file lacks: `dvc exp run -S` would fail, trial after trial."""
    matched = SETTABLE.fullmatch(key)
    path = Path(matched["file"]) if matched and matched["file"] else PARAMS_PATH
    if not path.is_file():
        raise ConfigError(f"{where}: expected a key of a file that is there, received {path}")
    found = load_yaml(path)
    for part in (matched["key"] if matched and matched["key"] else key).split("."):
        known = found if isinstance(found, dict) else {}
        if part not in known:
            hint = did_you_mean(part, known)
            raise ConfigError(f"{where}: expected a key of {path}, no {part!r} there{hint}")
        found = known[part]
