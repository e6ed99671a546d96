"""What a training tells people: its cost before, its progress meanwhile, its speed at the end."""

import math
import sys
from collections.abc import Iterator, Sequence

from digits.model.backend import keras
from digits.model.networks import count_multiply_adds
from digits.model.recipes import Recipe


def describe_cost(network: keras.Sequential, recipe: Recipe, image_counts: Sequence[int]) -> str:
    """Say before the training what it will take, with so many images for each member."""
    steps = recipe.epochs * sum(math.ceil(count / recipe.batch_size) for count in image_counts)
    millions = count_multiply_adds(network) / 1e6
    counts = f"{min(image_counts):,}"
    if max(image_counts) > min(image_counts):
        counts += f" to {max(image_counts):,}"
    return (
        f"{network.name}: {network.count_params():,} parameters, {millions:.2f} million "
        f"multiply-adds an image; {recipe.member_count} x {recipe.epochs} epochs "
        f"of {counts} images in {steps:,} steps"
    )


def show_progress(progress: Iterator[tuple[int, float, float]], count: int) -> tuple[float, float]:
    """Show an epoch by Keras's progress bar; return its accuracy and loss."""
    names = ("accuracy", "loss")
    # A terminal gets a bar that moves, a log file one line an epoch.
    verbose = 1 if sys.stdout.isatty() else 2
    bar = keras.utils.Progbar(count, verbose=verbose, stateful_metrics=names, unit_name="image")
    scores = (math.nan, math.nan)
    for done, *now in progress:
        scores = now[0], now[1]
        bar.update(done, list(zip(names, scores, strict=True)))
    return scores


def describe_speed(image_count: int, seconds: float) -> str:
    """Say how long the training took; the metrics do not, to be the same whenever it is repeated.

    `make leaderboard` reads this line.
    """
    rate = image_count / seconds
    return f"trained on {image_count:,} images in {seconds:.1f} s: {rate:,.0f} images a second"
