"""Two sides compared: numbers against independent computations, commands in a real project."""

import itertools
import json
import math
from pathlib import Path
from statistics import mean, stdev, variance
from typing import Any

import numpy as np
import pytest
from predictions import make_predictions
from projects import Project, list_runs
from scipy.stats import binomtest, t

from digits.commands import compare as command
from digits.data.splits import Card
from digits.errors import DigitsError
from digits.evaluation import comparison_text, records
from digits.evaluation.comparison import compare
from digits.evaluation.records import Record

CARD = Card(name="mnist", title="MNIST", class_names=list("0123456789"), image_counts={})
LABELS = (np.arange(50) % 10).astype(np.uint8)


def make_record(
    name: str, labels: np.ndarray, wrong: set[int], settings: dict[str, object], **facts: Any
) -> Record:
    """Make a record of a model that takes the wrong images one class on."""
    guesses = [(label + (index in wrong)) % 10 for index, label in enumerate(labels.tolist())]
    settings = {"train.seed": 0, "train.threads": 2, **settings}
    known = {"stopped_early": False, "is_candidate": True, **facts}
    return Record(name, CARD, "", make_predictions(labels, guesses), settings, **known)


# Two models


def make_sides(fixed: int, new: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Make which of `count` images two models read right, bool (1, count) each."""
    numbers = np.arange(count)[np.newaxis]
    return numbers >= fixed, (numbers < fixed) | (numbers >= fixed + new)


def test_numbers_against_counting_by_hand() -> None:
    before = make_record("a", LABELS, {1, 2, 3, 4, 7, 9}, {})
    after = make_record("b", LABELS, {4, 20}, {})
    numbers = command.list_numbers([before], [after])
    assert (numbers["fixed"], numbers["new"]) == ([1, 2, 3, 7, 9], [20])
    assert [numbers[side]["error_counts"] for side in ("before", "after")] == [[6], [2]]
    assert numbers["difference"] == pytest.approx(4 / 50)
    assert numbers["superiority"] is None  # one seed says nothing of others
    assert numbers["p_value"] == pytest.approx(2 * (1 + 6) / 2**6)  # of six coins
    text = comparison_text.render_comparison([before], [after], ("a", "b"), "simple")
    assert "5 fixed, 1 new, p = 0.22: no evidence of a difference" in text
    counts = comparison_text.count_changes(before, after).values.tolist()
    assert counts == [["0", 0, 1], *([name, 1, 0] for name in "12379")]


def draw_changes(fixed: float, new: float, count: int) -> np.ndarray:
    """Draw samples of images anew: how many of each are fixed, new and unchanged, int (2000, 3)."""
    shares = np.array([fixed, new, count - fixed - new]) / count
    return np.random.default_rng(1).multinomial(count, shares, 2000)


def test_detectable_difference_is_seen_four_times_in_five() -> None:
    least = 6000 * compare(*make_sides(10, 10, 6000)).detectable  # in images
    # The exact test is more careful than the normal approximation: it sees it a little less often.
    for difference, low, high in ((least, 0.68, 0.86), (least / 2, 0.0, 0.4)):
        draws = draw_changes(10 + difference / 2, 10 - difference / 2, 6000).tolist()
        seen = [binomtest(fixed, fixed + new).pvalue < 0.05 for fixed, new, _ in draws]
        assert low < np.mean(seen) < high
    same = compare(*make_sides(0, 0, 6000)).detectable
    assert same == pytest.approx(2.8 * math.sqrt(2) / 6000, rel=0.01)


@pytest.mark.parametrize(("fixed", "new"), [(0, 0), (1, 0), (5, 0), (6, 0), (7, 1), (8, 1), (1, 8)])
def test_interval_of_few_changes_agrees_with_the_exact_test(fixed: int, new: int) -> None:
    result = compare(*make_sides(fixed, new, 6000))
    assert result.difference_low < result.difference < result.difference_high
    holds_zero = result.difference_low < 0 < result.difference_high
    assert holds_zero == (result.p_value >= 0.05)


def test_interval_is_that_of_drawing_images_again() -> None:
    draws = draw_changes(30, 12, 1000)
    expected = np.quantile((draws[:, 0] - draws[:, 1]) / 1000, [0.025, 0.975])
    result = compare(*make_sides(30, 12, 1000))
    assert (result.difference_low, result.difference_high) == pytest.approx(expected, abs=0.0015)


# Two recipes of several seeds


def draw(seed: int, shape: tuple[int, int], share: float) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < share


def estimate_by_hand(*sides: list[list[int]]) -> tuple[float, float]:
    """Estimate the variance and its degrees of freedom by sums written out."""
    images = len(sides[0][0])
    by_image = [[mean(column) for column in zip(*rows, strict=True)] for rows in sides]
    differences = [after - before for before, after in zip(*by_image, strict=True)]
    total = variance(differences) / images
    doubt = total**2 / (images - 1)
    for rows, columns in zip(sides, by_image, strict=True):
        seeds, whole = len(rows), mean(columns)
        by_seed = [mean(row) for row in rows]
        residual = sum(  # what neither row nor column explains, squared, a cell at a time
            (rows[j][i] - by_seed[j] - columns[i] + whole) ** 2
            for j, i in itertools.product(range(seeds), range(images))
        ) / ((seeds - 1) * (images - 1) * images * seeds)
        of_seeds = variance(by_seed) / seeds
        if of_seeds > residual:
            total += of_seeds - residual
            doubt += of_seeds**2 / (seeds - 1)
    return total, total**2 / doubt


@pytest.mark.parametrize(("count", "other", "worse"), [(2, 2, 0), (3, 5, 8), (4, 2, 8)])
def test_numbers_against_sums_by_hand(count: int, other: int, worse: int) -> None:
    before, after = draw(1, (count, 40), 0.8), draw(2, (other, 40), 0.9)
    before[0, :worse] = False  # a seed that is worse: seeds have a share of their own
    result = compare(before, after)
    rows = [side.astype(int).tolist() for side in (before, after)]
    squared, freedom = estimate_by_hand(*rows)
    error, (first, second) = math.sqrt(squared), ([mean(row) for row in side] for side in rows)
    assert result.difference == pytest.approx(mean(second) - mean(first))
    interval = t.interval(0.95, freedom, result.difference, error)
    assert (result.difference_low, result.difference_high) == pytest.approx(interval)
    assert result.p_value == pytest.approx(2 * t.sf(abs(result.difference) / error, freedom))
    quantiles = t.ppf(0.975, freedom) + t.ppf(0.8, freedom)
    assert result.detectable == pytest.approx(quantiles * error)
    wins = [(b > a) + (b == a) / 2 for a, b in itertools.product(first, second)]
    assert result.superiority == pytest.approx(mean(wins))
    assert result.before.error_counts == [row.count(0) for row in rows[0]]
    assert result.before.accuracy == pytest.approx(mean(first))
    assert result.after.deviation == pytest.approx(stdev(second))
    squared, freedom = estimate_by_hand([[0] * 40] * 2, rows[1])  # the accuracy of one side
    low, high = t.interval(0.95, freedom, mean(second), math.sqrt(squared))
    bounds = (result.after.accuracy_low, result.after.accuracy_high)
    assert bounds == pytest.approx((low, min(high, 1)))


def test_verdict_says_which_side_is_better_if_any() -> None:
    before, after = draw(3, (3, 500), 0.8), draw(4, (4, 500), 0.95)
    assert compare(before, after).verdict == "p = 0.009: better"
    assert compare(after, before).verdict == "p = 0.009: worse"
    same = np.ones((2, 30), bool)
    result = compare(same, same)
    assert result.difference_low < result.difference == 0 < result.difference_high
    assert result.after.accuracy_low < result.after.accuracy == 1
    assert result.verdict == "p = 1.00: no evidence of a difference"
    assert result.superiority == 0.5


# What is said beside the numbers


def test_warning_where_test_images_would_choose() -> None:
    a, b = (make_record(str(n), LABELS, set(), {"train.threads": n}) for n in (2, 3))
    assert records.list_notes([a, b], "test") == [records.SPENT]
    assert records.list_notes([a, b], "validation") == []
    committed = make_record("c", LABELS, set(), {"train.threads": 3}, is_candidate=False)
    assert records.list_notes([a, committed], "test") == []
    other_seed = make_record("d", LABELS, set(), {"train.seed": 5}, stopped_early=True)
    assert records.list_notes([a, other_seed], "test") == []  # no seed is a choice
    (warning,) = records.list_notes([a, other_seed], "validation")
    assert warning.startswith("d stopped early, at an epoch chosen on these images")


def test_robustness_is_said_where_every_model_has_it() -> None:
    a, b, c = (make_record(str(n), LABELS, set(), {}, val_robustness=n) for n in (0.5, 0.7, 0.81))
    (said,) = command.describe_robustness(["HEAD", "x-*"], [[a], [b, c]])
    assert said.endswith("corrupted validation images: HEAD 50.0 %, x-* 75.5 %.")
    old = make_record("old", LABELS, set(), {})
    assert command.describe_robustness(["HEAD", "x-*"], [[a], [b, old]]) == []


# What is refused

RUNS = [make_record(f"a-{n}", LABELS, {n}, {"train.seed": n}) for n in range(3)]


def test_other_images_are_refused_with_what_chose_them() -> None:
    a = make_record("a", LABELS, set(), {"decode.seed": 0})
    b = make_record("b", np.roll(LABELS, 1), set(), {"decode.seed": 1})
    reason = r"^expected the same validation images on both sides, .* \(decode\.seed: 0 and 1\)$"
    with pytest.raises(DigitsError, match=reason):
        records.check_same_images(a, b, "validation")
    b = make_record("b", LABELS[:-1], set(), {"decode.seed": 0})
    with pytest.raises(DigitsError, match=r"50 of mnist in a and 49 of mnist in b$"):
        records.check_same_images(a, b, "test")


@pytest.mark.parametrize(
    ("before", "settings", "reason"),
    [
        (RUNS, {"train.seed": 9, "train.threads": 4}, r"alone, received train\.threads: 2 and 4"),
        (RUNS, {"train.seed": 1}, r"^a-0 \.\.\. a-9: expected a train\.seed of its own"),
        (RUNS[:1], {"train.seed": 9}, "two or more seeds on each side"),
        (RUNS[:2], {"train.seed": 9}, "2 of them on both"),
    ],
)
def test_sides_that_are_no_recipes_of_several_seeds(
    before: list[Record], settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(DigitsError, match=reason):
        command.check_seeds(before, [*RUNS, make_record("a-9", LABELS, set(), settings)])


# In a project


def test_command_compares_revisions_and_the_workspace(two_runs: Project) -> None:
    project, revisions = two_runs, ("HEAD~1", "HEAD")
    options = ("--format", "json", "--png", "report/errors.png")
    result = json.loads(project.digits("compare", *revisions, *options))
    for side, revision in zip(("before", "after"), revisions, strict=True):
        shown = project.call("git", "show", f"{revision}:metrics/train.json")
        errors = round((1 - json.loads(shown)["val_accuracy"]) * 144)
        assert result[side]["error_counts"] == [errors]
    assert result["before"]["error_counts"][0] - errors == len(result["fixed"]) - len(result["new"])
    assert (project.folder / "report/errors.png").stat().st_size > 1000
    same = project.digits("compare")
    assert "0 fixed, 0 new, p = 1.00: no evidence of a difference" in same
    markdown = project.digits("compare", "HEAD~1", "--format", "markdown")
    assert markdown.startswith("On the 144 validation images of ")
    assert f"| {result['before']['error_counts'][0]} " in markdown
    said = project.digits("compare", *revisions, "--split", "test")
    assert said.startswith("On the 364 test images of ")
    assert "which are for the end" in said
    assert "WARNING" not in said  # both are committed


@pytest.mark.nightly
def test_experiments_are_compared_up_to_a_decision(retrained: Project, tmp_path: Path) -> None:
    project = retrained.copy(tmp_path / "project")
    evaluated = (project.folder / "metrics/evaluate.json").read_bytes()
    for seed in (1, 2):
        run = ("dvc", "exp", "run", "--temp", "--name", f"long-{seed}", "-S", f"train.seed={seed}")
        assert list_runs(project.call(*run, "train"))[-1] == "train"  # no test image is opened
    said = project.digits("compare", "HEAD", "long-*", status=1)
    assert "expected two or more seeds on each side" in said
    assert "^nothing-*: " in "^" + project.digits("compare", "nothing-*", status=1)[7:]
    said = project.digits("compare", "long-1", "long-2", "--split", "test", status=1)
    assert "ERROR: long-1: expected test results of its model, received those of another" in said
    project.call("dvc", "exp", "apply", "long-1")  # the message's advice
    assert (project.folder / "metrics/evaluate.json").read_bytes() == evaluated
    for name in ("docs", "report"):  # the numbers there are are not this model's
        said = project.digits(name, status=1)
        assert "metrics/evaluate.json: expected test results of its model" in said
    assert list_runs(project.call("dvc", "repro")) == ["evaluate", "analyze"]
    assert "On the 364 test images" in project.digits("compare", "--split", "test")
