"""Build the network of a recipe with Keras."""

from typing import Any

import numpy as np

from digits.data.datasets import CLASS_COUNT, IMAGE_SIDE
from digits.errors import DigitsError
from digits.model.backend import keras
from digits.model.recipes import Precision, Recipe, Spec

INPUT_SHAPE = (IMAGE_SIDE, IMAGE_SIDE, 1)


class NetworkError(DigitsError):
    """A recipe does not describe a network that Keras can build and train on ten classes."""


def build_network(name: str, recipe: Recipe, precision: Precision = "float32") -> keras.Sequential:
    """Build and compile the recipe's network: images (n, 28, 28, 1) to probabilities (n, 10).

    In bfloat16 all but the last layer compute in it; weights and probabilities stay float32.

    Raises:
        NetworkError: which layer or optimizer Keras refused, and why.
    """
    if not name or "/" in name:
        raise NetworkError(f"recipes.{name}: expected a name without a slash, received {name!r}")
    network = keras.Sequential([keras.Input(INPUT_SHAPE)], name=name)
    for number, spec in enumerate(recipe.layers):
        where = f"recipes.{name}.layers[{number}]"
        last = number == len(recipe.layers) - 1
        dtype = "mixed_bfloat16" if precision == "bfloat16" and not last else "float32"
        layer = _make(where, spec, keras.layers, keras.layers.Layer, dtype=dtype)
        try:
            network.add(layer)
        except Exception as error:  # whatever a layer raises, ZeroDivisionError for example
            raise NetworkError(f"{where}: {_first_line(error)}") from error
    _check_output(name, network)
    optimizer = _make(
        f"recipes.{name}.optimizer", recipe.optimizer, keras.optimizers, keras.optimizers.Optimizer
    )
    network.compile(optimizer=optimizer, loss=build_loss(recipe), metrics=["accuracy"])
    return network


def join_members(name: str, members: list[keras.Sequential], shift: int) -> keras.Model:
    """Join networks into one model that averages their opinions, one network into itself."""
    if len(members) == 1 and shift == 0:
        return members[0]
    opinions = collect_opinions(members, shift)
    return keras.Model(opinions.inputs, keras.layers.Average()(opinions.outputs), name=name)


def collect_opinions(members: list[keras.Sequential], shift: int) -> keras.Model:
    """Join networks into one model that gives each one's probabilities by itself.

    Unless `shift` is 0, each of them also judges the image shifted by so many pixels to each of the
    four sides.
    """
    image = keras.Input(INPUT_SHAPE)
    views = [image]
    if shift:
        sides = (
            ((shift, 0), (0, 0)),
            ((0, shift), (0, 0)),
            ((0, 0), (shift, 0)),
            ((0, 0), (0, shift)),
        )
        views += [_shift(image, side) for side in sides]
    return keras.Model(image, [member(view) for member in members for view in views])


def _shift(image: Any, side: tuple[tuple[int, int], tuple[int, int]]) -> Any:
    """Add empty rows or columns on one side and cut as many off on the other."""
    (top, bottom), (left, right) = side
    padded = keras.layers.ZeroPadding2D(side)(image)
    return keras.layers.Cropping2D(((bottom, top), (right, left)))(padded)


def build_loss(recipe: Recipe) -> keras.losses.Loss:
    """Build the recipe's loss, the mean over a batch."""
    if recipe.loss == "sparse_categorical_crossentropy":
        return keras.losses.SparseCategoricalCrossentropy()
    return keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)


def encode_labels(labels: np.ndarray, loss: str) -> np.ndarray:
    """Turn uint8 (n,) labels into what the loss compares: one-hot float32 (n, 10), or as is."""
    if loss == "categorical_crossentropy":
        return keras.utils.to_categorical(labels, CLASS_COUNT).astype(np.float32)
    return labels


def count_multiply_adds(network: keras.Sequential) -> int:
    """Count the multiply-adds of one image's forward pass through the layers that have a kernel."""
    total = 0
    for layer in network.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            # A kernel is applied once for every position of the output, channels left out.
            total += int(np.prod(kernel.shape)) * int(np.prod(layer.output.shape[1:-1]))
    return total


def _make(where: str, spec: Spec, module: Any, base: type, **defaults: Any) -> Any:
    """Make the object that a spec names, with its arguments, which overrule the defaults.

    Lambda is refused: its code would have to live in `params.yaml` and run on loading.
    """
    ((class_name, arguments),) = spec.items()
    kind = getattr(module, class_name, None)
    if not (isinstance(kind, type) and issubclass(kind, base)) or class_name == "Lambda":
        raise NetworkError(
            f"{where}: expected a Keras {base.__name__.lower()} by name, received {class_name!r}"
        )
    try:
        return kind(**(defaults | arguments))
    except Exception as error:  # AttributeError where a number stands for a word, and the like
        raise NetworkError(f"{where}: {class_name}: {_first_line(error)}") from error


def _check_output(name: str, network: keras.Sequential) -> None:
    last = network.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", None)
    # A network with a layer that does nothing, such as Layer itself, has no shape.
    shape = getattr(network, "output_shape", None)
    if shape != (None, CLASS_COUNT) or "softmax" not in (activation, last.name):
        raise NetworkError(
            f"recipes.{name}.layers: expected the last one to give {CLASS_COUNT} probabilities "
            f"(softmax), received shape {shape} and activation {activation}"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
