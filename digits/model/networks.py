"""Build the Keras networks of a recipe, join those of an ensemble, and calibrate them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from digits.data.splits import IMAGE_SHAPE
from digits.model.backend import choose_strategy, keras, tf
from digits.model.objects import Context, NetworkError, make_object
from digits.model.recipes import Layer, Recipe

FIRST_RATE = 0.1  # of the peak learning rate, where the warm-up starts
LOG_TEMPERATURES = (-3.0, 3.0)  # bounds of the fit: temperatures from 1/20 to 20
SMALLEST_PROBABILITY = 1e-30
STEPS_PER_EXECUTION = 64  # a call of Python takes longer than a step of a small network


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to the peak rate, then a linear fall to zero at the last step."""

    def __init__(self, peak: float, warmup_fraction: float, step_count: int) -> None:
        self.peak, self.warmup_fraction, self.step_count = peak, warmup_fraction, step_count

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        progress = tf.cast(step, tf.float32) / self.step_count
        rise = FIRST_RATE + (1 - FIRST_RATE) * progress / max(self.warmup_fraction, 1e-9)
        return self.peak * tf.minimum(rise, (1 - progress) / (1 - self.warmup_fraction))


def build_network(name: str, recipe: Recipe, weights: Sequence[np.ndarray] = ()) -> keras.Model:
    """Build the recipe's network for prediction: images (n, 28, 28, 1) to probabilities (n, k).

    Layers are Keras's own and compute in float32. They have no penalties, which would be added to
    the loss.

    Raises:
        NetworkError: which layer Keras refused, and why.
    """
    keras.utils.clear_session(free_memory=False)  # unnamed layers are numbered from 1 again
    network = _build(name, recipe, Context())
    if weights:
        network.set_weights(weights)
    return network


def build_trainable(
    name: str, recipe: Recipe, step_count: int = 1, devices: int = 1
) -> keras.Model:
    """Build and compile the network for a training of so many steps, on so many devices.

    With bfloat16, weights and the last layer stay float32.

    Raises:
        NetworkError: which layer or optimizer Keras refused, and why.
        DigitsError: there are fewer devices.
    """
    dtype = "mixed_bfloat16" if recipe.precision == "bfloat16" else "float32"
    keras.utils.clear_session(free_memory=False)  # not within the strategy's scope: it would end it
    with choose_strategy(devices).scope():
        network = _build(name, recipe, Context(dtype, training=True, devices=devices))
        optimizer = _build_optimizer(recipe, step_count)
        kind = recipe.loss.title().replace("_", "")
        smoothing = {"label_smoothing": recipe.label_smoothing} if recipe.label_smoothing else {}
        loss = getattr(keras.losses, kind)(**smoothing)
        plain = getattr(keras.metrics, kind)(name="cross_entropy")  # no smoothing, no penalties
        # On several devices Keras cannot run several steps in one call.
        steps = STEPS_PER_EXECUTION if devices == 1 else 1
        network.compile(optimizer, loss, metrics=["accuracy", plain], steps_per_execution=steps)
        optimizer.build(network.trainable_variables)
    return network


def build_callbacks(recipe: Recipe) -> list[keras.callbacks.Callback]:
    """Build the recipe's callbacks.

    Raises:
        NetworkError: which one Keras refused, and why.
    """
    return [
        make_object(f"callbacks.{key}", spec, keras.callbacks, Context())
        for key, spec in recipe.callbacks.items()
    ]


def join_members(name: str, members: Sequence[keras.Model], shift: int) -> keras.Model:
    """Join networks into one model that averages their probabilities; one alone is returned."""
    if len(members) == 1 and shift == 0:
        return members[0]
    parts = collect_predictions(members, shift)
    return keras.Model(parts.inputs, keras.layers.Average()(parts.outputs), name=name)


def collect_predictions(members: Sequence[keras.Model], shift: int) -> keras.Model:
    """Join networks into one model with an output for each one's probabilities.

    Unless `shift` is 0, each has four more outputs, for the image shifted by so many pixels to each
    side (test-time augmentation).
    """
    image = keras.Input(IMAGE_SHAPE)
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
    """Divide the logits of each network's last, dense layer by the temperature that fits best.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599: label smoothing
    makes a network underconfident, averaging several even more so. `predictions` is (n, c) of one
    network, or (k, n, c) of networks and views. Returns the temperature.
    """
    temperature = fit_temperature(predictions.reshape(-1, *predictions.shape[-2:]), labels)
    for network in networks:
        for weight in network.layers[-1].weights:
            weight.assign(weight.value / temperature)
    return temperature


def fit_temperature(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature at which the averaged predictions have the least cross-entropy.

    `predictions` is float (k, n, c), probabilities of k networks for n images; the temperature is
    applied to each, then they are averaged. Above 1 they become less confident, below 1 more.
    """
    logarithms = np.log(predictions.astype(np.float64).clip(SMALLEST_PROBABILITY))
    rows = np.arange(len(labels))

    def score_loss(log_temperature: float) -> float:
        tempered = softmax(logarithms / np.exp(log_temperature), axis=2).mean(axis=0)
        return float(-np.log(tempered[rows, labels].clip(SMALLEST_PROBABILITY)).mean())

    fit = minimize_scalar(score_loss, bounds=LOG_TEMPERATURES, method="bounded")
    return round(float(np.exp(fit.x)), 4)


def _build(name: str, recipe: Recipe, context: Context) -> keras.Model:
    image = keras.Input(IMAGE_SHAPE)
    output = _chain(recipe.layers, image, context, last=True)
    return keras.Model(image, output, name=name)


def _build_optimizer(recipe: Recipe, step_count: int) -> keras.optimizers.Optimizer:
    context = Context(step_count=step_count)
    optimizer = make_object("optimizer", recipe.optimizer, keras.optimizers, context)
    one_cycle = recipe.schedule == "one_cycle"
    scheduled = not isinstance(optimizer.learning_rate, keras.Variable)
    if one_cycle + scheduled + recipe.has_callback("ReduceLROnPlateau") > 1:
        raise NetworkError(
            "optimizer: expected one that sets the learning rate, received several of: a schedule "
            "as `learning_rate`, `schedule: one_cycle`, ReduceLROnPlateau"
        )
    if one_cycle:
        peak = float(optimizer.learning_rate)
        optimizer.learning_rate = OneCycle(peak, recipe.warmup_fraction, step_count)
    return optimizer


def _chain(
    layers: Mapping[str, Layer], tensor: Any, context: Context, prefix: str = "", *, last: bool
) -> Any:
    """Apply layers one after another, under the names that they have in the recipe.

    Those of a branch are named `JOIN.BRANCH.LAYER`. The network's last one computes in float32.
    """
    for name, spec in layers.items():
        path, final = f"{prefix}{name}", last and name == [*layers][-1]
        words: dict[str, Any] = {**spec, "name": path}
        branches = words.pop("branches", None)
        if branches is not None:
            tensor = [
                _chain(branch, tensor, context, f"{path}.{key}.", last=final)
                for key, branch in branches.items()
            ]
        suited = replace(context, dtype="float32") if final else context
        tensor = make_object(f"layers.{path}", words, keras.layers, suited, tensor)
    return tensor
