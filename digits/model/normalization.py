"""Batch normalization by TensorFlow's fused kernel, where that computes what Keras's layer does."""

from typing import Any

from digits.model.backend import keras, tf


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer, trained faster; it bears the same name, so that its layers do, too.

    Keras composes the normalization of a dozen operations, which each read the whole batch
    (benchmarks/README.md says what the kernel saves). What the kernel cannot do, Keras does.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:  # noqa: FBT001 (Keras's signature)
        if not (training and self._fits_kernel(inputs, mask)):
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

    def _fits_kernel(self, inputs: tf.Tensor, mask: Any) -> bool:
        return (
            mask is None
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and inputs.dtype == self.compute_dtype
            and inputs.dtype in (tf.float32, tf.bfloat16)
            and self.variable_dtype == "float32"
            and self.scale
            and self.center
            and self.trainable
            and not (self.synchronized or self.renorm)
        )
