"""Samples for tests of training: a recipe, images, a whole training; what a test changes is set."""

from typing import Any

import numpy as np

from digits.data.splits import Split
from digits.model.ensemble import Plan
from digits.model.recipes import Recipe

SOFTMAX: dict[str, Any] = {"Dense": {"units": 10, "activation": "softmax"}}


def make_recipe(*layers: dict[str, Any], **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "layers": list(layers),
        "loss": "categorical_crossentropy",
        "optimizer": {"Adam": {"learning_rate": 0.01}},
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
    return Plan(name, recipe, make_split(image_count), make_split(20, seed=4), 10, seed)
