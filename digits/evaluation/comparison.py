"""Two models on the same test images: what changed, and whether chance would explain it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from digits.data.splits import Card
from digits.evaluation.predictions import Predictions
from digits.evaluation.scores import score_accuracy_interval

SIGNIFICANT = 0.05
RESAMPLE_COUNT = 100_000
BOOTSTRAP_SEED = 0  # the same predictions give the same interval


@dataclass(frozen=True)
class Side:
    """One model's accuracy with its 95 % Wilson interval."""

    error_count: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float


@dataclass(frozen=True)
class Comparison:
    """Model b against model a; fixed and new are indices of test images, int (k,)."""

    image_count: int
    before: Side
    after: Side
    fixed: np.ndarray
    new: np.ndarray
    difference: float
    difference_low: float
    difference_high: float
    p_value: float

    @property
    def verdict(self) -> str:
        """Say in words what the numbers allow to say."""
        counts = f"{len(self.fixed)} fixed, {len(self.new)} new, {format_p(self.p_value)}"
        if self.p_value >= SIGNIFICANT:
            return f"{counts}: no evidence of a difference"
        return f"{counts}: {'better' if len(self.fixed) > len(self.new) else 'worse'}"


def compare(before: Predictions, after: Predictions) -> Comparison:
    """Compare two models on the same images.

    McNemar's test asks whether the images that only one of them gets right are shared out as by a
    coin (McNemar 1947; exact, by the binomial distribution). The interval of the difference is a
    paired bootstrap's: images are drawn again, each with both answers.
    """
    right_before = before.predicted == before.labels
    right_after = after.predicted == after.labels
    fixed = np.flatnonzero(right_after & ~right_before)
    new = np.flatnonzero(right_before & ~right_after)
    count, changed = len(before.labels), len(fixed) + len(new)
    low, high = bound_difference(len(fixed), len(new), count)
    return Comparison(
        image_count=count,
        before=_score_side(right_before),
        after=_score_side(right_after),
        fixed=fixed,
        new=new,
        difference=(len(fixed) - len(new)) / count,
        difference_low=low,
        difference_high=high,
        p_value=float(binomtest(len(fixed), changed).pvalue) if changed else 1.0,
    )


def bound_difference(fixed_count: int, new_count: int, count: int) -> tuple[float, float]:
    """Bound the difference in accuracy by the paired bootstrap's 95 % percentile interval.

    Drawing images anew draws how many of them are fixed, new and unchanged: a multinomial.
    """
    shares = np.array([fixed_count, new_count, count - fixed_count - new_count]) / count
    draws = np.random.default_rng(BOOTSTRAP_SEED).multinomial(count, shares, RESAMPLE_COUNT)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / count, [0.025, 0.975])
    return float(low), float(high)


def tabulate_changes(comparison: Comparison, labels: np.ndarray, card: Card) -> pd.DataFrame:
    """Count the fixed and the new errors, a row a class."""
    fixed, new = (
        np.bincount(labels[index], minlength=card.class_count)
        for index in (comparison.fixed, comparison.new)
    )
    return pd.DataFrame({"class": card.class_names, "fixed": fixed, "new": new})


def format_p(p_value: float) -> str:
    """Write a p-value with two digits, as far as more than its size matters."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.{2 if p_value >= 0.1 else 3}f}"


def _score_side(right: np.ndarray) -> Side:
    correct_count = int(right.sum())
    low, high = score_accuracy_interval(correct_count, len(right))
    return Side(len(right) - correct_count, correct_count / len(right), low, high)
