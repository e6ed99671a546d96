"""Two models compared: numbers against independent computations, commands in a real project."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import Project, list_runs
from scipy.stats import binom, binomtest

from digits.commands import compare as command
from digits.data.splits import Card
from digits.errors import DigitsError
from digits.evaluation import comparison, comparison_text
from digits.evaluation.comparison import Record
from digits.evaluation.predictions import Predictions

CARD = Card(name="mnist", title="MNIST", class_names=list("0123456789"), image_counts={})
LABELS = (np.arange(50) % 10).astype(np.uint8)


def predict(labels: np.ndarray, wrong: set[int]) -> Predictions:
    """Make predictions that are right but for the images named: these are taken one class on."""
    guesses = [(label + (index in wrong)) % 10 for index, label in enumerate(labels.tolist())]
    images = np.zeros((len(labels), 28, 28), np.uint8)
    return Predictions(images, labels, np.eye(10, dtype=np.float32)[guesses])


def make_record(
    name: str, labels: np.ndarray, wrong: set[int], settings: dict[str, object], **facts: Any
) -> Record:
    settings = {"train.seed": 0, "train.threads": 2, **settings}
    known = {"stopped_early": False, "is_candidate": True, **facts}
    return Record(name, CARD, "", predict(labels, wrong), settings, **known)


def toss_coins(fixed: int, new: int) -> float:
    """Compute the exact p-value by listing every fall of the coins."""
    count = fixed + new
    falls = [sum(fall) for fall in itertools.product((0, 1), repeat=count)]
    observed = abs(fixed - count / 2)
    return sum(abs(heads - count / 2) >= observed for heads in falls) / len(falls)


def test_numbers_against_counting_by_hand() -> None:
    before = make_record("a", LABELS, {1, 2, 3, 4, 7, 9}, {})
    after = make_record("b", LABELS, {4, 20}, {})
    result, classes = comparison_text.compare_models(before, after)
    assert result.fixed.tolist() == [1, 2, 3, 7, 9]
    assert result.new.tolist() == [20]
    assert (result.before["error_count"], result.after["error_count"]) == (6, 2)
    assert result.difference == pytest.approx(4 / 50)
    assert result.p_value == pytest.approx(toss_coins(5, 1))
    assert result.verdict == "5 fixed, 1 new, p = 0.22: no evidence of a difference"
    assert [row["fixed"] for row in classes] == [0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    assert [row["new"] for row in classes] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def count_power(least: float, changed: float, count: int) -> float:
    """Return how often McNemar's exact test sees a difference, by the chance of every outcome."""
    share = (1 + least * count / changed) / 2  # of the changed images, fixed
    power = 0.0
    for total in range(2 * int(changed) + 10):
        weight = binom.pmf(total, count, changed / count)
        seen = [
            fixed for fixed in range(total + 1) if total and binomtest(fixed, total).pvalue < 0.05
        ]
        power += weight * binom.pmf(seen, total, share).sum()
    return float(power)


def test_detectable_difference_is_seen_four_times_in_five() -> None:
    least = comparison.find_detectable(20, 6000)
    # The exact test is more careful than the normal approximation: it sees it a little less often.
    assert 0.68 < count_power(least, 20, 6000) < 0.86
    assert count_power(least / 2, 20, 6000) < 0.4
    assert comparison.find_detectable(0, 6000) == comparison.find_detectable(1, 6000) > 0


def test_interval_is_that_of_drawing_images_again() -> None:
    fixed, new, count = 30, 12, 1000
    change = np.repeat([1, -1, 0], [fixed, new, count - fixed - new])
    generator = np.random.default_rng(1)
    draws = [generator.choice(change, count).mean() for _ in range(4000)]
    expected = np.quantile(draws, [0.025, 0.975])
    assert comparison.bound_difference(fixed, new, count) == pytest.approx(expected, abs=0.0015)


# What is said beside the numbers


def test_warning_where_test_images_would_choose() -> None:
    a, b = (make_record(str(n), LABELS, set(), {"train.threads": n}) for n in (2, 3))
    assert comparison_text.list_notes([a, b], "test") == [comparison_text.SPENT]
    assert comparison_text.list_notes([a, b], "validation") == []
    committed = make_record("c", LABELS, set(), {"train.threads": 3}, is_candidate=False)
    assert comparison_text.list_notes([a, committed], "test") == []
    other_seed = make_record("d", LABELS, set(), {"train.seed": 5})
    assert comparison_text.list_notes([a, other_seed], "test") == []  # no seed is a choice


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
        comparison_text.check_same_images(a, b, "validation")
    b = make_record("b", LABELS[:-1], set(), {"decode.seed": 0})
    with pytest.raises(DigitsError, match=r"50 of mnist in a and 49 of mnist in b$"):
        comparison_text.check_same_images(a, b, "test")


@pytest.mark.parametrize(
    ("before", "settings", "reason"),
    [
        (RUNS, {"train.seed": 9, "train.threads": 4}, r"alone, received train\.threads: 2 and 4"),
        (RUNS, {"train.seed": 1}, r"^a-1, a-9: expected a train\.seed of its own"),
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


@pytest.fixture(scope="module")
def project(retrained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with two commits that trained for different times."""
    return retrained.copy(tmp_path_factory.mktemp("compare") / "project")


def test_command_compares_revisions_and_the_workspace(project: Project) -> None:
    output = project.digits(
        "compare", "HEAD~1", "HEAD", "--format", "json", "--png", "report/errors.png"
    )
    result = json.loads(output)
    for side, revision in (("before", "HEAD~1"), ("after", "HEAD")):
        shown = project.call("git", "show", f"{revision}:metrics/train.json")
        errors = round((1 - json.loads(shown)["val_accuracy"]) * 144)
        assert result[side]["error_count"] == errors
    assert result["before"]["error_count"] - errors == len(result["fixed"]) - len(result["new"])
    assert (project.folder / "report/errors.png").stat().st_size > 1000
    same = project.digits("compare")
    assert "0 fixed, 0 new, p = 1.00: no evidence of a difference" in same
    markdown = project.digits("compare", "HEAD~1", "--format", "markdown")
    assert f"| {result['before']['error_count']} " in markdown


def test_test_images_are_looked_at_only_when_asked_to(project: Project) -> None:
    said = project.digits("compare", "HEAD~1", "HEAD")
    assert said.startswith("On the 144 validation images of ")
    said = project.digits("compare", "HEAD~1", "HEAD", "--split", "test")
    assert said.startswith("On the 364 test images of ")
    assert "which are for the end" in said
    assert "WARNING" not in said  # both are committed


@pytest.mark.nightly
def test_choice_between_experiments_up_to_a_decision(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")
    evaluated = (project.folder / "metrics/evaluate.json").read_bytes()
    for name, epochs in (("short", 1), ("long", 4)):
        for seed in (1, 2):
            said = project.call(
                *("dvc", "exp", "run", "--temp", "--name", f"{name}-{seed}"),
                *("-S", f"recipes/cnn_optdigits.yaml:epochs={epochs}", "-S", f"train.seed={seed}"),
                "train",
            )
            assert list_runs(said)[-1] == "train"  # no test image is opened
    said = project.digits("compare", "short-*", "long-*")
    assert "each seed" in said
    assert "over seeds and images" in said
    assert "of 4 pairs" in said
    assert "^nothing-*: " in "^" + project.digits("compare", "nothing-*", status=1)[7:]
    said = project.digits("compare", "short-1", "long-1", "--split", "test", status=1)
    assert "ERROR: short-1: expected test results of its model, received those of another" in said
    project.call("dvc", "exp", "apply", "long-1")  # the message's advice
    assert (project.folder / "metrics/evaluate.json").read_bytes() == evaluated
    for name in ("docs", "report"):  # the numbers there are are not this model's
        said = project.digits(name, status=1)
        assert "metrics/evaluate.json: expected test results of its model" in said
    assert list_runs(project.call("dvc", "repro")) == ["evaluate", "analyze"]
    said = project.digits("compare", "HEAD", "workspace", "--split", "test")
    assert said.startswith("On the 364 test images")
    assert "WARNING" not in said  # HEAD is committed


@pytest.mark.nightly
def test_predictions_that_are_nowhere_say_what_brings_them(
    project: Project, tmp_path: Path
) -> None:
    output = project.clone(tmp_path / "clone").digits("compare", "HEAD~1", "HEAD", status=1)
    assert "in Git, in this clone's cache or on its remote" in output
    assert "`dvc push`" in output
