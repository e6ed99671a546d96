"""Count a training's arithmetic, and measure how fast the machine multiplies matrices at best."""

from collections.abc import Sequence

from benchmarks.timing import Lap, Rival
from digits.commands.cost import count_multiply_adds
from digits.model.backend import keras, tf

MATRIX_SIDE = 2048
PRODUCT_COUNT = 20  # a lap of some tenths of a second
OPERATIONS_PER_PRODUCT = 2 * MATRIX_SIDE**3


def make_multiplication() -> Rival:
    """Make the rival that only multiplies float32 matrices: the machine's limit."""
    matrix = tf.random.stateless_uniform([MATRIX_SIDE, MATRIX_SIDE], [0, 0])

    @tf.function(autograph=False)
    def multiply() -> tf.Tensor:
        product = matrix
        for _ in range(PRODUCT_COUNT):
            # Scaled, so that the numbers stay of one size.
            product = tf.matmul(product, matrix) / MATRIX_SIDE
        return tf.reduce_sum(product)

    return lambda: multiply().numpy()


def find_peak(laps: Sequence[Lap]) -> float:
    """Return the operations a second of the best lap: the peak is what nobody disturbed."""
    return PRODUCT_COUNT * OPERATIONS_PER_PRODUCT / min(lap.wall_seconds for lap in laps)


def count_operations(network: keras.Model) -> int:
    """Count the floating-point operations of training on one image.

    Two for a multiply-add; three times the forward pass, as the gradients of a layer's input and
    of its kernel take one such pass each. (The first layer needs only the latter: a few per cent
    too many.)
    """
    return 3 * 2 * count_multiply_adds(network)
