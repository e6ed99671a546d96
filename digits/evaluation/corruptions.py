"""Corruptions of images: what may befall a digit between paper and model.

A corruption turns float32 (n, 28, 28) in [0, 1] into the same, harder the greater its strength.
Where there is a direction, neighbouring images go different ways, so that none is preferred.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from digits.data.splits import Split

SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))  # right, down, left, up
NOISE_SEED = 0  # a fact of the measure: the same noise for every model


@dataclass(frozen=True)
class Corruption:
    """What is done, how strongly, in which unit."""

    apply: Callable[[np.ndarray, float], np.ndarray]
    strengths: tuple[float, ...]
    unit: str


def shift(images: np.ndarray, pixels: float) -> np.ndarray:
    """Move each image by whole pixels to one of the four sides; what comes in is 0."""
    moved = np.empty_like(images)
    for number, (down, right) in enumerate(SIDES):
        part = slice(number, None, len(SIDES))
        offset = (0, down * pixels, right * pixels)
        moved[part] = ndimage.shift(images[part], offset, order=0)
    return moved


def rotate(images: np.ndarray, degrees: float) -> np.ndarray:
    """Turn every other image clockwise, the others counter-clockwise; bilinear."""
    turned = np.empty_like(images)
    for number, angle in enumerate((degrees, -degrees)):
        part = slice(number, None, 2)
        turned[part] = ndimage.rotate(images[part], angle, axes=(1, 2), reshape=False, order=1)
    return turned


def add_noise(images: np.ndarray, deviation: float) -> np.ndarray:
    """Add Gaussian noise to every pixel, and clip."""
    noise = np.random.default_rng(NOISE_SEED).standard_normal(images.shape, np.float32)
    return (images + np.float32(deviation) * noise).clip(0, 1)


def blur(images: np.ndarray, deviation: float) -> np.ndarray:
    """Smooth with a Gaussian of so many pixels."""
    return ndimage.gaussian_filter(images, (0, deviation, deviation))


def reduce_contrast(images: np.ndarray, fraction: float) -> np.ndarray:
    """Bring every pixel nearer to its image's mean (Hendrycks and Dietterich, arXiv 1903.12261)."""
    means = images.mean(axis=(1, 2), keepdims=True)
    return means + np.float32(1 - fraction) * (images - means)


def invert(images: np.ndarray, fraction: float) -> np.ndarray:
    """Swap ink and paper; a fraction below 1 goes part of the way."""
    return images + np.float32(fraction) * (1 - 2 * images)


CORRUPTIONS: dict[str, Corruption] = {
    "shift": Corruption(shift, (1, 2, 3, 4), "pixels"),
    "rotation": Corruption(rotate, (5, 10, 15, 20, 25, 30), "degrees"),
    "noise": Corruption(add_noise, (0.1, 0.2, 0.3, 0.4, 0.5), "standard deviation"),
    "blur": Corruption(blur, (0.5, 1.0, 1.5, 2.0), "standard deviation in pixels"),
    "contrast": Corruption(reduce_contrast, (0.2, 0.4, 0.6, 0.8), "fraction lost"),
    "inversion": Corruption(invert, (1.0,), "fraction"),
}


def measure_robustness(
    predict: Callable[[np.ndarray], np.ndarray], test: Split, count: int
) -> pd.DataFrame:
    """Score a model on corrupted images, a row a corruption and strength, 0 for none.

    `predict` takes float32 (n, 28, 28, 1) to classes (n,). The images are spread evenly over the
    split: MNIST's first test images are its easier ones.
    """
    chosen = np.linspace(0, len(test.labels) - 1, min(count, len(test.labels))).round().astype(int)
    images, labels = test.images[chosen, ..., 0], test.labels[chosen]
    clean = float((predict(images[..., np.newaxis]) == labels).mean())
    rows = []
    for name, corruption in CORRUPTIONS.items():
        strengths = (0.0, *corruption.strengths)
        corrupted = np.concatenate(
            [corruption.apply(images, strength) for strength in strengths[1:]]
        )
        predicted = predict(corrupted[..., np.newaxis]).reshape(-1, len(labels))
        accuracies = [clean, *(predicted == labels).mean(axis=1).tolist()]
        for strength, accuracy in zip(strengths, accuracies, strict=True):
            rows.append((name, corruption.unit, strength, accuracy))
        print(f"{name} of {strength:g} ({corruption.unit}): {accuracy:.1%} right", flush=True)
    return pd.DataFrame(rows, columns=["corruption", "unit", "strength", "accuracy"])


def score_robustness(robustness: pd.DataFrame) -> float:
    """Average the accuracy over the strengths of each corruption, then over the corruptions."""
    corrupted = robustness[robustness["strength"] > 0]
    return float(corrupted.groupby("corruption")["accuracy"].mean().mean())
