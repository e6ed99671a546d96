"""Seconds until the best published reference's accuracy: `quick` against 10 epochs of `deep_cnn`.

How short `quick` may be is chosen on the validation split; reported is the accuracy there of later
runs with other seeds. `quick` is timed with all that the stage does: the rehearsal,
validation after each epoch, the temperature. `deep_cnn` is trained by `fit` on arrays, and nothing
else; its lap is a measured part of an epoch, from which its ten are extrapolated: whole, they would
take ten minutes or more of every round.
"""

import itertools
import statistics
from collections.abc import Iterator, Sequence

from benchmarks.arithmetic import count_operations, find_peak, make_multiplication
from benchmarks.rivals import (
    build_plain,
    fit_arrays,
    load_mnist,
    load_recipe,
    make_plan,
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
from digits.data.splits import Split
from digits.model.batches import count_steps
from digits.model.ensemble import Trained
from digits.model.networks import build_network
from digits.model.recipes import Augmentation, Recipe
from digits.stage import run

REFERENCE_ACCURACY = 0.9927  # the best published reference
CHOICE_SEEDS = (0, 1, 2)
ROUND_COUNT = 5
PART_STEPS = 32  # of deep_cnn, a lap
WANTED = 90


def list_schedules(recipe: Recipe) -> Iterator[Recipe]:
    """List shorter forms of the recipe, cheapest first: fewer epochs, whole or half batches.

    The rise and fall of the learning rate shrink along. Few epochs are few steps, and half a batch
    gives twice as many. The goal is one on clean images, as `deep_cnn` sees them: of the
    augmentations those stay that move an image, and those of a camera go.
    """
    moves = recipe.augmentation.model_dump(include={"shift", "angle", "scale", "shear"})
    recipe = recipe.model_copy(update={"augmentation": Augmentation(**moves)})
    for epochs in range(1, recipe.epochs + 1):
        for batch_size in (recipe.batch_size, recipe.batch_size // 2):
            yield recipe.model_copy(update={"epochs": epochs, "batch_size": batch_size})


def choose_schedule(recipe: Recipe, train: Split, validation: Split) -> Recipe:
    """Return the first schedule whose mean validation accuracy is the reference's, or the last."""
    rows: list[tuple[object, ...]] = []
    schedule = recipe
    for schedule in list_schedules(recipe):
        accuracies = []
        for seed in CHOICE_SEEDS:
            plan = make_plan("quick", schedule, (train, validation), seed)
            accuracies.append(train_whole(plan).metrics["val_accuracy"])
        mean = statistics.mean(accuracies)
        each = ", ".join(f"{accuracy:.2%}" for accuracy in accuracies)
        rows.append((schedule.epochs, schedule.batch_size, f"{mean:.2%}", each))
        if mean >= REFERENCE_ACCURACY:
            break
    header = ("epochs of `quick`", "batch", "validation accuracy, mean", f"seeds {CHOICE_SEEDS}")
    print_table("Choice of the schedule", header, rows)
    return schedule


def describe_schedule(recipe: Recipe, precision: str) -> str:
    """Say how `quick` was trained."""
    epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    return f"`quick`, {epochs}, batches of {recipe.batch_size}, {precision}"


def print_speed(laps: dict[str, list[Lap]], scale: float, label: str) -> None:
    """Print both trainings' seconds and their ratio; `scale`: all of `deep_cnn` by its lap."""
    deep, quick = laps["deep_cnn"], laps["quick"]
    ratio = divide_wall(deep, quick, scale)
    deep_wall = summarize(scale * lap.wall_seconds for lap in deep)
    deep_cpu = summarize(scale * lap.cpu_seconds for lap in deep)
    quick_wall = summarize(lap.wall_seconds for lap in quick)
    quick_cpu = summarize(lap.cpu_seconds for lap in quick)
    verdict = judge_at_least(ratio.median, WANTED)
    cpu_ratio = divide_cpu(deep, quick, scale)
    rows = [
        ("`deep_cnn`, 10 epochs, extrapolated", deep_wall, deep_cpu, "", "", ratio.count, ""),
        (label, quick_wall, quick_cpu, ratio, cpu_ratio, ratio.count, verdict),
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
        f"Validation accuracy of `quick` so trained, in the timed runs and the warm-up: "
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


def take_part(recipe: Recipe, train: Split) -> Split:
    """Take the images of a lap of `deep_cnn`: whole batches."""
    count = PART_STEPS * recipe.batch_size
    return Split(train.images[:count], train.labels[:count])


def main() -> None:
    deep = load_recipe("deep_cnn")
    quick = load_recipe("quick")
    train, validation = load_mnist()
    quick = choose_schedule(quick, train, validation)
    part = take_part(deep, train)
    seeds = itertools.count(len(CHOICE_SEEDS))  # none that the choice has seen
    finished: list[Trained] = []

    def train_quick() -> None:
        plan = make_plan("quick", quick, (train, validation), next(seeds))
        finished.append(train_whole(plan))

    rivals: dict[str, Rival] = {
        "deep_cnn": fit_arrays(build_plain("deep_cnn", deep, part), deep, part),
        "quick": train_quick,
        "matmul": make_multiplication(),
    }
    laps = alternate(rivals, ROUND_COUNT)
    scale = deep.epochs * count_steps(len(train.labels), deep.batch_size) / PART_STEPS
    print_speed(laps, scale, describe_schedule(quick, finished[0].metrics["compute_dtype"]))
    print_quality(finished)
    counts = {"quick": quick.epochs * len(train.labels), "deep_cnn": len(part.labels)}
    print_share(laps, {"quick": quick, "deep_cnn": deep}, counts)


if __name__ == "__main__":
    run(main)
