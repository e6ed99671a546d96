"""Keras objects as a recipe says them, and layers of our own that train in place of Keras's."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from digits.config import did_you_mean
from digits.errors import DigitsError
from digits.model.backend import find_reason, keras, tf

# Made of code, of a vocabulary, a file or a table that Keras computes at once, or for new layers:
# no recipe names them, and no model file is loaded that does.
REFUSED = (
    *("FlaxLayer", "HashedCrossing", "Hashing", "IntegerLookup", "JaxLayer", "Lambda"),
    *("MelSpectrogram", "STFTSpectrogram", "StringLookup", "TFSMLayer", "TextVectorization"),
    *("TorchModuleWrapper", "InputSpec", "Layer", "Wrapper", "function"),
)
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


# Layers that train faster, or to the same bytes each time, under the names of Keras's. Models for
# prediction are built of Keras's own.


class BatchNormalization(keras.layers.BatchNormalization):
    """By TensorFlow's fused kernel, where that computes what Keras's layer does.

    Keras composes the normalization of a dozen operations, which each read the whole batch
    (benchmarks/README.md says what the kernel saves). What the kernel cannot do, Keras does.
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
        # The kernel gives the sample's variance (n - 1), and Keras keeps the batch's (n).
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
    """Let a convolution of one pixel add its bias by an operation of its own.

    TensorFlow folds the gradient of such a bias into that of the kernel. oneDNN 3 (jit_1x1,
    backward_weights, several threads) then sums it in an order that depends on timing: with
    AVX-512, one training in six had other bytes. Larger kernels, and those without a bias, are
    computed otherwise.
    """

    def call(self: Any, inputs: tf.Tensor) -> tf.Tensor:
        bias = self.use_bias and self.data_format == "channels_last"
        if not bias or any(size > 1 for size in self.kernel_size):
            return kind.call(self, inputs)
        outputs = self.convolution_op(inputs, self.kernel)
        # Not keras.ops.add, which makes of this the operation whose gradient is folded in.
        outputs = tf.add(outputs, self.bias.value)
        return outputs if self.activation is None else self.activation(outputs)

    return type(kind.__name__, (kind,), {"call": call})


IN_TRAINING = {
    "BatchNormalization": BatchNormalization,
    "Conv1D": _separate_bias(keras.layers.Conv1D),
    "Conv2D": _separate_bias(keras.layers.Conv2D),
}
