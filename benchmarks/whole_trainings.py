"""All epochs of `quick` and of `champion` against 10 epochs of `deep_cnn`, in turn.

A lap of ours is an epoch of one network, trained as the stage trains it; the recipe's epochs and
networks are extrapolated from it, as the ten of `deep_cnn` are from a part of an epoch. On neither
side counts what comes before, between and after the epochs: tracing, validation, the temperature.
"""

from benchmarks.rivals import (
    PART_STEPS,
    SEED,
    build_plain,
    count_all_steps,
    fit_arrays,
    load_mnist,
    load_recipe,
    make_ours,
    make_plan,
    take_part,
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
from digits.model.backend import make_repeatable
from digits.stage import run

WANTED = {"quick": 15, "champion": 1}  # times the CPU seconds
ROUND_COUNT = 5


def print_ratios(laps: dict[str, list[Lap]], scales: dict[str, float]) -> None:
    """Print the trainings' seconds and their ratios; `scales`: a training by its lap."""
    deep = laps["deep_cnn"]
    rows: list[tuple[object, ...]] = []
    for name, scale in scales.items():
        taken = laps[name]
        wall = summarize(scale * lap.wall_seconds for lap in taken)
        cpu = summarize(scale * lap.cpu_seconds for lap in taken)
        row = (f"`{name}`", wall, cpu)
        if name == "deep_cnn":
            rows.append((*row, "", "", wall.count, ""))
            continue
        less = scales["deep_cnn"] / scale
        ratio = divide_cpu(deep, taken, less)
        verdict = judge_at_least(ratio.median, WANTED[name])
        rows.append((*row, divide_wall(deep, taken, less), ratio, wall.count, verdict))
    header = ("training", "seconds", "CPU seconds", "times less, wall", "CPU", "runs", "wanted")
    print_table("Whole trainings, extrapolated", header, rows)


def main() -> None:
    train, validation = load_mnist()
    make_repeatable(SEED, threads=0)
    deep = load_recipe("deep_cnn")
    part = take_part(deep, train)
    rivals: dict[str, Rival] = {
        "deep_cnn": fit_arrays(build_plain("deep_cnn", deep, part), deep, part)
    }
    scales = {"deep_cnn": count_all_steps(deep, train) / PART_STEPS}
    for name in WANTED:
        recipe = make_plan(name, load_recipe(name), (train, validation), SEED).recipe
        rivals[name] = make_ours(name, recipe, train)
        scales[name] = recipe.epochs * recipe.ensemble_size
    print_ratios(alternate(rivals, ROUND_COUNT), scales)


if __name__ == "__main__":
    run(main)
