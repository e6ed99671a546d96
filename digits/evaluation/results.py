"""Check that the numbers in `metrics/` belong to the model; `dvc metrics show` does not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.config import load_params
from digits.data.splits import load_card
from digits.errors import DigitsError
from digits.evaluation.metrics import score_accuracy_interval, score_predictions
from digits.evaluation.predictions import load_predictions
from digits.files import load_json
from digits.paths import (
    CARD_PATH,
    EVALUATE_METRICS_PATH,
    MODEL_PATH,
    PLOTS_DIR,
    SCORES_PATH,
    TEST_PREDICTIONS_DIR,
    TRAIN_METRICS_PATH,
    VALIDATION_PREDICTIONS_DIR,
)

LOCK_PATH = Path("dvc.lock")
TOLERANCE = 1e-5  # metrics are written with six decimals, and other machines round otherwise
NOT_VERIFIED = "not verified: the predictions are not here, `dvc pull` brings them"


def load_stages(lock_path: Path = LOCK_PATH) -> dict[str, dict[str, Any]]:
    """Load what `dvc.lock` has of each stage's last run: its `deps`, `params` and `outs`.

    Raises:
        ConfigError: no such file, or it is damaged.
    """
    return load_params("stages", dict[str, dict[str, Any]], lock_path)


def read_models(lock_path: Path) -> dict[str, str]:
    """Return the MD5 of the model that `train` wrote, and of the one that `evaluate` read."""
    stages = load_stages(lock_path)
    return {
        stage: entry["md5"]
        for stage, kind in (("train", "outs"), ("evaluate", "deps"))
        for entry in stages.get(stage, {}).get(kind, [])
        if entry["path"] == MODEL_PATH.as_posix()
    }


def check_evaluated(lock_path: Path, name: str) -> None:
    """Raise DigitsError if the model was trained and not evaluated since."""
    if not lock_path.exists():  # stages that were run by hand
        return
    models = read_models(lock_path)
    if models.get("train") != models.get("evaluate"):
        raise DigitsError(
            f"{name}: expected test results of its model, received those of another: it was "
            "trained and not evaluated; `dvc repro` does, where it is checked out"
        )


def load_metrics() -> tuple[dict[str, Any], set[str]]:
    """Load the workspace's metrics, and the names of those that were verified.

    These are computed from the predictions again; without predictions there are none.

    Raises:
        ArtifactError: a file is missing or damaged.
        DigitsError: a number differs from the predictions', or is another model's.
    """
    metrics = load_json(EVALUATE_METRICS_PATH)
    check_evaluated(LOCK_PATH, str(EVALUATE_METRICS_PATH))
    folders = (VALIDATION_PREDICTIONS_DIR, TEST_PREDICTIONS_DIR)
    if not all(path.exists() for path in (CARD_PATH, *folders)):
        return metrics, set()
    _check_split(VALIDATION_PREDICTIONS_DIR, [TRAIN_METRICS_PATH], "val_")
    computed = _check_split(TEST_PREDICTIONS_DIR, [SCORES_PATH, EVALUATE_METRICS_PATH])
    return metrics, metrics.keys() & computed


def _check_split(folder: Path, paths: Sequence[Path], prefix: str = "") -> set[str]:
    """Refuse files whose numbers differ from those computed from a split's predictions.

    Returns the names of the computed numbers, of which each file must have the accuracy.
    """
    predictions = load_predictions(folder, load_card(CARD_PATH).class_count)
    scores = score_predictions(predictions.labels, predictions.probabilities)
    computed = {f"{prefix}{name}": value for name, value in scores.items()}
    for path in paths:
        values = load_json(path)
        for name in sorted({f"{prefix}accuracy"} | (values.keys() & computed.keys())):
            expected, received = computed[name], values.get(name)
            if not isinstance(received, int | float) or abs(received - expected) > TOLERANCE:
                raise DigitsError(
                    f"{path}: expected {name} {expected:.6g}, computed from {folder}, received "
                    f"{received}: `dvc checkout` brings the predictions that dvc.lock names; if "
                    f"the numbers were edited, `git restore {path.parent}` brings them back"
                )
    return {*computed}


def describe_result(title: str, recipe: str, metrics: Mapping[str, Any]) -> str:
    """Describe the test accuracy, and where the figures are."""
    count, error_count = metrics["image_count"], metrics["error_count"]
    low, high = score_accuracy_interval(count - error_count, count)
    return (
        f"{title}, recipe {recipe}: test accuracy {metrics['accuracy']:.2%} "
        f"(95 % interval {low:.2%} to {high:.2%}), {error_count} errors in {count:,} images\n"
        f"Pictures in {PLOTS_DIR}/; `digits report` puts everything on one page"
    )
