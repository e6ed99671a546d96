"""Make the Keras objects that a recipe names, and the layers that replace Keras's in training."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from digits.config import did_you_mean
from digits.errors import DigitsError
from digits.model.backend import find_reason, keras, tf

# Layers that run code, read files, build large tables, or are bases of others. Recipes and model
# files that name them are refused.
REFUSED = (
    *("FlaxLayer", "HashedCrossing", "Hashing", "IntegerLookup", "JaxLayer", "Lambda"),
    *("MelSpectrogram", "STFTSpectrogram", "StringLookup", "TFSMLayer", "TextVectorization"),
    *("TorchModuleWrapper", "InputSpec", "Layer", "Wrapper", "function"),
)
# The module of an object, by the end of the argument's name; any other is a layer.
MODULES = {
    "regularizer": keras.regularizers,
    "initializer": keras.initializers,
    "constraint": keras.constraints,
    "learning_rate": keras.optimizers.schedules,
    "optimizer": keras.optimizers,
}
SIGNLESS = (keras.optimizers, keras.callbacks)  # where Keras accepts senseless negative numbers
WORDS = ("on", "off", "yes", "no")  # texts in YAML 1.2, and any text is true in Python
PENALTIES = ("ActivityRegularization.l1", "ActivityRegularization.l2")


class NetworkError(DigitsError):
    """A recipe does not describe a network that Keras can build and train."""


@dataclass(frozen=True)
class Context:
    """What a recipe's objects depend on besides their own arguments."""

    dtype: str = "float32"
    training: bool = False  # with the layers of IN_TRAINING and penalties
    step_count: int = 1  # of the training
    devices: int = 1  # among which each batch is divided


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
        if key != "type" and (context.training or not penalty):
            made[key] = _resolve(f"{where}.{key}", key, value, module, context)
    if context.training and (name == "ActivityRegularization" or "activity_regularizer" in made):
        made["dtype"] = "float32"  # Keras cannot add a penalty in bfloat16 to the loss
    if context.devices > 1 and name == "BatchNormalization":
        made["synchronized"] = True  # statistics of the whole batch, not of a device's share
    if name == "Normalization" and None in (made.get("mean"), made.get("variance")):
        raise NetworkError(f"{where}: expected mean and variance: no training adapts it to images")
    try:
        result = kind(**made)
        return result if inputs is None else _call(result, inputs)
    except Exception as error:  # whatever a layer raises, ZeroDivisionError for example
        raise NetworkError(f"{where}: {find_reason(error)}, in {dict(spec)}") from error


def _call(layer: keras.layers.Layer, inputs: Any) -> Any:
    """Apply a layer to a tensor, or to those of its branches.

    A layer with several arguments, such as attention's query and value, is given the branches in
    their order or, without branches, the same tensor for each: self-attention.
    """
    parameters = inspect.signature(layer.call).parameters.values()
    needed = [one for one in parameters if one.default is one.empty and "*" not in str(one)]
    if len(needed) < 2:
        return layer(inputs)
    return layer(*(inputs if isinstance(inputs, list) else [inputs] * len(needed)))


def _resolve(where: str, key: str, value: Any, module: Any, context: Context) -> Any:
    """Return the value of an argument: its objects made, a share of the training as steps."""
    match value:
        case list():
            return [_resolve(where, key, entry, module, context) for entry in value]
        case dict():
            kinds = (kind for end, kind in MODULES.items() if key.endswith(end))
            return make_object(where, value, next(kinds, keras.layers), context)
        case str() if value.lower() in WORDS:
            raise NetworkError(f"{where}: expected true or false, received {value!r}")
        case int() | float() if module in SIGNLESS and value < 0:
            raise NetworkError(f"{where}: expected 0 or more, received {value}")
    if module is keras.optimizers.schedules and key.endswith(("_steps", "boundaries")):
        return _count_steps(where, value, context.step_count)
    return value


def _count_steps(where: str, share: Any, step_count: int) -> int:
    """Turn a share of the training into steps, at least one unless it is 0."""
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise NetworkError(f"{where}: expected a share of the training, 0 to 1, received {share!r}")
    return max(round(share * step_count), 1 if share else 0)


def _find_class(where: str, name: Any, module: Any, context: Context) -> Any:
    known = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and key not in REFUSED
    }
    if name not in known:
        sort = module.__name__.rpartition(".")[2].removesuffix("s")
        hint = did_you_mean(str(name), known)
        raise NetworkError(f"{where}.type: expected a Keras {sort}, received {name!r}{hint}")
    own = IN_TRAINING if context.training and module is keras.layers else {}
    return own.get(name, known[name])


# These layers, named like Keras's, are for training alone, where they are faster or repeatable.


class BatchNormalization(keras.layers.BatchNormalization):
    """Use TensorFlow's fused kernel where it computes the same as Keras's layer.

    Keras composes the normalization of a dozen operations that each read the whole batch
    (benchmarks/README.md says what the kernel saves).
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:  # noqa: FBT001 (Keras's signature)
        if not (training and mask is None and self._fits_kernel(inputs)):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
        )
        # The kernel divides the variance by n - 1, Keras by n.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        variance *= (count - 1) / count
        keep = self.momentum
        self.moving_mean.assign(self.moving_mean.value * keep + mean * (1 - keep))
        self.moving_variance.assign(self.moving_variance.value * keep + variance * (1 - keep))
        return outputs

    def _fits_kernel(self, inputs: tf.Tensor) -> bool:
        return (
            len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and inputs.dtype == self.compute_dtype
            and inputs.dtype in (tf.float32, tf.bfloat16)
            and self.variable_dtype == "float32"
            and self.scale
            and self.center
            and self.trainable
            and not (self.synchronized or self.renorm)
        )


def _separate_bias(kind: Any) -> type:
    """Make a 1x1 convolution add its bias in a separate operation, to be repeatable.

    TensorFlow fuses the gradient of such a bias with the kernel's. oneDNN 3 (jit_1x1,
    backward_weights, several threads) then sums it in an order that depends on timing: with
    AVX-512, one training in six gave other bytes. Larger kernels are not affected.
    """

    def call(self: Any, inputs: tf.Tensor) -> tf.Tensor:
        bias = self.use_bias and self.data_format == "channels_last"
        if not bias or any(size > 1 for size in self.kernel_size):
            return kind.call(self, inputs)
        outputs = self.convolution_op(inputs, self.kernel)
        # Not keras.ops.add: it would be the operation that is fused.
        outputs = tf.add(outputs, self.bias.value)
        return outputs if self.activation is None else self.activation(outputs)

    return type(kind.__name__, (kind,), {"call": call})


IN_TRAINING = {
    "BatchNormalization": BatchNormalization,
    "Conv1D": _separate_bias(keras.layers.Conv1D),
    "Conv2D": _separate_bias(keras.layers.Conv2D),
}
