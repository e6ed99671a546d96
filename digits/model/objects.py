"""Keras objects as a recipe says them: a class by its name, its arguments beside it."""

import inspect
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from digits.config import did_you_mean
from digits.errors import DigitsError
from digits.model.backend import keras
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
PENALTIES = ("ActivityRegularization.l1", "ActivityRegularization.l2")
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
# What Keras and TensorFlow put before, behind and into the reason of a failure.
HEADING = re.compile(
    r"(Exception encountered when calling|Arguments received by|Graph execution error|"
    r"Detected at node|<stack traces|•).*"
)
DECORATION = re.compile(r"\x1b\[[\d;]*m|\{\{.*?\}\} ?|\[Op:.*?\]( name: .*)?")


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
    arguments = dict(spec)
    name = arguments.pop("type", None)
    kind = _find_class(where, name, module, context)
    known = _list_arguments(kind)
    made: dict[str, Any] = {"dtype": context.dtype} if module is keras.layers else {}
    for key, value in arguments.items():
        if not context.training and (key.endswith("regularizer") or f"{name}.{key}" in PENALTIES):
            continue
        _check_argument(f"{where}.{key}", value, known.get(key), module)
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
        with warnings.catch_warnings(action="error", category=UserWarning):  # of a bad `mode`
            result = kind(**made)
        return result if inputs is None else _call(result, inputs)
    except Exception as error:  # whatever a layer raises, ZeroDivisionError for example
        for key in made.keys() - known.keys():
            hint = did_you_mean(key, known)
            raise NetworkError(f"{where}.{key}: unknown argument{hint}") from error
        raise NetworkError(f"{where}: {find_reason(error)}, in {spec}") from error


def find_reason(error: Exception) -> str:
    """Return the line that says why Keras or TensorFlow failed."""
    text = DECORATION.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if not HEADING.fullmatch(line)), type(error).__name__)


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


def _resolve(where: str, key: str, value: Any, context: Context) -> Any:
    """Make the objects that an argument names."""
    if isinstance(value, list):
        return [_resolve(f"{where}[{n}]", key, entry, context) for n, entry in enumerate(value)]
    if isinstance(value, dict):
        modules = (module for end, module in MODULES.items() if key.endswith(end))
        return make_object(where, value, next(modules, keras.layers), context)
    return value


def _check_argument(where: str, value: Any, default: Any, module: Any) -> None:
    """Refuse what Keras would take for something else, or train by to no end."""
    if isinstance(default, bool) and not isinstance(value, bool):
        raise NetworkError(f"{where}: expected true or false, received {value!r}")
    if isinstance(value, bool) and not isinstance(default, bool | str):
        raise NetworkError(f"{where}: expected neither true nor false, received {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise NetworkError(f"{where}: expected a finite number, received {value}")
    if module in SIGNLESS and isinstance(value, int | float) and value < 0:
        raise NetworkError(f"{where}: expected 0 or more, received {value}")


def _find_class(where: str, name: Any, module: Any, context: Context) -> type:
    classes = [key for key, value in vars(module).items() if isinstance(value, type)]
    known = [key for key in classes if key not in REFUSED]
    if name not in known:
        sort = module.__name__.rpartition(".")[2].removesuffix("s")
        hint = did_you_mean(str(name), known)
        raise NetworkError(f"{where}.type: expected a Keras {sort}, received {name!r}{hint}")
    own = IN_TRAINING if context.training and module is keras.layers else {}
    return own.get(name, getattr(module, name))


def _list_arguments(kind: type) -> dict[str, Any]:
    """List the arguments of a class and of its bases, with their defaults."""
    arguments: dict[str, inspect.Parameter] = {}
    for base in reversed(kind.__mro__):
        arguments |= inspect.signature(vars(base).get("__init__", object.__init__)).parameters
    return {name: argument.default for name, argument in arguments.items()}


def _count_steps(where: str, share: Any, step_count: int) -> Any:
    """Turn shares of the training into steps, one at least unless the share is 0."""
    if isinstance(share, list):
        return [_count_steps(where, entry, step_count) for entry in share]
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise NetworkError(f"{where}: expected a share of the training, 0 to 1, received {share!r}")
    return max(round(share * step_count), 1 if share else 0)
