"""Recipes compared over several seeds: against sums written out, and against resampling."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import norm, t

from digits.evaluation.seeds import bound_accuracy, compare_seeds, estimate_variance


def draw(seed: int, shape: tuple[int, int], share: float) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < share


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def vary(values: Sequence[float]) -> float:
    """Return the sample's variance."""
    return sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1)


def estimate_by_hand(*sides: list[list[int]]) -> tuple[float, float]:
    """Estimate the variance and its degrees of freedom by sums written out."""
    images = len(sides[0][0])
    by_image = [[mean([row[i] for row in rows]) for i in range(images)] for rows in sides]
    variance = vary([after - before for before, after in zip(*by_image, strict=True)]) / images
    doubt = variance**2 / (images - 1)
    for rows, columns in zip(sides, by_image, strict=True):
        seeds, whole = len(rows), mean(columns)
        by_seed = [mean(row) for row in rows]
        residual = sum(  # what neither row nor column explains, squared, a cell at a time
            (rows[j][i] - by_seed[j] - columns[i] + whole) ** 2
            for j, i in itertools.product(range(seeds), range(images))
        ) / ((seeds - 1) * (images - 1) * images * seeds)
        of_seeds = vary(by_seed) / seeds
        if of_seeds > residual:
            variance += of_seeds - residual
            doubt += of_seeds**2 / (seeds - 1)
    return variance, variance**2 / doubt


@pytest.mark.parametrize(("count", "other", "worse"), [(2, 2, 0), (3, 5, 8), (4, 2, 8)])
def test_numbers_against_sums_by_hand(count: int, other: int, worse: int) -> None:
    before, after = draw(1, (count, 40), 0.8), draw(2, (other, 40), 0.9)
    before[0, :worse] = False  # a seed that is worse: seeds have a share of their own
    result = compare_seeds(before, after)
    rows = [side.astype(int).tolist() for side in (before, after)]
    variance, freedom = estimate_by_hand(*rows)
    assert estimate_variance(before, after) == pytest.approx((variance, freedom))
    difference = mean([mean(row) for row in rows[1]]) - mean([mean(row) for row in rows[0]])
    reach = t.ppf(0.975, freedom) * math.sqrt(variance)
    assert result.difference == pytest.approx(difference)
    assert result.difference_low == pytest.approx(difference - reach)
    assert result.difference_high == pytest.approx(difference + reach)
    assert result.p_value == pytest.approx(2 * t.sf(abs(difference) / math.sqrt(variance), freedom))
    quantiles = t.ppf(0.975, freedom) + t.ppf(0.8, freedom)
    assert result.detectable == pytest.approx(quantiles * math.sqrt(variance))
    wins = [
        (sum(a) > sum(b)) + (sum(a) == sum(b)) / 2 for a, b in itertools.product(rows[1], rows[0])
    ]
    assert result.superiority == pytest.approx(mean(wins))
    assert result.before.accuracies == pytest.approx([mean(row) for row in rows[0]])
    assert result.after.deviation == pytest.approx(math.sqrt(vary([mean(row) for row in rows[1]])))


def read_right(generator: np.random.Generator, skill: float, images: np.ndarray) -> np.ndarray:
    """Draw which images three new seeds of a recipe read right: some images are hard for all."""
    own = generator.normal(size=len(images)) * 0.8
    seeds = generator.normal(size=(3, 1)) * 0.3
    chances = 1 / (1 + np.exp(-(skill + images + own + seeds)))
    return generator.random(chances.shape) < chances


def expect_accuracy(skill: float) -> float:
    """Integrate over images and seeds."""
    points = norm.ppf((np.arange(20_000) + 0.5) / 20_000) * math.sqrt(3**2 + 0.8**2 + 0.3**2)
    return float((1 / (1 + np.exp(-(skill + points)))).mean())


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    truth = expect_accuracy(9.0) - expect_accuracy(8.0)
    held, alone, count = 0, 0, 500
    for _ in range(count):
        images = generator.normal(size=1500) * 3
        before, after = (read_right(generator, skill, images) for skill in (8.0, 9.0))
        result = compare_seeds(before, after)
        held += result.difference_low <= truth <= result.difference_high
        low, high = bound_accuracy(after)
        alone += low <= expect_accuracy(9.0) <= high
    assert 0.93 <= held / count <= 0.99
    assert 0.93 <= alone / count <= 0.99


def test_same_answers_on_both_sides_are_no_difference() -> None:
    same = np.ones((2, 30), bool)
    result = compare_seeds(same, same)
    assert (result.difference_low, result.difference, result.difference_high) == (0, 0, 0)
    assert result.verdict == "p = 1.00: no evidence of a difference"
    assert result.superiority == 0.5


def test_verdict_says_which_side_is_better() -> None:
    before, after = draw(3, (3, 500), 0.8), draw(4, (4, 500), 0.95)
    assert compare_seeds(before, after).verdict == "p = 0.009: better"
    assert compare_seeds(after, before).verdict == "p = 0.009: worse"
