"""Networks as a recipe says them, in Keras."""

import inspect
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from digits.config import did_you_mean
from digits.data.datasets import IMAGE_SIDE
from digits.errors import DigitsError
from digits.model import convolution, normalization
from digits.model.backend import choose_strategy, keras, tf
from digits.model.inspection import REFUSED
from digits.model.recipes import RECIPES_DIR, Recipe, Spec

INPUT_SHAPE = (IMAGE_SIDE, IMAGE_SIDE, 1)
# Where an object is looked for, by the end of the argument's name; elsewhere it is a layer.
MODULES = {
    "regularizer": keras.regularizers,
    "initializer": keras.initializers,
    "constraint": keras.constraints,
    "learning_rate": keras.optimizers.schedules,
    "optimizer": keras.optimizers,
}
SIGNLESS = (keras.optimizers, keras.callbacks)  # which train by negative numbers, to no end
PENALTIES = ("ActivityRegularization.l1", "ActivityRegularization.l2")
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
NO_LAYERS = ("InputSpec", "Layer", "Wrapper")  # there for those who write layers
# Layers that compute what Keras's do, faster or the same each time; models are built of Keras's.
IN_TRAINING = {
    "BatchNormalization": normalization.BatchNormalization,
    "Conv1D": convolution.Conv1D,
    "Conv2D": convolution.Conv2D,
}
FIRST_RATE = 0.1  # of the peak learning rate, where the warm-up starts
STEPS_PER_EXECUTION = 64  # Python's share of a step outweighs the arithmetic of small networks
# What Keras and TensorFlow put before, behind and into the reason of a failure.
HEADING = re.compile(
    r"(Exception encountered when calling|Arguments received by|Graph execution error|"
    r"Detected at node|<stack traces|•).*"
)
DECORATION = re.compile(r"\x1b\[[\d;]*m|\{\{.*?\}\} ?|\[Op:.*?\]( name: .*)?")


class NetworkError(DigitsError):
    """A recipe does not describe a network that Keras can build and train."""


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to the peak rate, then a linear fall to zero at the last step."""

    def __init__(self, peak: float, warmup_fraction: float, step_count: int) -> None:
        self.peak, self.warmup_fraction, self.step_count = peak, warmup_fraction, step_count

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        progress = tf.cast(step, tf.float32) / self.step_count
        rise = FIRST_RATE + (1 - FIRST_RATE) * progress / max(self.warmup_fraction, 1e-9)
        return self.peak * tf.minimum(rise, (1 - progress) / (1 - self.warmup_fraction))


@dataclass(frozen=True)
class _Context:
    """What a recipe's objects are made with beside their own arguments."""

    dtype: str = "float32"
    training: bool = False  # with the layers of IN_TRAINING and penalties
    step_count: int = 1  # of the training
    devices: int = 1  # among which each batch is divided
    last: bool = True  # whether the network ends here
    prefix: str = ""  # of a branch's layers' names


def build_network(name: str, recipe: Recipe, weights: Sequence[np.ndarray] = ()) -> keras.Model:
    """Build the recipe's network for prediction: images (n, 28, 28, 1) to probabilities (n, k).

    Layers are Keras's own, compute in float32, and have the names of those that were trained. They
    have no penalties: those would be in the loss that `evaluate` shows.

    Raises:
        NetworkError: which layer Keras refused, and why.
    """
    _name_layers_anew()
    network = _build(name, recipe, _Context())
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
    _name_layers_anew()
    with choose_strategy(devices).scope():
        network = _build(name, recipe, _Context(dtype, training=True, devices=devices))
        where = f"{_name_file(name)}: optimizer"
        context = _Context(step_count=step_count)
        optimizer = _make(where, recipe.optimizer, keras.optimizers, context)
        if recipe.schedule == "one_cycle":
            peak = float(optimizer.learning_rate)
            optimizer.learning_rate = OneCycle(peak, recipe.warmup_fraction, step_count)
        sparse = recipe.loss == "sparse_categorical_crossentropy"
        kind = "SparseCategoricalCrossentropy" if sparse else "CategoricalCrossentropy"
        smoothing = {} if sparse else {"label_smoothing": recipe.label_smoothing}
        loss = getattr(keras.losses, kind)(**smoothing)
        plain = getattr(keras.metrics, kind)(name="cross_entropy")  # no smoothing, no penalties
        metrics = ["accuracy", plain]
        # On several devices Keras cannot run several steps in one call.
        steps = STEPS_PER_EXECUTION if devices == 1 else 1
        network.compile(optimizer, loss, metrics=metrics, steps_per_execution=steps)
        optimizer.build(network.trainable_variables)
    return network


def build_callbacks(name: str, recipe: Recipe) -> list[keras.callbacks.Callback]:
    """Build Keras's callbacks that the recipe asks for."""
    return [
        _make(f"{_name_file(name)}: callbacks.{key}", spec, keras.callbacks, _Context())
        for key, spec in recipe.callbacks.items()
    ]


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


def encode_labels(labels: tf.Tensor, loss: str, class_count: int) -> tf.Tensor:
    """Turn uint8 (n,) labels into what the loss compares: one-hot float32 (n, k), or as is."""
    return tf.one_hot(labels, class_count) if loss == "categorical_crossentropy" else labels


def find_reason(error: Exception) -> str:
    """Return the line that says why Keras or TensorFlow failed."""
    text = DECORATION.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((it for it in lines if not HEADING.fullmatch(it)), type(error).__name__)


def _name_layers_anew() -> None:
    """Let Keras name layers from 1 again; in a strategy's scope this would end the scope."""
    keras.utils.clear_session(free_memory=False)


def _name_file(name: str) -> str:
    return f"{RECIPES_DIR}/{name}.yaml"


def _build(name: str, recipe: Recipe, context: _Context) -> keras.Model:
    image = keras.Input(INPUT_SHAPE)
    where = f"{_name_file(name)}: layers"
    output = _chain(where, recipe.layers, image, context)
    if len(output.shape) != 2:
        raise NetworkError(
            f"{where}: expected the last one to give a probability for each class, "
            f"received shape {output.shape}"
        )
    try:
        return keras.Model(image, output, name=name)
    except ValueError as error:  # a bad name, or two layers of one name
        raise NetworkError(f"{_name_file(name)}: {find_reason(error)}") from error


def _chain(where: str, layers: Mapping[str, Spec], tensor: Any, context: _Context) -> Any:
    """Apply layers one after another, under the names that they have in the recipe."""
    for name, spec in layers.items():
        here, own = f"{where}.{name}", _check_spec(f"{where}.{name}", spec)
        if "name" in own:
            raise NetworkError(f"{here}.name: expected none, since the layer is called {name}")
        # The last layer of the network computes in float32.
        final = context.last and name == [*layers][-1]
        suited = replace(context, last=final, dtype="float32" if final else context.dtype)
        path = f"{context.prefix}{name}"
        branches = own.pop("branches", None)
        if branches is not None:
            inner = replace(context, last=final, prefix=f"{path}.")
            tensor = _branch(f"{here}.branches", branches, tensor, inner)
        tensor = _make(here, own | {"name": path}, keras.layers, suited, tensor)
        if not isinstance(tensor, keras.KerasTensor):
            raise NetworkError(f"{here}: expected one output, received {tensor!r}")
    return tensor


def _branch(where: str, branches: Any, tensor: Any, context: _Context) -> list[Any]:
    """Apply each branch to the same tensor; to Keras, its layers are `JOIN.BRANCH.LAYER`."""
    if not isinstance(branches, dict) or not all(isinstance(it, dict) for it in branches.values()):
        raise NetworkError(
            f"{where}: expected a name for each branch and for each of its layers, such as "
            f"`{{side: {{conv: {{type: Conv2D, filters: 8}}}}, rest: {{}}}}`, received {branches!r}"
        )
    return [
        _chain(f"{where}.{key}", layers, tensor, replace(context, prefix=f"{context.prefix}{key}."))
        for key, layers in branches.items()
    ]


def _check_spec(where: str, spec: Any) -> Spec:
    """Return a copy of a spec, if it is one."""
    if isinstance(spec, dict) and isinstance(spec.get("type"), str):
        return dict(spec)
    raise NetworkError(
        f"{where}: expected a type with its arguments, such as `{{type: Dropout, rate: 0.5}}`, "
        f"received {spec!r}"
    )


def _make(where: str, spec: Spec, module: Any, context: _Context, inputs: Any = None) -> Any:
    """Make the object that a spec names; of a layer with inputs, return its output."""
    arguments = _check_spec(where, spec)
    name = arguments.pop("type")
    kind = _find_class(where, name, module, context)
    known = _list_arguments(kind)
    made: dict[str, Any] = {"dtype": context.dtype} if module is keras.layers else {}
    for key, value in arguments.items():
        if not context.training and (key.endswith("regularizer") or f"{name}.{key}" in PENALTIES):
            continue
        _check_switch(f"{where}.{key}", value, known)
        if module in SIGNLESS and isinstance(value, int | float) and value < 0:
            raise NetworkError(f"{where}.{key}: expected 0 or more, received {value}")
        made[key] = _resolve(f"{where}.{key}", key, value, context)
        if module is keras.optimizers.schedules and key.endswith(("_steps", "boundaries")):
            made[key] = _count_steps(f"{where}.{key}", value, context.step_count)
    if context.training and (name == "ActivityRegularization" or "activity_regularizer" in made):
        made["dtype"] = "float32"  # as is the loss, to which Keras adds no penalty in bfloat16
    if context.devices > 1 and name == "BatchNormalization":
        made["synchronized"] = True  # statistics are the batch's, not those of a device's share
    if name == "Normalization" and None in (made.get("mean"), made.get("variance")):
        raise NetworkError(f"{where}: expected mean and variance: no training adapts it to images")
    try:
        return _apply(kind, made, inputs)
    except Exception as error:  # whatever a layer raises, ZeroDivisionError for example
        for key in made.keys() - known.keys():
            hint = did_you_mean(key, known)
            raise NetworkError(f"{where}.{key}: unknown argument{hint}") from error
        fault = _find_fault(kind, made, inputs)
        raise NetworkError(f"{where}{fault}: {find_reason(error)}") from error


def _apply(kind: type, arguments: dict[str, Any], inputs: Any) -> Any:
    with warnings.catch_warnings(action="error", category=UserWarning):  # of a bad `mode`
        made = kind(**arguments)
    return made if inputs is None else _call(made, inputs)


def _call(layer: keras.layers.Layer, inputs: Any) -> Any:
    """Apply a layer to a tensor, or to those of its branches.

    A layer that takes its inputs one by one, as attention does its query and value, has those of
    the branches in their order; without branches, the same tensor for each: self-attention.
    """
    parameters = inspect.signature(layer.call).parameters.values()
    needed = [it for it in parameters if it.default is it.empty and it.kind in POSITIONAL]
    if len(needed) < 2:
        return layer(inputs)
    return layer(*(inputs if isinstance(inputs, list) else [inputs] * len(needed)))


def _resolve(where: str, key: str, value: Any, context: _Context) -> Any:
    """Make the objects that an argument names."""
    if isinstance(value, list):
        return [_resolve(f"{where}[{n}]", key, entry, context) for n, entry in enumerate(value)]
    if isinstance(value, dict):
        modules = (module for end, module in MODULES.items() if key.endswith(end))
        return _make(where, value, next(modules, keras.layers), context)
    if isinstance(value, float) and not math.isfinite(value):
        raise NetworkError(f"{where}: expected a finite number, received {value}")
    return value


def _find_class(where: str, name: str, module: Any, context: _Context) -> type:
    kinds = (it for it, kind in vars(module).items() if isinstance(kind, type))
    known = [it for it in kinds if it not in (*REFUSED, *NO_LAYERS)]
    if name not in known:
        sort, hint = module.__name__.rpartition(".")[2].removesuffix("s"), did_you_mean(name, known)
        raise NetworkError(f"{where}.type: expected a Keras {sort}, received {name!r}{hint}")
    replaced = context.training and module is keras.layers
    return IN_TRAINING.get(name, getattr(module, name)) if replaced else getattr(module, name)


def _list_arguments(kind: type) -> dict[str, Any]:
    """List the arguments of a class and of its bases, with their defaults."""
    arguments: dict[str, inspect.Parameter] = {}
    for base in reversed(kind.__mro__):
        arguments |= inspect.signature(vars(base).get("__init__", object.__init__)).parameters
    return {name: argument.default for name, argument in arguments.items()}


def _check_switch(where: str, value: Any, defaults: dict[str, Any]) -> None:
    """Refuse a switch where a number is meant, which Python takes for 0 or 1, and the reverse."""
    key = where.rpartition(".")[2]
    entries = value if isinstance(value, list) else [value]
    switches = [isinstance(entry, bool) for entry in entries]
    if isinstance(defaults.get(key), bool):
        if not all(switches):
            raise NetworkError(f"{where}: expected true or false, received {value!r}")
    # Arguments such as `use_cudnn` are true, false or "auto".
    elif any(switches) and key in defaults and not key.startswith("use_"):
        raise NetworkError(f"{where}: expected neither true nor false, received {value!r}")


def _count_steps(where: str, share: Any, step_count: int) -> Any:
    """Turn shares of the training into steps, one at least unless the share is 0."""
    if isinstance(share, list):
        return [_count_steps(where, entry, step_count) for entry in share]
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise NetworkError(f"{where}: expected a share of the training, 0 to 1, received {share!r}")
    return max(round(share * step_count), 1 if share else 0)


def _find_fault(kind: type, arguments: dict[str, Any], inputs: Any) -> str:
    """Find the argument without which, or with 1 in its place, it would have worked."""

    def works(changed: dict[str, Any]) -> bool:
        try:
            return _apply(kind, changed, inputs) is not None
        except Exception:  # noqa: BLE001 (as above: whatever a layer raises)
            return False

    for key in arguments:
        others = {name: value for name, value in arguments.items() if name != key}
        if works(others) or works({**others, key: 1}):
            return f".{key}"
    return ""
