"""Networks as a recipe says them, in Keras."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from digits.data.datasets import IMAGE_SIDE
from digits.model.backend import choose_strategy, keras, tf
from digits.model.objects import Context, NetworkError, make_object
from digits.model.recipes import RECIPES_DIR, Layer, Recipe

INPUT_SHAPE = (IMAGE_SIDE, IMAGE_SIDE, 1)
FIRST_RATE = 0.1  # of the peak learning rate, where the warm-up starts
STEPS_PER_EXECUTION = 64  # Python's share of a step outweighs the arithmetic of small networks


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

    Layers are Keras's own, compute in float32, and have the names of those that were trained. They
    have no penalties: those would be in the loss that `evaluate` shows.

    Raises:
        NetworkError: which layer Keras refused, and why.
    """
    keras.utils.clear_session(free_memory=False)  # layers without a name are named from 1 again
    network = _build(name, recipe, Context())
    if weights:
        network.set_weights(weights)
    return network


def build_trainable(
    name: str, recipe: Recipe, step_count: int = 1, devices: int = 1
) -> keras.Model:
    """Build and compile the same network for a training of so many steps, on so many devices.

    In bfloat16 all but the last layer compute in it; weights and probabilities stay float32.

    Raises:
        NetworkError: which layer or optimizer Keras refused, and why.
        DeviceError: there are fewer devices.
    """
    dtype = "mixed_bfloat16" if recipe.precision == "bfloat16" else "float32"
    keras.utils.clear_session(free_memory=False)  # in a strategy's scope it would end the scope
    with choose_strategy(devices).scope():
        network = _build(name, recipe, Context(dtype, training=True, devices=devices))
        optimizer = _build_optimizer(name, recipe, step_count)
        sparse = recipe.loss == "sparse_categorical_crossentropy"
        kind = "SparseCategoricalCrossentropy" if sparse else "CategoricalCrossentropy"
        smoothing = {} if sparse else {"label_smoothing": recipe.label_smoothing}
        loss = getattr(keras.losses, kind)(**smoothing)
        plain = getattr(keras.metrics, kind)(name="cross_entropy")  # no smoothing, no penalties
        # On several devices Keras cannot run several steps in one call.
        steps = STEPS_PER_EXECUTION if devices == 1 else 1
        network.compile(optimizer, loss, metrics=["accuracy", plain], steps_per_execution=steps)
        optimizer.build(network.trainable_variables)
    return network


def build_callbacks(name: str, recipe: Recipe) -> list[keras.callbacks.Callback]:
    """Build Keras's callbacks that the recipe asks for.

    Raises:
        NetworkError: which one Keras refused, and why.
    """
    return [
        make_object(f"{_locate(name)}: callbacks.{key}", spec, keras.callbacks, Context())
        for key, spec in recipe.callbacks.items()
    ]


def _locate(name: str) -> str:
    return f"{RECIPES_DIR}/{name}.yaml"


def _build(name: str, recipe: Recipe, context: Context) -> keras.Model:
    image = keras.Input(INPUT_SHAPE)
    output = _chain(f"{_locate(name)}: layers", recipe.layers, image, context)
    return keras.Model(image, output, name=name)


def _build_optimizer(name: str, recipe: Recipe, step_count: int) -> keras.optimizers.Optimizer:
    where, context = f"{_locate(name)}: optimizer", Context(step_count=step_count)
    optimizer = make_object(where, recipe.optimizer, keras.optimizers, context)
    one_cycle = recipe.schedule == "one_cycle"
    scheduled = not isinstance(optimizer.learning_rate, keras.Variable)
    if one_cycle + scheduled + recipe.has_callback("ReduceLROnPlateau") > 1:
        raise NetworkError(
            f"{where}: expected one that sets the learning rate, received several of: a schedule "
            "as `learning_rate`, `schedule: one_cycle`, ReduceLROnPlateau"
        )
    if one_cycle:
        peak = float(optimizer.learning_rate)
        optimizer.learning_rate = OneCycle(peak, recipe.warmup_fraction, step_count)
    return optimizer


def _chain(where: str, layers: Mapping[str, Layer], tensor: Any, context: Context) -> Any:
    """Apply layers one after another, under the names that they have in the recipe.

    To Keras, those of a branch are `JOIN.BRANCH.LAYER`. The network's last one computes in float32.
    """
    for name, spec in layers.items():
        here, path = f"{where}.{name}", f"{context.prefix}{name}"
        final = context.last and name == [*layers][-1]
        words: dict[str, Any] = {**spec, "name": path}
        branches = words.pop("branches", None)
        if branches is not None:
            inner = {key: replace(context, last=final, prefix=f"{path}.{key}.") for key in branches}
            tensor = [
                _chain(f"{here}.branches.{key}", branch, tensor, inner[key])
                for key, branch in branches.items()
            ]
        suited = replace(context, dtype="float32") if final else context
        tensor = make_object(here, words, keras.layers, suited, tensor)
    return tensor
