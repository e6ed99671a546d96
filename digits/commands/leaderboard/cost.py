"""What a network costs in arithmetic, whatever the machine."""

import numpy as np

from digits.model.backend import keras

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def count_multiply_adds(network: keras.Model) -> int:
    """Count the multiply-adds of one image's forward pass through the layers that have a kernel."""
    total = 0
    for layer in network.layers:
        # A kernel is applied once for every position of the output, channels left out.
        positions = int(np.prod(layer.output.shape[1:-1]))
        kernels = (getattr(layer, name, None) for name in KERNELS)
        total += sum(
            int(np.prod(kernel.shape)) * positions for kernel in kernels if kernel is not None
        )
    return total
