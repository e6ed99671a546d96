"""The learning curves: a row an epoch, written while the training runs."""

import numpy as np
import pandas as pd

from digits.files.artifacts import ArtifactError
from digits.files.tables import load_table, write_table
from digits.paths import HISTORY_PATH

# A column, and what Keras's logs call it: these losses are without penalties and label smoothing.
KERAS_NAMES = {
    "accuracy": "accuracy",
    "loss": "cross_entropy",
    "val_accuracy": "val_accuracy",
    "val_loss": "val_cross_entropy",
}
COLUMNS = ("epoch", *KERAS_NAMES)


def write_history(history: pd.DataFrame) -> None:
    write_table(HISTORY_PATH, history)


def load_history() -> pd.DataFrame:
    """Load the learning curves that `train` wrote.

    Raises:
        ArtifactError: missing, damaged, or with a cell that is no number.
    """
    history = load_table(HISTORY_PATH, COLUMNS)
    numbers = history.apply(pd.to_numeric, errors="coerce")
    if history.empty or not np.isfinite(numbers).all(axis=None):
        raise ArtifactError(f"{HISTORY_PATH}: expected finite numbers, received others or none")
    return history
