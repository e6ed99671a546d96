"""Whole trainings against the ten epochs by `fit` of `deep_cnn`, the best published reference.

Laps alternate, and most are extrapolated: of `deep_cnn` a part of an epoch is trained, of `quick`
and `champion` an epoch of one network, without tracing, validation and the temperature. `sprint` is
trained whole, as the stage does, with seeds by which it was not chosen.
"""

import io
import itertools
import statistics
from contextlib import redirect_stdout

import numpy as np

from benchmarks import rivals, timing
from digits.data.splits import Split
from digits.model.backend import make_repeatable
from digits.model.training import Plan, train_recipe
from digits.stage import run

REFERENCE, REFERENCE_ACCURACY = "deep_cnn", 0.9927
PART_STEPS = 32  # of it, a lap: whole, its ten epochs would take ten minutes or more
FIRST_SEED = 100  # of those that the choice of `sprint` has not seen
ROUND_COUNT = 5
WANTED = {"quick": 15, "champion": 1, "sprint": 90}  # times less, by wall and by CPU seconds


def print_ratios(laps: dict[str, timing.Laps], scales: dict[str, float]) -> None:
    """Print the trainings' seconds and ratios; `scales`: how many laps are a training."""
    whole = {
        name: (taken.wall * scales[name], taken.cpu * scales[name]) for name, taken in laps.items()
    }
    rows = []
    for name, seconds in whole.items():
        ratios = np.divide(whole[REFERENCE], seconds)
        worse = np.median(ratios, axis=1).min()
        verdict = timing.judge_at_least(worse, WANTED[name]) if name in WANTED else ""
        rows.append((f"`{name}`", *map(timing.summarize, (*seconds, *ratios)), verdict))
    header = ("training", "seconds", "CPU seconds", "times faster", "by CPU", "wanted")
    timing.print_table("Whole trainings", header, rows)


def print_accuracies(accuracies: list[float]) -> None:
    """Print the validation accuracies of `sprint`, those of the warm-up included."""
    mean = statistics.mean(accuracies)
    each = ", ".join(f"{accuracy:.2%}" for accuracy in accuracies)
    verdict = timing.judge_at_least(100 * mean, 100 * REFERENCE_ACCURACY)
    print(f"Validation accuracy of `sprint`: mean {mean:.2%} ({each}); {verdict}\n")


def main() -> None:
    timing.print_machine()
    train, validation = rivals.load_mnist()
    make_repeatable(rivals.SEED, threads=0)
    deep, sprint = rivals.load_recipe(REFERENCE), rivals.load_recipe("sprint")
    image_count = PART_STEPS * deep.batch_size
    part = Split(train.images[:image_count], train.labels[:image_count])
    made: dict[str, timing.Rival] = {REFERENCE: rivals.fit_arrays(REFERENCE, deep, part)}
    scales = {REFERENCE: rivals.count_all_steps(deep, train) / PART_STEPS, "sprint": 1}
    for name in ("quick", "champion"):
        recipe = rivals.load_recipe(name)
        made[name] = rivals.make_ours(name, recipe, train)
        scales[name] = recipe.epochs * recipe.ensemble_size
    seeds = itertools.count(FIRST_SEED)
    accuracies: list[float] = []

    def train_sprint() -> None:
        plan = Plan("sprint", sprint, train, validation, rivals.CLASS_COUNT, next(seeds))
        with redirect_stdout(io.StringIO()):  # its lines would come between the tables
            accuracies.append(train_recipe(plan).metrics["val_accuracy"])

    print_ratios(timing.alternate({**made, "sprint": train_sprint}, ROUND_COUNT), scales)
    print_accuracies(accuracies)


if __name__ == "__main__":
    run(main)
