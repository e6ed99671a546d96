"""What `champion` may cost: its whole training against the 10 epochs of `deep_cnn`.

Both are trained as the stage `train` does. A lap is some steps of each; the whole is extrapolated
from it, by the image. Validation is left out: `deep_cnn`'s takes longer.
"""

from benchmarks.rivals import SEED, load_mnist, make_ours
from benchmarks.timing import (
    alternate,
    divide_cpu,
    divide_wall,
    judge_at_least,
    print_table,
    summarize,
)
from digits.data.splits import Split
from digits.files.params import load_params
from digits.model.ensemble import Plan
from digits.model.recipes import Recipe
from digits.stage import run

PART_STEPS = {"champion": 64, "deep_cnn": 32}  # a lap, of a few seconds each
ROUND_COUNT = 9


def count_trained(plan: Plan) -> int:
    """Count the images of an epoch of all members."""
    splits = (plan.choose_splits(number)[0] for number in range(plan.recipe.member_count))
    return sum(len(split.labels) for split in splits)


def main() -> None:
    train, validation, _ = load_mnist()
    rivals, laps_in_all, labels = {}, {}, {}
    for name, steps in PART_STEPS.items():
        recipe = load_params(f"recipes.{name}", Recipe)
        trained = count_trained(Plan(name, recipe, train, validation, SEED))
        part_count = steps * recipe.batch_size
        part = Split(train.images[:part_count], train.labels[:part_count])
        rivals[name] = make_ours(name, recipe, part)
        laps_in_all[name] = recipe.epochs * trained / part_count
        labels[name] = f"`{name}`, {recipe.epochs} epochs, {recipe.epochs * trained:,} images"
    laps = alternate(rivals, ROUND_COUNT)
    scale = laps_in_all["deep_cnn"] / laps_in_all["champion"]
    ratio = divide_wall(laps["deep_cnn"], laps["champion"], scale)
    cpu_ratio = divide_cpu(laps["deep_cnn"], laps["champion"], scale)
    rows: list[tuple[object, ...]] = []
    for name, label in labels.items():
        whole = laps_in_all[name]
        wall = summarize(whole * lap.wall_seconds for lap in laps[name])
        cpu = summarize(whole * lap.cpu_seconds for lap in laps[name])
        rows.append((label, wall, cpu, wall.count))
    header = ("training, extrapolated", "seconds", "CPU seconds", "runs")
    print_table("What `champion` costs", header, rows)
    verdict = judge_at_least(ratio.median, 1)
    print(f"`deep_cnn` takes {ratio} times as long, {cpu_ratio} by CPU; {verdict}.\n")


if __name__ == "__main__":
    run(main)
