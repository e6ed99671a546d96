"""Temperature scaling, against probabilities made too sure or too shy on purpose."""

import numpy as np
import pytest
from samples import FLATTEN, SOFTMAX, make_recipe
from scipy.special import softmax

from digits.model.backend import keras
from digits.model.networks import build_network, calibrate, fit_temperature
from digits.model.saving import predict_probabilities

COUNT = 20_000


def draw_labels(logits: np.ndarray) -> np.ndarray:
    """Draw labels that the softmax of the logits describes exactly."""
    generator = np.random.default_rng(0)
    return (softmax(logits, axis=1).cumsum(axis=1) > generator.random((len(logits), 1))).argmax(1)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_fit_finds_what_was_done_to_the_logits(temperature: float) -> None:
    logits = np.random.default_rng(1).normal(0, 2, (COUNT, 10))
    given = softmax(logits * temperature, axis=1)
    assert fit_temperature(given[None], draw_labels(logits)) == pytest.approx(temperature, rel=0.03)


def test_several_opinions_are_tempered_before_they_are_averaged() -> None:
    opinions = softmax(np.random.default_rng(2).normal(0, 2, (3, COUNT, 10)), axis=2)
    labels = draw_labels(np.log(opinions.mean(axis=0)))

    def score(temperature: float) -> float:
        powers = opinions ** (1 / temperature)
        mean = (powers / powers.sum(axis=2, keepdims=True)).mean(axis=0)
        return float(-np.log(mean[np.arange(COUNT), labels]).mean())

    best = min(np.exp(np.linspace(-1, 1, 81)), key=score)
    assert fit_temperature(opinions, labels) == pytest.approx(best, rel=0.03)


def test_certain_and_impossible_opinions_give_a_number() -> None:
    labels = np.arange(10)
    for opinion in (np.eye(10), np.roll(np.eye(10), 1, axis=0), np.full((10, 10), 0.1)):
        assert 0.04 < fit_temperature(opinion[None], labels) < 21


def test_applied_temperature_divides_the_logits_and_changes_no_rank() -> None:
    keras.utils.set_random_seed(1)
    network = build_network("n", make_recipe(FLATTEN, SOFTMAX))
    images = np.random.default_rng(0).random((50, 28, 28, 1), np.float32)
    before = predict_probabilities(network, images, 50)
    temperature = calibrate([network], before, before.argmax(axis=1))
    after = predict_probabilities(network, images, 50)
    np.testing.assert_allclose(after, softmax(np.log(before) / temperature, axis=1), rtol=1e-4)
    np.testing.assert_array_equal(before.argsort(axis=1), after.argsort(axis=1))
