"""Two models compared: numbers against independent computations, commands in a real project."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import Project, list_runs
from scipy.stats import binom, binomtest

from digits.commands import compare as command
from digits.commands.compare import CompareError
from digits.data.splits import Card
from digits.dvc.revisions import Record
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


@pytest.mark.parametrize("changed", [20, 60])
def test_detectable_difference_is_seen_four_times_in_five(changed: int) -> None:
    least = comparison.find_detectable(changed, 6000)
    # The exact test is more careful than the normal approximation: it sees it a little less often.
    assert 0.68 < count_power(least, changed, 6000) < 0.86
    assert count_power(least / 2, changed, 6000) < 0.4


def test_detectable_difference_of_models_that_agree_is_not_nothing() -> None:
    assert comparison.find_detectable(0, 6000) == comparison.find_detectable(1, 6000) > 0


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
    """Count the errors on the 144 validation images, from the metrics."""
    shown = project.call("git", "show", f"{revision}:metrics/train.json")
    return round((1 - json.loads(shown)["val_accuracy"]) * 144)


def test_command_compares_revisions_and_the_workspace(project: Project) -> None:
    output = project.call(
        *("python", "-m", "digits", "compare", "HEAD~1", "HEAD"),
        *("--format", "json", "--png", "report/errors.png"),
    )
    result = json.loads(output)
    before, after = count_errors(project, "HEAD~1"), count_errors(project, "HEAD")
    assert result["split"] == "validation"
    assert (result["before"]["error_count"], result["after"]["error_count"]) == (before, after)
    assert before - after == len(result["fixed"]) - len(result["new"])
    assert (project.folder / "report/errors.png").stat().st_size > 1000
    same = project.call("python", "-m", "digits", "compare")
    assert "0 fixed, 0 new, p = 1.00: no evidence of a difference" in same
    markdown = project.call("python", "-m", "digits", "compare", "HEAD~1", "--format", "markdown")
    assert f"| {before} " in markdown


def test_test_images_are_looked_at_only_when_asked_to(project: Project) -> None:
    said = project.call("python", "-m", "digits", "compare", "HEAD~1", "HEAD")
    assert said.startswith("On the 144 validation images of ")
    said = project.call("python", "-m", "digits", "compare", "HEAD~1", "HEAD", "--split", "test")
    assert said.startswith("On the 364 test images of ")
    assert "which are for the end" in said
    assert "WARNING" not in said  # both are committed


@pytest.mark.nightly
def test_choice_between_experiments_up_to_a_decision(project: Project, tmp_path: Path) -> None:
    project = project.copy(tmp_path / "project")
    evaluated = (project.folder / "metrics/evaluate.json").read_bytes()
    for name, epochs in (("short", 1), ("long", 4)):
        for seed in (1, 2):
            settings = (
                "-S",
                f"recipes/cnn_optdigits.yaml:epochs={epochs}",
                "-S",
                f"train.seed={seed}",
            )
            said = project.call(
                "dvc", "exp", "run", "--temp", "--name", f"{name}-{seed}", *settings, "train"
            )
            assert list_runs(said)[-1] == "train"  # no test image is opened
    said = project.call("python", "-m", "digits", "compare", "short-*", "long-*")
    assert "each seed" in said
    assert "over seeds and images" in said
    assert "of 4 pairs" in said
    compare = ("python", "-m", "digits", "compare")
    said = project.call(*compare, "short-1", "long-1", "--split", "test", status=1)
    assert "ERROR: short-1: expected test results of its model, received those of another" in said
    said = project.call(*compare, "short-*", "HEAD", status=1)
    assert "two or more seeds on each side" in said
    project.call("dvc", "exp", "apply", "long-1")  # the message's advice
    assert (project.folder / "metrics/evaluate.json").read_bytes() == evaluated
    for name in ("docs", "report"):  # the numbers there are are not this model's
        said = project.call("python", "-m", "digits", name, status=1)
        assert "metrics/evaluate.json: expected test results of its model" in said
        assert said.endswith("and not evaluated; `dvc repro` does, where it is checked out\n")
    assert list_runs(project.call("dvc", "repro")) == ["evaluate", "analyze"]
    said = project.call(*compare, "HEAD", "workspace", "--split", "test")
    assert said.startswith("On the 364 test images")
    assert "WARNING" not in said  # HEAD is committed
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        loaded = command.load_side("long-[12]", "validation")
        assert [record.name for record in loaded] == ["long-1", "long-2"]
        with pytest.raises(command.CompareError, match=r"^nothing-\*: .* none of 4 matches"):
            command.load_side("nothing-*", "validation")


def make_record(
    name: str, labels: np.ndarray, wrong: set[int], settings: dict[str, object], **facts: Any
) -> Record:
    settings = {"train.seed": 0, "train.threads": 2, **settings}
    known = {"stopped_early": False, "is_candidate": True, **facts}
    return Record(name, CARD, "", predict(labels, wrong), settings, **known)


def test_warning_where_test_images_would_choose(labels: np.ndarray) -> None:
    a, b = (make_record(str(n), labels, set(), {"train.threads": n}) for n in (2, 3))
    assert command.list_notes([a, b], "test") == [command.SPENT]
    assert command.list_notes([a, b], "validation") == []
    committed = make_record("c", labels, set(), {"train.threads": 3}, is_candidate=False)
    assert command.list_notes([a, committed], "test") == []
    other_seed = make_record("d", labels, set(), {"train.seed": 5})
    assert command.list_notes([a, other_seed], "test") == []  # nothing is chosen by a seed


def test_early_stopping_is_said_on_validation(labels: np.ndarray) -> None:
    stopped = make_record("a", labels, set(), {}, stopped_early=True)
    plain = make_record("b", labels, set(), {})
    (note,) = command.list_notes([stopped, plain], "validation")
    assert note.startswith("a stopped early, at an epoch chosen on these images")
    assert command.list_notes([stopped, plain], "test") == []


def test_robustness_is_said_where_every_model_has_it(labels: np.ndarray) -> None:
    a, b, c = (make_record(str(n), labels, set(), {}, val_robustness=n) for n in (0.5, 0.7, 0.81))
    old = make_record("old", labels, set(), {})
    (said,) = command.describe_robustness(["HEAD", "x-*"], [[a], [b, c]])
    assert said == "Of corrupted validation images, right on average: HEAD 50.0 %, x-* 75.5 %."
    assert command.describe_robustness(["HEAD", "x-*"], [[a], [b, old]]) == []


def test_other_images_are_refused_with_what_chose_them(labels: np.ndarray) -> None:
    a = make_record("a", labels, set(), {"decode.seed": 0})
    b = make_record("b", np.roll(labels, 1), set(), {"decode.seed": 1})
    reason = r"^expected the same validation images on both sides, .* \(decode\.seed: 0 and 1\)$"
    with pytest.raises(CompareError, match=reason):
        command.check_same_images(a, b, "validation")
    b = make_record("b", labels[:-1], set(), {"decode.seed": 0})
    with pytest.raises(CompareError, match=r"50 of mnist in a and 49 of mnist in b$"):
        command.check_same_images(a, b, "test")


def test_side_is_one_recipe_with_a_seed_each(labels: np.ndarray) -> None:
    runs = [make_record(f"a-{n}", labels, {n}, {"train.seed": n}) for n in range(3)]
    command.check_seeds(runs)
    longer = make_record("a-9", labels, set(), {"train.seed": 9, "train.threads": 4})
    with pytest.raises(
        CompareError, match=r"in train\.seed alone, received train\.threads: 2 and 4"
    ):
        command.check_seeds([*runs, longer])
    again = make_record("a-9", labels, set(), {"train.seed": 1})
    with pytest.raises(CompareError, match=r"^a-1, a-9: expected a train\.seed of its own"):
        command.check_seeds([*runs, again])


def test_one_seed_against_several_is_refused(labels: np.ndarray) -> None:
    runs = [make_record(f"a-{n}", labels, {n}, {"train.seed": n}) for n in range(3)]
    for sides in (([runs[0]], runs[1:]), (runs, runs[1:])):
        with pytest.raises(CompareError, match="two or more seeds on each side"):
            command.judge_seeds(*sides)
    others = [make_record(f"b-{n}", labels, set(), {"train.seed": n}) for n in range(2)]
    result = command.judge_seeds(runs, others)
    assert result.difference == pytest.approx(1 / 50)
    text = command.render_seeds(result, ("a-*", "b-*"), "simple")
    assert "98.00 ± 0.00 %" in text
    assert "a new seed of b-* beats one of a-* with a probability of about 1.00 (of 6 pairs)" in (
        text.replace("A new", "a new")
    )


def test_unknown_revision_is_one_line(project: Project) -> None:
    output = project.call("python", "-m", "digits", "compare", "no-such-branch", status=1)
    assert "ERROR: no-such-branch: expected a Git revision, a branch, an experiment" in output
    assert "Traceback" not in output


@pytest.mark.nightly
def test_predictions_that_are_nowhere_say_what_brings_them(
    project: Project, tmp_path: Path
) -> None:
    clone = Project(tmp_path / "clone")
    project.call("git", "clone", "--quiet", ".", str(clone.folder))
    output = clone.call("python", "-m", "digits", "compare", "HEAD~1", "HEAD", status=1)
    assert "in Git, in this clone's cache or on its remote" in output
    assert "`dvc push`" in output
    assert "Traceback" not in output
    output = clone.call("python", "-m", "digits", "compare", status=1)
    assert "Traceback" not in output
