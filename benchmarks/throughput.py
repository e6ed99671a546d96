"""Epochs of `cnn` and `quick`, by Keras's `fit`, plain and at its best, and by the stage.

All of them use TensorFlow's deterministic operations, as the stage does, and compute in float32.
"""

import numpy as np

from benchmarks import rivals, timing
from digits.data.splits import Split
from digits.model.backend import make_repeatable
from digits.model.recipes import Recipe
from digits.stage import run

RECIPES = ("cnn", "quick")
ROUND_COUNT = 5
BEST = "`fit` on a `tf.data.Dataset`"
OURS = "the stage"
WANTED = 1.05  # CPU seconds of the stage, times those of Keras's best form


def load_even(name: str) -> Recipe:
    """Load a recipe whose laps are all the same work, in float32, as a notebook computes."""
    recipe = rivals.load_recipe(name)
    augmentation = recipe.augmentation.model_copy(update={"fade_fraction": 0.0})
    return recipe.model_copy(update={"augmentation": augmentation, "precision": "float32"})


def make_rivals(name: str, recipe: Recipe, train: Split) -> dict[str, timing.Rival]:
    """Make the rivals, from a notebook's to the stage's."""
    return {
        "`fit` on arrays": rivals.fit_arrays(name, recipe, train),
        BEST: rivals.fit_dataset(name, recipe, train),
        OURS: rivals.make_ours(name, recipe, train),
    }


def print_speed(name: str, laps: dict[str, timing.Laps], image_count: int) -> None:
    """Print the throughput, and how the stage stands against Keras's best form."""
    rows = [
        (label, timing.summarize(image_count / taken.wall), timing.summarize(taken.cpu))
        for label, taken in laps.items()
    ]
    timing.print_table(f"Throughput of `{name}`", ("", "images/s", "CPU s/epoch"), rows)
    ours, best = laps[OURS], laps[BEST]
    cpu, wall = ours.cpu / best.cpu, ours.wall / best.wall
    print(
        f"The stage takes {timing.summarize(cpu)} times the CPU seconds of {BEST}, "
        f"{timing.summarize(wall)} by wall; {timing.judge_at_most(np.median(cpu), WANTED)}\n"
    )


def main() -> None:
    timing.print_machine()
    train, _ = rivals.load_mnist()
    make_repeatable(rivals.SEED, threads=0)
    for name in RECIPES:
        laps = timing.alternate(make_rivals(name, load_even(name), train), ROUND_COUNT)
        print_speed(name, laps, len(train.labels))


if __name__ == "__main__":
    run(main)
