"""Convolutions whose training gives the same bytes each time, where Keras's own does not."""

from typing import Any

from digits.model.backend import keras, tf


class _RepeatableBias:
    """Adds the bias of a kernel of one pixel by an operation of its own.

    TensorFlow folds the gradient of such a bias into that of the kernel. oneDNN 3 (jit_1x1,
    backward_weights, several threads) then sums it in an order that depends on timing: one training
    in six had other bytes. Larger kernels, and those without a bias, are computed otherwise.
    """

    use_bias: bool
    data_format: str
    kernel_size: tuple[int, ...]
    bias: Any
    kernel: Any
    activation: Any
    convolution_op: Any

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        bias = self.use_bias and self.data_format == "channels_last"
        if not bias or any(size > 1 for size in self.kernel_size):
            return super().call(inputs)  # type: ignore[misc] # of Keras's layer, beside which this stands
        outputs = self.convolution_op(inputs, self.kernel)
        # Not keras.ops.add, which makes of this the operation whose gradient is folded in.
        outputs = tf.add(outputs, self.bias.value)
        return outputs if self.activation is None else self.activation(outputs)


class Conv1D(_RepeatableBias, keras.layers.Conv1D):
    """Keras's layer; it bears the same name, so that its layers do, too."""


class Conv2D(_RepeatableBias, keras.layers.Conv2D):
    """Keras's layer; it bears the same name, so that its layers do, too."""
