"""Temperature scaling: a model's probabilities made to mean what they say.

Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599. Label smoothing
leaves a network less sure than it has reason to be, averaging several of them even less.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from digits.model.backend import keras

LOG_TEMPERATURES = (-3.0, 3.0)  # where the fit looks: a twentieth to twenty
SMALLEST_PROBABILITY = 1e-30


def fit_temperature(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature at which the averaged predictions have the least cross-entropy.

    `predictions` is float (k, n, c), probabilities of k networks for n images; each is tempered,
    then all are averaged. Above 1 the probabilities become less sure, below 1 surer.
    """
    logarithms = np.log(predictions.astype(np.float64).clip(SMALLEST_PROBABILITY))
    rows = np.arange(len(labels))

    def score_loss(log_temperature: float) -> float:
        tempered = softmax(logarithms / np.exp(log_temperature), axis=2).mean(axis=0)
        return float(-np.log(tempered[rows, labels].clip(SMALLEST_PROBABILITY)).mean())

    fit = minimize_scalar(score_loss, bounds=LOG_TEMPERATURES, method="bounded")
    return round(float(np.exp(fit.x)), 4)


def calibrate(
    networks: Sequence[keras.Model], predictions: np.ndarray, labels: np.ndarray
) -> float:
    """Divide what goes into the softmax of each last, dense layer by the temperature that fits.

    `predictions` is (n, c) of one network, or (k, n, c) of networks and views. No class changes its
    rank. Returns the temperature.
    """
    temperature = fit_temperature(predictions.reshape(-1, *predictions.shape[-2:]), labels)
    for network in networks:
        for weight in network.layers[-1].weights:
            weight.assign(weight.value / temperature)
    return temperature
