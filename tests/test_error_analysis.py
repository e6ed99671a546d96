"""What is said of misclassified images and doubtful labels, against loops over hand-made cases."""

import math

import numpy as np
import pytest
from predictions import make_predictions

from digits.evaluation import error_analysis, label_issues
from digits.evaluation.predictions import Predictions

NAMES = list("0123456789")


@pytest.fixture
def predictions() -> Predictions:
    """Return ten images: 4 as 9 three times, 1 as 7 once, 5 as 3 once, five right."""
    labels = [4, 4, 4, 1, 5, 0, 1, 2, 3, 4]
    guesses = [9, 9, 9, 7, 3, 0, 1, 2, 3, 4]
    confidence = [0.6, 0.95, 0.4, 0.91, 0.5, 0.99, 0.99, 0.98, 0.97, 0.9]
    return make_predictions(labels, guesses, confidence)


def test_errors_are_listed_by_their_loss(predictions: Predictions) -> None:
    table = error_analysis.tabulate_errors(predictions)
    assert table["index"].tolist() == [1, 3, 0, 4, 2]
    for row in table.to_dict("records"):
        chances = predictions.probabilities[row["index"]].astype(float)
        assert row["true_probability"] == pytest.approx(chances[row["true"]])
        assert row["predicted_probability"] == pytest.approx(chances.max())
        assert row["loss"] == pytest.approx(-math.log(chances[row["true"]]))
        assert row["margin"] == pytest.approx(chances.max() - sorted(chances)[-2])
        entropy = -sum(p * math.log(p) for p in chances / chances.sum())
        assert row["entropy"] == pytest.approx(entropy, rel=1e-5)


def test_pairs_are_ranked_and_hits_left_out(predictions: Predictions) -> None:
    table = error_analysis.tabulate_pairs(error_analysis.tabulate_errors(predictions), NAMES)
    assert table.to_numpy().tolist() == [["4 as 9", 3], ["1 as 7", 1], ["5 as 3", 1]]


def test_gallery_takes_a_few_of_each_pair(predictions: Predictions) -> None:
    errors = error_analysis.tabulate_errors(predictions)
    assert error_analysis.choose_errors(errors, 10, 2)["index"].tolist() == [1, 3, 0, 4]
    assert error_analysis.choose_errors(errors, 3, 1)["index"].tolist() == [1, 3, 4]
    captions = error_analysis.caption_errors(errors.head(1), NAMES)
    assert captions == ["true 4,\npredicted 9\n95%, #1"]


def test_average_images_are_the_means_of_their_kind(predictions: Predictions) -> None:
    means = error_analysis.average_images(predictions)
    assert means.shape == (10, 10, 28, 28)
    assert means[4, 9, 5, 5] == 1  # of the grey values 0, 1 and 2
    assert [means[true, true, 5, 5] for true in range(5)] == [5, 6, 7, 8, 9]
    assert np.count_nonzero(means[..., 5, 5]) == 8  # 1 as 7 and 5 as 3, too: no others


def test_planted_label_error_is_suspected() -> None:
    labels = [number % 10 for number in range(200)]
    guesses = list(labels)
    guesses[42] = 7  # labelled 2
    found = make_predictions(labels, guesses, 0.99)
    disputed = np.arange(200) == 42
    issues = label_issues.tabulate_label_issues(found, disputed)
    assert issues["index"].tolist() == [42]
    assert issues["label_probability"].iloc[0] == pytest.approx(0.01 / 9, rel=1e-4)
    assert label_issues.caption_issues(issues, NAMES) == ["label 2,\npredicted 7\n#42, disputed"]


def test_disputed_labels_are_counted_apart(predictions: Predictions) -> None:
    disputed = np.isin(np.arange(10), [1, 5])
    scored = label_issues.score_disputed(predictions, disputed)
    assert scored == {"disputed_error_count": 1, "undisputed_accuracy": 0.5}
    assert label_issues.score_disputed(predictions, np.zeros(10, bool)) == {}
