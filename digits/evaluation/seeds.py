"""Compare two recipes on the same images, each trained from several seeds.

The seeds of a side and the images are both samples. Their shares of the variance are estimated as
in studies where several readers judge the same cases (multi-reader multi-case: Gallas, Bandos,
Samuelson and Wagner 2009, doi 10.1080/03610920802610084): the variance over images, plus the one
over each side's seeds, less the residual one that both of these contain.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu, t

from digits.evaluation.comparison import CONFIDENCE, POWER, SIGNIFICANT, judge


@dataclass(frozen=True)
class SeedSide:
    """The accuracy of a recipe's models, one a seed: each, their mean and standard deviation."""

    accuracies: list[float]
    mean: float
    deviation: float


@dataclass(frozen=True)
class SeedComparison:
    """The mean difference of recipe b and recipe a, with its 95 % interval over seeds and images.

    `detectable` is the smallest difference that is significant with a power of 80 %; `superiority`
    the probability that a new seed of b beats one of a, a tie counting half, from all pairs of
    their seeds (Mann and Whitney 1947; Vargha and Delaney 2000).
    """

    image_count: int
    before: SeedSide
    after: SeedSide
    difference: float
    difference_low: float
    difference_high: float
    p_value: float
    detectable: float
    superiority: float

    @property
    def verdict(self) -> str:
        """The result in words."""
        return judge(self.p_value, self.difference)


def compare_seeds(before: np.ndarray, after: np.ndarray) -> SeedComparison:
    """Compare two recipes by which images each of their models reads right.

    Both are bool (k, n): k of at least 2 seeds, which may be another number on each side, and the
    same n images. The interval is Student's, its degrees of freedom Satterthwaite's (1946).
    """
    difference = float(after.mean() - before.mean())
    variance, freedom = estimate_variance(before, after)
    error = np.sqrt(variance)
    reach = t.ppf((1 + CONFIDENCE) / 2, freedom) * error
    p_value = 2 * t.sf(abs(difference) / error, freedom) if error else float(difference == 0)
    sides = [_summarize(right) for right in (before, after)]
    pairs = len(before) * len(after)
    return SeedComparison(
        image_count=before.shape[1],
        before=sides[0],
        after=sides[1],
        difference=difference,
        difference_low=difference - reach,
        difference_high=difference + reach,
        p_value=float(p_value),
        detectable=float((t.ppf(1 - SIGNIFICANT / 2, freedom) + t.ppf(POWER, freedom)) * error),
        superiority=float(mannwhitneyu(sides[1].accuracies, sides[0].accuracies).statistic / pairs),
    )


def bound_accuracy(right: np.ndarray) -> tuple[float, float]:
    """Bound the mean accuracy of a recipe, over new seeds and new images, with 95 % confidence.

    `right` is bool (k, n), k of at least 2 seeds. Accuracies do not reach past 0 and 1.
    """
    nothing = np.zeros((2, right.shape[1]), bool)  # a side without any variance
    variance, freedom = estimate_variance(nothing, right)
    reach = t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance)
    return max(float(right.mean() - reach), 0.0), min(float(right.mean() + reach), 1.0)


def estimate_variance(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Estimate the variance of the mean difference over new seeds and new images.

    Returns it with its degrees of freedom. A share that comes out negative counts as none.
    """
    count = before.shape[1]
    of_images = (after.mean(axis=0) - before.mean(axis=0)).var(ddof=1) / count
    variance, doubt = of_images, of_images**2 / (count - 1)
    for right in (before, after):
        of_seeds = right.mean(axis=1).var(ddof=1) / len(right)
        share = of_seeds - _estimate_residual(right)
        if share > 0:
            variance += share
            doubt += of_seeds**2 / (len(right) - 1)
    return float(variance), float(variance**2 / doubt) if doubt else float(count - 1)


def _estimate_residual(right: np.ndarray) -> float:
    """Estimate the variance of the mean that is due to neither the seed nor the image alone."""
    seeds, images = right.shape
    rest = right - right.mean(axis=1, keepdims=True) - right.mean(axis=0) + right.mean()
    return float((rest**2).sum() / ((seeds - 1) * (images - 1)) / right.size)


def _summarize(right: np.ndarray) -> SeedSide:
    accuracies = right.mean(axis=1)
    return SeedSide(accuracies.tolist(), float(accuracies.mean()), float(accuracies.std(ddof=1)))
