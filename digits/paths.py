"""Every path that one stage leaves and another, or a command, takes."""

from pathlib import Path

DVC_YAML_PATH = Path("dvc.yaml")

RAW_DIR = Path("data/raw")

DECODED_DIR = Path("data/decoded")
CARD_PATH = DECODED_DIR / "dataset.json"
TRAIN_DIR = DECODED_DIR / "train"
VALIDATION_DIR = DECODED_DIR / "validation"
TEST_DIR = DECODED_DIR / "test"

MODEL_PATH = Path("models/model.keras")
PREDICTIONS_DIR = Path("data/predictions")
ANALYSIS_DIR = Path("data/analysis")

METRICS_DIR = Path("metrics")
TRAIN_METRICS_PATH = METRICS_DIR / "train.json"
EVALUATE_METRICS_PATH = METRICS_DIR / "evaluate.json"
ERRORS_METRICS_PATH = METRICS_DIR / "errors.json"

PLOTS_DIR = Path("plots")
HISTORY_PATH = PLOTS_DIR / "history.csv"
