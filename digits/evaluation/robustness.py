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
# The kinds of the benchmark are of one of two groups: training has distorted images in such a way,
# or has not. `apart` is what does not count for the mean.
SEEN, UNSEEN, APART = "seen", "unseen", "apart"
COLUMNS = ("corruption", "group", "accuracy")


def measure_robustness(
    predict: Predict, images: np.ndarray, labels: np.ndarray, kinds: Mapping[str, Kind] = KINDS
) -> pd.DataFrame:
    """Score a model on images float32 (n, 28, 28, 1) as they are and under each corruption."""
    rows = [
        (name, float((predict(corrupted) == labels).mean()))
        for name, corrupted in corrupt_in_turn(images, kinds)
    ]
    return pd.DataFrame(rows, columns=["corruption", "accuracy"])


def corrupt_in_turn(
    images: np.ndarray, kinds: Mapping[str, Kind]
) -> Iterator[tuple[str, np.ndarray]]:
    """Give images float32 (n, 28, 28, 1) as they are, then under each corruption, by its name."""
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


def add_groups(robustness: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Put beside each corruption the group that it is of: apart, unless another is said."""
    named = robustness["corruption"].map(groups).fillna(APART)
    return robustness.assign(group=named)[[*COLUMNS]]


def load_groups(path: Path) -> dict[str, str]:
    """Load from the table of a training which kinds its network had met.

    Raises:
        ArtifactError: missing, damaged, or of other corruptions than are measured today.
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
