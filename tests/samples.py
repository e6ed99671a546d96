"""A sample recipe: what a test does not change is set once, here."""

from typing import Any

from digits.model.recipes import Recipe

SOFTMAX: dict[str, Any] = {"Dense": {"units": 10, "activation": "softmax"}}


def make_recipe(*layers: dict[str, Any], **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "layers": list(layers),
        "loss": "categorical_crossentropy",
        "label_smoothing": 0.0,
        "optimizer": {"Adam": {"learning_rate": 0.01}},
        "schedule": "constant",
        "warmup_fraction": 0.0,
        "augmentation": {"shift": 0.0, "angle": 0.0, "scale": 0.0, "shear": 0.0},
        "epochs": 1,
        "batch_size": 64,
        "member_count": 1,
        "prediction_shift": 0,
        "train_on_validation": False,
        "temperature_scaling": False,
    }
    return Recipe(**(values | changes))
