"""Samples for tests of training: a recipe, images, a whole training; what a test changes is set."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from digits.data.splits import Split
from digits.model.recipes import Recipe
from digits.model.training import Plan, settle_recipe

Spec = dict[str, Any]


def spec(kind: str, **arguments: Any) -> Spec:
    """Write a Keras object as a recipe does."""
    return {"type": kind, **arguments}


FLATTEN, SOFTMAX = spec("Flatten"), spec("Dense", units=10, activation="softmax")


def name_layers(layers: Iterable[Spec]) -> dict[str, Spec]:
    """Call them layer1, layer2 and so on."""
    return {f"layer{number}": layer for number, layer in enumerate(layers, 1)}


def fork(*branches: Iterable[Spec]) -> dict[str, dict[str, Spec]]:
    """Call them branch1, branch2 and so on."""
    return {f"branch{number}": name_layers(layers) for number, layers in enumerate(branches, 1)}


def make_recipe(*layers: Spec, **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "layers": name_layers(layers),
        "loss": "categorical_crossentropy",
        "optimizer": spec("Adam", learning_rate=0.01),
        "epochs": 1,
        "batch_size": 64,
        "precision": "float32",  # on every machine
    }
    return Recipe(**(values | changes))


def make_split(count: int, seed: int = 3) -> Split:
    """Make noise: float32 (count, 28, 28, 1) images, and labels that mean nothing."""
    generator = np.random.default_rng(seed)
    images = generator.random((count, 28, 28, 1), np.float32)
    return Split(images, generator.integers(0, 10, count).astype(np.uint8))


def make_plan(recipe: Recipe, image_count: int = 64, seed: int = 0, name: str = "sample") -> Plan:
    settled = settle_recipe(recipe, [*"0123456789"])
    return Plan(name, settled, make_split(image_count), make_split(20, seed=4), 10, seed)
