"""Labels that may be wrong, found by confident learning with cleanlab.

Northcutt et al. 2021, "Confident Learning", arXiv 1911.00068. The model must not have been trained
on these images, so they are the test images.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues

from digits.evaluation.predictions import Predictions


def tabulate_label_issues(predictions: Predictions, disputed: np.ndarray) -> pd.DataFrame:
    """List the suspected images, the least credible label first.

    `disputed` is bool (n,): whether human reviewers found the label doubtful.
    """
    labels, probabilities = predictions.labels, predictions.probabilities
    with warnings.catch_warnings():
        # A warning about classes with too few images to suspect a label.
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        suspects = find_label_issues(
            labels.astype(int),
            probabilities.astype(np.float64),
            return_indices_ranked_by="self_confidence",
            n_jobs=1,  # processes of its own would cost more than the work
        )
    index = np.asarray(suspects, dtype=int)
    return pd.DataFrame(
        {
            "index": index,
            "label": labels[index],
            "predicted": predictions.predicted[index],
            "label_probability": probabilities[index, labels[index]],
            "disputed": disputed[index],
        }
    )


def caption_issues(issues: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Write each suspected label, the predicted class, and whether reviewers disputed it."""
    return [
        f"label {names[row['label']]},\npredicted {names[row['predicted']]}\n"
        f"#{row['index']}{', disputed' * row['disputed']}"
        for row in issues.to_dict("records")
    ]


def score_disputed(predictions: Predictions, disputed: np.ndarray) -> dict[str, float]:
    """Score images with disputed labels, and all others; nothing if no label is disputed."""
    if not disputed.any():
        return {}
    wrong = predictions.predicted != predictions.labels
    return {
        "disputed_error_count": int(wrong[disputed].sum()),
        "undisputed_accuracy": float(1 - wrong[~disputed].mean()),
    }
