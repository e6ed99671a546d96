"""Keras's layers where they train faster, or to the same bytes each time.

They have the names of Keras's. Models for prediction are built of Keras's own.
"""

from typing import Any

from digits.model.backend import keras, tf


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
