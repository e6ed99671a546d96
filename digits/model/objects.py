"""Keras objects as a recipe says them: a class by its name, its arguments beside it."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from digits.config import did_you_mean
from digits.errors import DigitsError
from digits.model.backend import find_reason, keras
from digits.model.inspection import REFUSED
from digits.model.layers import IN_TRAINING

# Where an object is looked for, by the end of the argument's name; elsewhere it is a layer.
MODULES = {
    "regularizer": keras.regularizers,
    "initializer": keras.initializers,
    "constraint": keras.constraints,
    "learning_rate": keras.optimizers.schedules,
    "optimizer": keras.optimizers,
}
SIGNLESS = (keras.optimizers, keras.callbacks)  # which train by negative numbers, to no end
WORDS = ("on", "off", "yes", "no")  # are texts in YAML 1.2, and Python takes any text for true
PENALTIES = ("ActivityRegularization.l1", "ActivityRegularization.l2")


class NetworkError(DigitsError):
    """A recipe does not describe a network that Keras can build and train."""


@dataclass(frozen=True)
class Context:
    """What a recipe's objects are made with beside their own arguments."""

    dtype: str = "float32"
    training: bool = False  # with the layers of IN_TRAINING and penalties
    step_count: int = 1  # of the training
    devices: int = 1  # among which each batch is divided
    last: bool = True  # whether the network ends here
    prefix: str = ""  # of a branch's layers' names


def make_object(
    where: str, spec: Mapping[str, Any], module: Any, context: Context, inputs: Any = None
) -> Any:
    """Make the object that a spec names; of a layer with inputs, return its output.

    Raises:
        NetworkError: where in the recipe, and why Keras refuses it.
    """
    name = spec.get("type")
    kind = _find_class(where, name, module, context)
    made: dict[str, Any] = {"dtype": context.dtype} if module is keras.layers else {}
    for key, value in spec.items():
        penalty = key.endswith("regularizer") or f"{name}.{key}" in PENALTIES
        if key == "type" or (penalty and not context.training):
            continue
        if module in SIGNLESS and isinstance(value, int | float) and value < 0:
            raise NetworkError(f"{where}.{key}: expected 0 or more, received {value}")
        if isinstance(value, str) and value.lower() in WORDS:
            raise NetworkError(f"{where}.{key}: expected true or false, received {value!r}")
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
        result = kind(**made)
        return result if inputs is None else _call(result, inputs)
    except Exception as error:  # whatever a layer raises, ZeroDivisionError for example
        raise NetworkError(f"{where}: {find_reason(error)}, in {dict(spec)}") from error


def _call(layer: keras.layers.Layer, inputs: Any) -> Any:
    """Apply a layer to a tensor, or to those of its branches.

    A layer that takes its inputs one by one, as attention does its query and value, has those of
    the branches in their order; without branches, the same tensor for each: self-attention.
    """
    parameters = inspect.signature(layer.call).parameters.values()
    needed = [one for one in parameters if one.default is one.empty and "*" not in str(one)]
    if len(needed) < 2:
        return layer(inputs)
    return layer(*(inputs if isinstance(inputs, list) else [inputs] * len(needed)))


def _resolve(where: str, key: str, value: Any, context: Context) -> Any:
    """Make the objects that an argument names."""
    if isinstance(value, list):
        return [_resolve(f"{where}[{n}]", key, entry, context) for n, entry in enumerate(value)]
    if isinstance(value, dict):
        modules = (module for end, module in MODULES.items() if key.endswith(end))
        return make_object(where, value, next(modules, keras.layers), context)
    return value


def _find_class(where: str, name: Any, module: Any, context: Context) -> Any:
    classes = {key: value for key, value in vars(module).items() if isinstance(value, type)}
    known = {key: value for key, value in classes.items() if key not in REFUSED}
    if name not in known:
        sort = module.__name__.rpartition(".")[2].removesuffix("s")
        hint = did_you_mean(str(name), known)
        raise NetworkError(f"{where}.type: expected a Keras {sort}, received {name!r}{hint}")
    own = IN_TRAINING if context.training and module is keras.layers else {}
    return own.get(name, known[name])


def _count_steps(where: str, share: Any, step_count: int) -> Any:
    """Turn shares of the training into steps, one at least unless the share is 0."""
    if isinstance(share, list):
        return [_count_steps(where, entry, step_count) for entry in share]
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise NetworkError(f"{where}: expected a share of the training, 0 to 1, received {share!r}")
    return max(round(share * step_count), 1 if share else 0)
