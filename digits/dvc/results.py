"""The numbers of a run, held against the predictions that they were computed from."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from digits.config import Section, describe_errors, load_params
from digits.data.splits import load_card
from digits.errors import DigitsError
from digits.evaluation.predictions import Predictions, load_predictions
from digits.evaluation.scores import summarize_predictions
from digits.files.artifacts import load_json
from digits.paths import (
    CARD_PATH,
    EVALUATE_METRICS_PATH,
    MODEL_PATH,
    TEST_PREDICTIONS_DIR,
    TRAIN_METRICS_PATH,
    VALIDATION_PREDICTIONS_DIR,
)

LOCK_PATH = Path("dvc.lock")
TOLERANCE = 1e-5  # metrics are written with six decimals, and other machines round otherwise
NOT_VERIFIED = "not verified: the predictions are not here, `make pull` brings them"

Share = Annotated[float, Field(ge=0, le=1)]


class ResultError(DigitsError):
    """Numbers that are none, or not those of the predictions."""


class Metrics(Section):
    """What every run says of its model; whoever adds a metric has more."""

    model_config = ConfigDict(extra="ignore")

    accuracy: Share
    error_count: int = Field(ge=0)
    image_count: int = Field(ge=1)


class TrainMetrics(Section):
    """What every training says of its model on validation."""

    model_config = ConfigDict(extra="ignore")

    val_accuracy: Share
    val_loss: float = Field(ge=0)


def check_numbers(values: Mapping[str, Any], path: Path, expected: type[Section] = Metrics) -> None:
    """Check that the numbers are there, and numbers.

    Raises:
        ResultError: says which is not.
    """
    try:
        expected.model_validate(values)
    except ValidationError as error:
        reason = describe_errors("", expected, error)
        raise ResultError(f"{path}: {reason}: run `dvc repro`") from error


def check_against(values: Mapping[str, Any], predictions: Predictions, path: Path) -> set[str]:
    """Compute from the predictions for a split what can be, and compare; return the names of that.

    Raises:
        ResultError: a number is another.
    """
    validated = path == TRAIN_METRICS_PATH
    prefix, stage = ("val_", "train") if validated else ("", "evaluate")
    folder = VALIDATION_PREDICTIONS_DIR if validated else TEST_PREDICTIONS_DIR
    summary = summarize_predictions(predictions.labels, predictions.probabilities)
    computed = {f"{prefix}{name}": value for name, value in summary.items()}
    names = values.keys() & computed.keys()
    for name in sorted(names):
        expected, received = computed[name], values[name]
        is_number = isinstance(received, int | float)
        if not is_number or not math.isclose(received, expected, abs_tol=TOLERANCE):
            raise ResultError(
                f"{path}: expected {name} {expected:.6g}, computed from {folder}, received "
                f"{received}: `dvc repro --single-item --force {stage}` makes both anew"
            )
    return names


def read_models(lock_path: Path) -> dict[str, str]:
    """Return the MD5 of the model that `train` made, and of the one that `evaluate` judged."""
    stages: dict[str, Any] = load_params("stages", dict[str, Any], lock_path)
    return {
        stage: entry["md5"]
        for stage, kind in (("train", "outs"), ("evaluate", "deps"))
        for entry in stages.get(stage, {}).get(kind, [])
        if entry["path"] == MODEL_PATH.as_posix()
    }


def check_evaluated(lock_path: Path, name: str, bring: str = "") -> None:
    """Refuse test results that a run up to `train` has left as they were: of another model.

    Raises:
        ResultError: says what evaluates the model.
    """
    if not lock_path.exists():  # stages that were run by hand
        return
    models = read_models(lock_path)
    if models.get("train") != models.get("evaluate"):
        raise ResultError(
            f"{name}: expected test results of its model, received those of another: it was "
            f"trained and not evaluated; `{bring}dvc repro` does"
        )


def load_metrics() -> tuple[dict[str, Any], set[str]]:
    """Load the workspace's metrics, and the names of those that are verified.

    Without predictions that is none.

    Raises:
        ArtifactError: a file is missing or damaged.
        ResultError: no numbers, not those of the predictions, or those of another model.
    """
    path = EVALUATE_METRICS_PATH
    values = load_json(path)
    check_numbers(values, path)
    trained = load_json(TRAIN_METRICS_PATH)
    check_numbers(trained, TRAIN_METRICS_PATH, TrainMetrics)
    check_evaluated(LOCK_PATH, str(path))
    folders = (TEST_PREDICTIONS_DIR, VALIDATION_PREDICTIONS_DIR)
    if not all(it.exists() for it in (CARD_PATH, *folders)):
        return values, set()
    class_count = load_card(CARD_PATH).class_count
    verified = check_against(values, load_predictions(folders[0], class_count), path)
    check_against(trained, load_predictions(folders[1], class_count), TRAIN_METRICS_PATH)
    return values, verified
