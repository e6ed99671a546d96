"""Two models compared: numbers against independent computations, commands in a real project."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from projects import Project

from digits.data.splits import Card
from digits.evaluation import comparison
from digits.evaluation.predictions import Predictions

CARD = Card(name="mnist", title="MNIST", class_names=list("0123456789"), image_counts={})


def predict(labels: np.ndarray, wrong: set[int]) -> Predictions:
    """Make predictions that are right but for the images named: these are taken one class on."""
    guesses = [(label + (index in wrong)) % 10 for index, label in enumerate(labels.tolist())]
    images = np.zeros((len(labels), 28, 28), np.uint8)
    return Predictions(images, labels, np.eye(10, dtype=np.float32)[guesses])


@pytest.fixture
def labels() -> np.ndarray:
    return (np.arange(50) % 10).astype(np.uint8)


def toss_coins(fixed: int, new: int) -> float:
    """Compute the exact p-value by listing every fall of the coins."""
    count = fixed + new
    falls = [sum(fall) for fall in itertools.product((0, 1), repeat=count)]
    observed = abs(fixed - count / 2)
    return sum(abs(heads - count / 2) >= observed for heads in falls) / len(falls)


def test_numbers_against_counting_by_hand(labels: np.ndarray) -> None:
    before, after = predict(labels, {1, 2, 3, 4, 7, 9}), predict(labels, {4, 20})
    result = comparison.compare(before, after)
    assert result.fixed.tolist() == [1, 2, 3, 7, 9]
    assert result.new.tolist() == [20]
    assert (result.before.error_count, result.after.error_count) == (6, 2)
    assert result.difference == pytest.approx(4 / 50)
    assert result.p_value == pytest.approx(toss_coins(5, 1))
    assert result.verdict == "5 fixed, 1 new, p = 0.22: no evidence of a difference"
    changes = comparison.tabulate_changes(result, labels, CARD)
    assert changes["fixed"].tolist() == [0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    assert changes["new"].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_other_order_turns_everything_round(labels: np.ndarray) -> None:
    before, after = predict(labels, set(range(12))), predict(labels, {30})
    there, back = comparison.compare(before, after), comparison.compare(after, before)
    assert there.fixed.tolist() == back.new.tolist()
    assert there.p_value == back.p_value
    assert there.difference == -back.difference
    assert there.difference_low == pytest.approx(-back.difference_high, abs=0.011)
    assert there.verdict.endswith(": better")
    assert back.verdict.endswith(": worse")


def test_identical_models_have_p_one(labels: np.ndarray) -> None:
    same = predict(labels, {3, 8})
    result = comparison.compare(same, same)
    assert result.p_value == 1
    assert (result.difference_low, result.difference, result.difference_high) == (0, 0, 0)
    assert result.verdict == "0 fixed, 0 new, p = 1.00: no evidence of a difference"


def test_better_on_every_image(labels: np.ndarray) -> None:
    result = comparison.compare(predict(labels, set(range(50))), predict(labels, set()))
    assert result.difference == result.difference_low == result.difference_high == 1
    assert result.p_value == pytest.approx(2 * 0.5**50)
    assert result.verdict == "50 fixed, 0 new, p < 0.001: better"


def test_interval_is_that_of_drawing_images_again() -> None:
    fixed, new, count = 30, 12, 1000
    change = np.repeat([1, -1, 0], [fixed, new, count - fixed - new])
    generator = np.random.default_rng(1)
    draws = [generator.choice(change, count).mean() for _ in range(4000)]
    expected = np.quantile(draws, [0.025, 0.975])
    assert comparison.bound_difference(fixed, new, count) == pytest.approx(expected, abs=0.0015)
    # ... which is close to the normal approximation of a paired difference.
    deviation = math.sqrt((fixed + new) / count - ((fixed - new) / count) ** 2) / math.sqrt(count)
    mean = (fixed - new) / count
    normal = (mean - 1.96 * deviation, mean + 1.96 * deviation)
    assert comparison.bound_difference(fixed, new, count) == pytest.approx(normal, abs=0.0015)


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(1.0, "p = 1.00"), (0.664, "p = 0.66"), (0.0491, "p = 0.049"), (0.0004, "p < 0.001")],
)
def test_p_values_read_well(p_value: float, text: str) -> None:
    assert comparison.format_p(p_value) == text


@pytest.fixture(scope="module")
def project(retrained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with two commits that trained for different times."""
    return retrained.copy(tmp_path_factory.mktemp("compare") / "project")


def count_errors(project: Project, revision: str) -> int:
    shown = project.call("git", "show", f"{revision}:metrics/evaluate.json")
    return int(json.loads(shown)["error_count"])


def test_command_compares_revisions_and_the_workspace(project: Project) -> None:
    output = project.call(
        *("python", "-m", "digits", "compare", "HEAD~1", "HEAD"),
        *("--format", "json", "--png", "report/errors.png"),
    )
    result = json.loads(output)
    before, after = count_errors(project, "HEAD~1"), count_errors(project, "HEAD")
    assert (result["before"]["error_count"], result["after"]["error_count"]) == (before, after)
    assert before - after == len(result["fixed"]) - len(result["new"])
    assert (project.folder / "report/errors.png").stat().st_size > 1000
    same = project.call("python", "-m", "digits", "compare")
    assert "0 fixed, 0 new, p = 1.00: no evidence of a difference" in same
    markdown = project.call("python", "-m", "digits", "compare", "HEAD~1", "--format", "markdown")
    assert f"| {before} " in markdown


@pytest.mark.slow
def test_command_takes_experiments_by_name(project: Project) -> None:
    project.call("dvc", "exp", "run", "--temp", "--name", "longer", "-S", "train.seed=1")
    output = project.call("python", "-m", "digits", "compare", "HEAD", "longer")
    assert re_errors(output, "longer")


def re_errors(output: str, name: str) -> bool:
    return any(line.startswith(name) and "%" in line for line in output.splitlines())


def test_unknown_revision_is_one_line(project: Project) -> None:
    output = project.call("python", "-m", "digits", "compare", "no-such-branch", status=1)
    assert "ERROR: no-such-branch: expected a Git revision, a branch, an experiment" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_predictions_that_are_nowhere_say_what_brings_them(
    project: Project, tmp_path: Path
) -> None:
    clone = Project(tmp_path / "clone")
    project.call("git", "clone", "--quiet", ".", str(clone.folder))
    output = clone.call("python", "-m", "digits", "compare", "HEAD~1", "HEAD", status=1)
    assert "ERROR: HEAD~1: expected its predictions in the cache or on the remote" in output
    assert "`dvc push`" in output
    assert "Traceback" not in output
    output = clone.call("python", "-m", "digits", "compare", status=1)
    assert "Traceback" not in output


def test_other_test_images_are_refused(project: Project) -> None:
    folder = project.folder / "data/predictions"
    labels = np.load(folder / "labels.npy")
    (folder / "labels.npy").unlink()  # a link into the cache must stay whole
    np.save(folder / "labels.npy", np.roll(labels, 1))
    output = project.call("python", "-m", "digits", "compare", status=1)
    assert "expected the same test images on both sides, received 364 of optdigits" in output
    project.call("dvc", "checkout", "--force")
