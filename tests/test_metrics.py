"""Scores against hand-made cases and independent loops."""

import math

import numpy as np
import pytest

from digits.evaluation import metrics

LABELS = np.array([0, 0, 1, 1, 1, 9])
PREDICTED = np.array([0, 1, 1, 1, 2, 9])


def test_confusion_and_class_scores_by_hand() -> None:
    confusion = metrics.count_confusion(LABELS, PREDICTED, 10)
    assert confusion[:2, :3].tolist() == [[1, 1, 0], [0, 2, 1]]  # true rows, predicted columns
    assert confusion[9, 9] == 1
    assert confusion.sum() == 6
    classes = metrics.tabulate_classes(LABELS, PREDICTED, list("abcdefghij"))
    assert classes["class"].tolist() == ["a", "b", "j"]  # those that were tested
    assert classes["precision"].tolist() == pytest.approx([1, 2 / 3, 1])
    assert classes["recall"].tolist() == pytest.approx([1 / 2, 2 / 3, 1])
    assert classes["f1"].tolist() == pytest.approx([2 / 3, 2 / 3, 1])
    assert classes["support"].tolist() == [2, 3, 1]
    assert classes["error_count"].tolist() == [1, 1, 0]
    details = metrics.score_predictions(LABELS, np.eye(10)[PREDICTED])
    assert details["precision"] == pytest.approx(8 / 9)


@pytest.mark.parametrize(("correct", "count"), [(9915, 10_000), (3, 7)])
def test_interval_is_wilsons(correct: int, count: int) -> None:
    share = correct / count
    for bound in metrics.score_accuracy_interval(correct, count):
        deviation = math.sqrt(bound * (1 - bound) / count)
        assert abs(bound - share) == pytest.approx(1.959964 * deviation)


def test_losses_and_second_guesses_by_hand() -> None:
    labels, probabilities = np.array([0, 1]), np.array([[0.3, 0.5, 0.2], [1, 0, 0]], np.float32)
    losses = metrics.score_losses(labels, probabilities)
    assert losses == pytest.approx([-math.log(0.3), -math.log(1e-7)])  # the second is bounded
    assert metrics.score_top2_accuracy(labels[:1], probabilities[:1]) == 1  # the second guess
    assert metrics.score_top2_accuracy(labels[:1] + 2, probabilities[:1]) == 0


def test_bins_and_calibration_error_by_loop() -> None:
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 10, 500)
    probabilities = draws.dirichlet(np.full(10, 0.3), 500).astype(np.float32)
    confidence = probabilities.astype(float).max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    rows = []
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        inside = (confidence >= low) & ((confidence < high) | (number == 14))
        if inside.any():
            share = right[inside].mean()
            interval = metrics.score_accuracy_interval(right[inside].sum(), inside.sum())
            rows.append((low, inside.sum(), confidence[inside].mean(), share, *interval))
    bins = metrics.tabulate_reliability(labels, probabilities)
    np.testing.assert_allclose(bins, rows)
    error = sum(abs(row[3] - row[2]) * row[1] for row in rows) / 500
    assert metrics.score_calibration_error(bins) == pytest.approx(error)


def test_coverage_against_every_threshold_by_loop() -> None:
    generator = np.random.default_rng(5)
    sure = generator.choice([0.3, 0.5, 0.7, 0.9], 60)  # many are equally sure
    guesses, labels = generator.integers(0, 3, (2, 60))
    probabilities = np.repeat((1 - sure)[:, None] / 9, 10, axis=1)
    probabilities[np.arange(60), guesses] = sure
    coverage, accuracy = metrics.score_coverage(labels, probabilities)
    confidence, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = []
    for threshold in sorted(set(confidence), reverse=True):
        answered = [hit for hit, sure in zip(hits, confidence, strict=True) if sure >= threshold]
        expected.append((len(answered) / 60, sum(answered) / len(answered)))
    np.testing.assert_allclose(np.transpose([coverage, accuracy]), expected)
    assert len(expected) == 4
    for goal in (float(np.median(accuracy)), *accuracy):
        enough = [share for share, right in expected if right >= goal - 1e-12]
        assert metrics.find_coverage(coverage, accuracy, goal) == pytest.approx(max(enough))


def test_coverage_of_perfect_and_constant_models() -> None:
    labels = np.arange(20) % 10
    perfect = metrics.score_coverage(labels, np.eye(10)[labels])
    assert metrics.find_coverage(*perfect, 0.999) == 1
    constant = metrics.score_coverage(labels, np.full((20, 10), 0.1))
    assert [part.tolist() for part in constant] == [[1.0], [0.1]]
    assert metrics.find_coverage(*constant, 0.999) == 0
