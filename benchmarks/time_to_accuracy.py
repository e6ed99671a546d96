"""Seconds until the best published reference's accuracy: `sprint` against 10 epochs of `deep_cnn`.

`sprint` was chosen on the validation split; reported is the accuracy there with other seeds.
It is timed with all that the stage does: the rehearsal, tracing, validation, the temperature.
`deep_cnn` is trained by `fit` on arrays, and nothing else; its lap is a measured part of an epoch,
from which its ten are extrapolated.
"""

import itertools
import statistics
from collections.abc import Sequence

from benchmarks.arithmetic import count_operations, find_peak, make_multiplication
from benchmarks.rivals import (
    PART_STEPS,
    build_plain,
    count_all_steps,
    fit_arrays,
    load_mnist,
    load_recipe,
    make_plan,
    take_part,
    train_whole,
)
from benchmarks.timing import (
    Lap,
    Rival,
    alternate,
    divide_cpu,
    divide_wall,
    judge_at_least,
    print_table,
    summarize,
)
from digits.model.networks import build_network
from digits.model.recipes import Recipe
from digits.model.training import Trained
from digits.stage import run

REFERENCE_ACCURACY = 0.9927  # the best published reference
FIRST_SEED = 100  # of those that the choice of the recipe has not seen
ROUND_COUNT = 5
WANTED = 90


def print_speed(laps: dict[str, list[Lap]], scale: float, label: str) -> None:
    """Print both trainings' seconds and their ratio; `scale`: all of `deep_cnn` by its lap."""
    deep, sprint = laps["deep_cnn"], laps["sprint"]
    ratio = divide_wall(deep, sprint, scale)
    deep_wall = summarize(scale * lap.wall_seconds for lap in deep)
    deep_cpu = summarize(scale * lap.cpu_seconds for lap in deep)
    sprint_wall = summarize(lap.wall_seconds for lap in sprint)
    sprint_cpu = summarize(lap.cpu_seconds for lap in sprint)
    verdict = judge_at_least(ratio.median, WANTED)
    cpu_ratio = divide_cpu(deep, sprint, scale)
    rows = [
        ("`deep_cnn`, 10 epochs, extrapolated", deep_wall, deep_cpu, "", "", ratio.count, ""),
        (label, sprint_wall, sprint_cpu, ratio, cpu_ratio, ratio.count, verdict),
    ]
    header = ("training", "seconds", "CPU seconds", "times faster, wall", "CPU", "runs", "wanted")
    print_table(f"Time to {REFERENCE_ACCURACY:.2%}", header, rows)


def print_quality(finished: Sequence[Trained]) -> None:
    """Print the validation accuracy of the timed runs."""
    accuracies = [trained.metrics["val_accuracy"] for trained in finished]
    each = ", ".join(f"{accuracy:.2%}" for accuracy in accuracies)
    mean = statistics.mean(accuracies)
    side = "reached" if mean >= REFERENCE_ACCURACY else "MISSED"
    print(
        f"Validation accuracy of `sprint` in the timed runs and the warm-up: "
        f"mean {mean:.2%} ({each}); {REFERENCE_ACCURACY:.2%} is {side}.\n"
    )


def print_share(
    laps: dict[str, list[Lap]], recipes: dict[str, Recipe], image_counts: dict[str, int]
) -> None:
    """Print how much of the machine's peak the trainings use, from the images of their laps."""
    peak = find_peak(laps["matmul"])
    shares = []
    for name, recipe in recipes.items():
        operations = image_counts[name] * count_operations(build_network(name, recipe))
        seconds = summarize(lap.wall_seconds for lap in laps[name]).median
        shares.append(f"`{name}` {operations / seconds / peak:.0%}")
    print(f"Of the peak, {peak / 1e9:.0f} GFLOP/s (float32 `tf.matmul`): {', '.join(shares)}.\n")


def main() -> None:
    recipes = {name: load_recipe(name) for name in ("sprint", "deep_cnn")}
    sprint, deep = recipes.values()
    train, validation = load_mnist()
    part = take_part(deep, train)
    seeds = itertools.count(FIRST_SEED)
    finished: list[Trained] = []

    def train_sprint() -> None:
        plan = make_plan("sprint", sprint, (train, validation), next(seeds))
        finished.append(train_whole(plan))

    rivals: dict[str, Rival] = {
        "deep_cnn": fit_arrays(build_plain("deep_cnn", deep, part), deep, part),
        "sprint": train_sprint,
        "matmul": make_multiplication(),
    }
    laps = alternate(rivals, ROUND_COUNT)
    scale = count_all_steps(deep, train) / PART_STEPS
    label = f"`sprint`, {finished[0].metrics['compute_dtype']}"
    print_speed(laps, scale, label)
    print_quality(finished)
    counts = {"sprint": sprint.epochs * len(train.labels), "deep_cnn": len(part.labels)}
    print_share(laps, recipes, counts)


if __name__ == "__main__":
    run(main)
