"""Two models on the same images: what changed, and whether chance would explain it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest, norm

from digits.data.splits import Card
from digits.evaluation.metrics import count_errors
from digits.evaluation.predictions import Predictions

SIGNIFICANT = 0.05
CONFIDENCE = 1 - SIGNIFICANT
POWER = 0.8  # of seeing the difference that is called detectable
RESAMPLE_COUNT = 100_000
BOOTSTRAP_SEED = 0  # the same predictions give the same interval


@dataclass(frozen=True)
class Record:
    """A revision's predictions for a split, how its model was made, and the dataset."""

    name: str
    card: Card
    model: str  # its MD5
    predictions: Predictions
    settings: dict[str, Any]  # all that the model depends on, by key as in `-S`
    stopped_early: bool  # at an epoch that was chosen on validation
    is_candidate: bool  # an experiment, or uncommitted edits: not chosen yet
    val_robustness: float | None = None  # runs of an earlier version have none


@dataclass(frozen=True)
class Comparison:
    """Model b against model a; fixed and new are indices of images, int (k,).

    `before` and `after` are accuracy, its interval and errors, by name. `detectable` is the
    smallest difference that is significant with a power of 80 %.
    """

    image_count: int
    before: dict[str, Any]
    after: dict[str, Any]
    fixed: np.ndarray
    new: np.ndarray
    difference: float
    difference_low: float
    difference_high: float
    p_value: float
    detectable: float

    @property
    def verdict(self) -> str:
        """The result in words."""
        counts = f"{len(self.fixed)} fixed, {len(self.new)} new"
        return f"{counts}, {judge(self.p_value, self.difference)}"


def compare(before: Predictions, after: Predictions) -> Comparison:
    """Compare two models on the same images.

    The p-value is of McNemar's exact test (1947): are the images that only one model gets right
    divided as by a fair coin? The interval of the difference is a paired bootstrap's over images.
    """
    right_before = before.predicted == before.labels
    right_after = after.predicted == after.labels
    fixed = np.flatnonzero(right_after & ~right_before)
    new = np.flatnonzero(right_before & ~right_after)
    count, changed = len(before.labels), len(fixed) + len(new)
    low, high = bound_difference(len(fixed), len(new), count)
    return Comparison(
        image_count=count,
        before=count_errors(before.labels, before.predicted),
        after=count_errors(after.labels, after.predicted),
        fixed=fixed,
        new=new,
        difference=(len(fixed) - len(new)) / count,
        difference_low=low,
        difference_high=high,
        p_value=float(binomtest(len(fixed), changed).pvalue) if changed else 1.0,
        detectable=find_detectable(changed, count),
    )


def find_detectable(changed_count: int, count: int) -> float:
    """Return the smallest difference in accuracy that McNemar's test detects with 80 % power.

    `changed_count` are the images that only one of the models gets right, taken as one at least.
    Connor 1987, doi 10.2307/2531961, for differences that are small beside the share of these.
    """
    quantiles = norm.ppf(1 - SIGNIFICANT / 2) + norm.ppf(POWER)
    return float(quantiles * np.sqrt(max(changed_count, 1)) / count)


def judge(p_value: float, difference: float) -> str:
    """Say whether a difference is significant, and in which direction."""
    digits = 2 if p_value >= 0.1 else 3
    shown = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.{digits}f}"
    if p_value >= SIGNIFICANT:
        return f"{shown}: no evidence of a difference"
    return f"{shown}: {'better' if difference > 0 else 'worse'}"


def bound_difference(fixed_count: int, new_count: int, count: int) -> tuple[float, float]:
    """Bound the difference in accuracy by the paired bootstrap's 95 % percentile interval.

    Resampling images draws how many of them are fixed, new and unchanged: a multinomial.
    """
    shares = np.array([fixed_count, new_count, count - fixed_count - new_count]) / count
    draws = np.random.default_rng(BOOTSTRAP_SEED).multinomial(count, shares, RESAMPLE_COUNT)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / count, [0.025, 0.975])
    return float(low), float(high)
