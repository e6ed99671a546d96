"""Robustness: accuracy on corrupted images, kind by kind."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digits.data.splits import Split
from digits.evaluation.corruptions import CAMERA, KINDS, MNIST_C, Kind, corrupt
from digits.files import ArtifactError, load_table

Predict = Callable[[np.ndarray], np.ndarray]  # float32 (n, 28, 28, 1) to classes (n,)

CLEAN = "none"  # the same images, not corrupted
# Training has distorted images like a corruption of the benchmark (seen) or not (unseen). The mean
# leaves out those that are apart.
SEEN, UNSEEN, APART = "seen", "unseen", "apart"
COLUMNS = ("corruption", "group", "accuracy")


def measure_robustness(
    predict: Predict, split: Split, groups: Mapping[str, str], kinds: Mapping[str, Kind] = KINDS
) -> pd.DataFrame:
    """Score a model on the images as they are and under each corruption, a row each.

    A corruption that `groups` does not have is apart from the mean.
    """
    rows = [
        (name, groups.get(name, APART), float((predict(corrupted) == split.labels).mean()))
        for name, corrupted in corrupt_all(split.images, kinds)
    ]
    return pd.DataFrame(rows, columns=[*COLUMNS])


def corrupt_all(images: np.ndarray, kinds: Mapping[str, Kind]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a name and images float32 (n, 28, 28, 1): as they are, then under each corruption."""
    yield CLEAN, images
    for name in kinds:
        yield name, corrupt(name, images[..., 0], kinds)[..., np.newaxis]


def group_kinds(augmentation: Mapping[str, Any]) -> dict[str, str]:
    """Tell by a recipe's `augmentation` which kinds its network has seen in training."""
    seen = {
        name: _happens(augmentation.get(kind.resembles or "")) for name, kind in MNIST_C.items()
    }
    return {
        CLEAN: APART,
        **{name: SEEN if seen[name] else UNSEEN for name in MNIST_C},
        **dict.fromkeys(CAMERA, APART),
    }


def _happens(effect: Any) -> bool:
    """Tell whether an augmentation does anything: a limit, a probability, one with a strength."""
    return bool(effect["probability"] if isinstance(effect, Mapping) else effect)


def load_groups(path: Path) -> dict[str, str]:
    """Load each corruption's group from the table that `train` wrote.

    Raises:
        ArtifactError: missing, damaged, or of other corruptions than `KINDS`.
    """
    table = load_table(path, COLUMNS)
    groups = dict(zip(table["corruption"], table["group"], strict=True))
    if groups.keys() != {CLEAN, *KINDS} or not {*groups.values()} <= {SEEN, UNSEEN, APART}:
        raise ArtifactError(f"{path}: expected today's corruptions, received others: run train")
    return groups


def summarize_robustness(robustness: pd.DataFrame, prefix: str = "") -> dict[str, float]:
    """Average the accuracy over the benchmark's kinds, over the seen and over the unseen ones.

    A group of no kinds has no mean.
    """
    groups = {"": [SEEN, UNSEEN], "_seen": [SEEN], "_unseen": [UNSEEN]}
    chosen = {suffix: robustness[robustness["group"].isin(of)] for suffix, of in groups.items()}
    return {
        f"{prefix}robustness{suffix}": float(rows["accuracy"].mean())
        for suffix, rows in chosen.items()
        if len(rows)
    }


def subsample(split: Split, count: int) -> Split:
    """Choose so many images from all over a split: the first test images of MNIST are easier."""
    last = len(split.labels) - 1
    chosen = np.linspace(0, last, min(count, last + 1)).round().astype(int)
    return Split(split.images[chosen], split.labels[chosen])
