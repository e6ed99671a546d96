"""Two models, or two recipes of several seeds, on the same images: what chance would explain.

Images are a sample, and so are the seeds of a side, where there are several. Their shares of the
variance are estimated as in studies where several readers judge the same cases (multi-reader
multi-case: Gallas, Bandos, Samuelson and Wagner 2009, doi 10.1080/03610920802610084): the variance
over images, plus the one over each side's seeds, less the residual one that both of these contain.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, mannwhitneyu, t

from digits.evaluation.metrics import score_accuracy_interval

SIGNIFICANT = 0.05
CONFIDENCE = 1 - SIGNIFICANT
POWER = 0.8  # of seeing the difference that is called detectable


@dataclass(frozen=True)
class Side:
    """A model's or a recipe's accuracy, its 95 % interval, and the errors of each seed."""

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    deviation: float | None  # over seeds; none for one
    error_counts: list[int]


@dataclass(frozen=True)
class Comparison:
    """Side b against side a, and the difference of their mean accuracies with its 95 % interval.

    `detectable` is the smallest difference that is significant with a power of 80 %; `superiority`
    the probability that a new seed of b beats one of a, a tie counting half, from all pairs of
    their seeds (Mann and Whitney 1947; Vargha and Delaney 2000).
    """

    image_count: int
    before: Side
    after: Side
    difference: float
    difference_low: float
    difference_high: float
    p_value: float
    detectable: float
    superiority: float | None  # none for one model each

    @property
    def verdict(self) -> str:
        """Say whether the difference is significant, and in which direction."""
        digits = 2 if self.p_value >= 0.1 else 3
        shown = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.{digits}f}"
        if self.p_value >= SIGNIFICANT:
            return f"{shown}: no evidence of a difference"
        return f"{shown}: {'better' if self.difference > 0 else 'worse'}"


def compare(before: np.ndarray, after: np.ndarray) -> Comparison:
    """Compare two sides by which images each of their models reads right.

    Both are bool (k, n), the same n images: one model each, or 2 seeds at least on either side. The
    interval is Student's, its degrees of freedom Satterthwaite's (1946). One model each may differ
    on few images or none, which would make it too narrow: then its width is that for two images
    more, of which each model alone reads one right (Bonett and Price 2012, doi
    10.3102/1076998611411915).
    """
    sides, difference, count = [before, after], float(after.mean() - before.mean()), before.shape[1]
    is_single = len(before) == len(after) == 1
    if is_single:
        added = np.eye(2, dtype=bool)
        sides = [np.append(side, [more], axis=1) for side, more in zip(sides, added, strict=True)]
    variance, freedom = _estimate_variance(*sides)
    error = max(np.sqrt(variance), 1 / count)  # as if an image differed at least
    quantile = t.ppf((1 + CONFIDENCE) / 2, freedom)
    if is_single:
        p_value = _test_models(before[0], after[0])
    else:
        p_value = 2 * t.sf(abs(difference) / error, freedom)
    wins = mannwhitneyu(after.mean(axis=1), before.mean(axis=1)).statistic
    superiority = None if is_single else float(wins / (len(before) * len(after)))
    return Comparison(
        image_count=count,
        before=_summarize(before),
        after=_summarize(after),
        difference=difference,
        difference_low=difference - quantile * error,
        difference_high=difference + quantile * error,
        p_value=float(p_value),
        detectable=float((quantile + t.ppf(POWER, freedom)) * error),
        superiority=superiority,
    )


def bound_accuracy(right: np.ndarray) -> tuple[float, float]:
    """Bound the mean accuracy over new seeds and new images with 95 % confidence.

    `right` is bool (k, n). For a single model it is Wilson's interval, over new images alone; also
    where no seed errs, which has no variance. Accuracies do not reach past 0 and 1.
    """
    if len(right) == 1 or right.all():
        return score_accuracy_interval(int(right[0].sum()), right.shape[1])
    nothing = np.zeros((1, right.shape[1]), bool)  # a side without any variance
    variance, freedom = _estimate_variance(nothing, right)
    reach = t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance)
    return max(float(right.mean() - reach), 0.0), min(float(right.mean() + reach), 1.0)


def _estimate_variance(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Estimate the variance of the mean difference over new images, and over seeds if several.

    Returns it with its degrees of freedom. Seeds whose part comes out negative count as none.
    """
    count = before.shape[1]
    of_images = (after.mean(axis=0) - before.mean(axis=0)).var(ddof=1) / count
    variance, denominator = of_images, of_images**2 / (count - 1)  # of Satterthwaite's formula
    for right in (side for side in (before, after) if len(side) > 1):
        of_seeds = right.mean(axis=1).var(ddof=1) / len(right)
        of_seeds_alone = of_seeds - _estimate_residual(right)
        if of_seeds_alone > 0:
            variance += of_seeds_alone
            denominator += of_seeds**2 / (len(right) - 1)
    return float(variance), float(variance**2 / denominator) if denominator else float(count - 1)


def _test_models(before: np.ndarray, after: np.ndarray) -> float:
    """Return the p-value of McNemar's exact test (1947).

    Are the images that only one model reads right divided as by a fair coin?
    """
    fixed, new = int((after & ~before).sum()), int((before & ~after).sum())
    return float(binomtest(fixed, fixed + new).pvalue) if fixed + new else 1.0


def _estimate_residual(right: np.ndarray) -> float:
    """Estimate the variance of the mean that is due to neither the seed nor the image alone."""
    seeds, images = right.shape
    rest = right - right.mean(axis=1, keepdims=True) - right.mean(axis=0) + right.mean()
    return float((rest**2).sum() / ((seeds - 1) * (images - 1)) / right.size)


def _summarize(right: np.ndarray) -> Side:
    accuracies, errors = right.mean(axis=1), (~right).sum(axis=1)
    deviation = float(accuracies.std(ddof=1)) if len(right) > 1 else None
    return Side(float(accuracies.mean()), *bound_accuracy(right), deviation, errors.tolist())
