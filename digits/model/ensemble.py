"""Several networks, and several views of an image, as one model whose probabilities are calibrated.

Temperature scaling: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599.
Label smoothing leaves a network less sure than it has reason to be, averaging several even less.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from digits.model.backend import keras
from digits.model.networks import INPUT_SHAPE

LOG_TEMPERATURES = (-3.0, 3.0)  # where the fit looks: a twentieth to twenty
SMALLEST_PROBABILITY = 1e-30


def join_members(name: str, members: Sequence[keras.Model], shift: int) -> keras.Model:
    """Join networks into one model that averages their probabilities, one network into itself."""
    if len(members) == 1 and shift == 0:
        return members[0]
    parts = collect_predictions(members, shift)
    return keras.Model(parts.inputs, keras.layers.Average()(parts.outputs), name=name)


def collect_predictions(members: Sequence[keras.Model], shift: int) -> keras.Model:
    """Join networks into one model that gives each one's probabilities by itself.

    Unless `shift` is 0, each of them also judges the image shifted by so many pixels to each of the
    four sides.
    """
    image = keras.Input(INPUT_SHAPE)
    views = [image]
    if shift:
        padded = keras.layers.ZeroPadding2D(shift)(image)
        still, ends = (shift, shift), ((0, 2 * shift), (2 * shift, 0))
        cuts = [*((end, still) for end in ends), *((still, end) for end in ends)]
        views += [keras.layers.Cropping2D(cut)(padded) for cut in cuts]
    return keras.Model(image, [member(view) for member in members for view in views])


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
