"""Two models on the same images: what changed, and whether chance would explain it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm

from digits.data.splits import Card
from digits.evaluation.metrics import score_accuracy_interval
from digits.evaluation.predictions import Predictions

SIGNIFICANT = 0.05
CONFIDENCE = 1 - SIGNIFICANT
POWER = 0.8  # of seeing the difference that is called detectable
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
    """Model b against model a; fixed and new are indices of images, int (k,).

    `detectable` is the least difference that would have been seen with a power of 80 %.
    """

    image_count: int
    before: Side
    after: Side
    fixed: np.ndarray
    new: np.ndarray
    difference: float
    difference_low: float
    difference_high: float
    p_value: float
    detectable: float

    @property
    def verdict(self) -> str:
        """Say in words what the numbers allow to say."""
        counts = f"{len(self.fixed)} fixed, {len(self.new)} new"
        return f"{counts}, {judge(self.p_value, self.difference)}"


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
        before=score_side(before),
        after=score_side(after),
        fixed=fixed,
        new=new,
        difference=(len(fixed) - len(new)) / count,
        difference_low=low,
        difference_high=high,
        p_value=float(binomtest(len(fixed), changed).pvalue) if changed else 1.0,
        detectable=find_detectable(changed, count),
    )


def find_detectable(changed_count: int, count: int) -> float:
    """Find the least difference in accuracy that McNemar's test would see with a power of 80 %.

    By how many images two models differ in being right; fewer than one are taken as one. Connor
    1987, doi 10.2307/2531961, for differences that are small beside the share of these images.
    """
    quantiles = norm.ppf(1 - SIGNIFICANT / 2) + norm.ppf(POWER)
    return float(quantiles * np.sqrt(max(changed_count, 1)) / count)


def judge(p_value: float, difference: float) -> str:
    """Say whether a difference is more than chance, and in whose favour."""
    if p_value >= SIGNIFICANT:
        return f"{format_p(p_value)}: no evidence of a difference"
    return f"{format_p(p_value)}: {'better' if difference > 0 else 'worse'}"


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


def score_side(predictions: Predictions) -> Side:
    """Score one model by itself."""
    right = predictions.predicted == predictions.labels
    correct_count = int(right.sum())
    low, high = score_accuracy_interval(correct_count, len(right))
    return Side(len(right) - correct_count, correct_count / len(right), low, high)
