"""Every path that one stage leaves and another, or a command, takes."""

from pathlib import Path

DVC_YAML_PATH = Path("dvc.yaml")

RAW_DIR = Path("data/raw")
ORIGINALS_DIR = Path("data/originals")  # wrappings of files that were put into RAW_DIR

DECODED_DIR = Path("data/decoded")
CARD_PATH = DECODED_DIR / "dataset.json"
TRAIN_DIR = DECODED_DIR / "train"
VALIDATION_DIR = DECODED_DIR / "validation"
TEST_DIR = DECODED_DIR / "test"

MODEL_PATH = Path("models/model.keras")
VALIDATION_PREDICTIONS_DIR = Path("data/predictions/validation")
TEST_PREDICTIONS_DIR = Path("data/predictions/test")
SCORES_PATH = TEST_PREDICTIONS_DIR / "scores.json"
ANALYSIS_DIR = Path("data/analysis")
SUMMARY_PATH = ANALYSIS_DIR / "summary.json"

# What `dvc metrics` and `dvc exp show` list, a column a number: few, so that a run fits a screen.
TRAIN_METRICS_PATH = Path("metrics/train.json")
EVALUATE_METRICS_PATH = Path("metrics/evaluate.json")

PLOTS_DIR = Path("plots")
HISTORY_PATH = PLOTS_DIR / "history.csv"
VAL_ROBUSTNESS_PATH = PLOTS_DIR / "val_robustness.csv"
