"""The recipes `cnn` and `quick` trained by Keras's `fit`, plain and at its best, and by the stage.

All of them use TensorFlow's deterministic operations, as the stage does, and compute in float32.
"""

from benchmarks.arithmetic import count_operations, find_peak, make_multiplication
from benchmarks.rivals import (
    SEED,
    build_plain,
    fit_arrays,
    fit_batches,
    fit_dataset,
    load_mnist,
    load_recipe,
    make_ours,
)
from benchmarks.timing import (
    Lap,
    Rival,
    alternate,
    divide_cpu,
    divide_wall,
    judge_at_most,
    print_table,
    summarize,
)
from digits.data.splits import Split
from digits.model.backend import keras, make_repeatable
from digits.model.networks import STEPS_PER_EXECUTION, build_network
from digits.model.recipes import Recipe
from digits.stage import run

RECIPES = ("cnn", "quick")
ROUND_COUNT = 5
WANTED = 1.05  # CPU seconds of ours, times those of (2)


def make_rivals(name: str, recipe: Recipe, train: Split) -> dict[str, Rival]:
    """Make the rivals by number: 1 plain, 2 at its best, 3 ours; 1a and 1b lie between 1 and 3.

    Without batch normalization 1b is ours, and left out.
    """

    def build_fast() -> keras.Model:
        return build_plain(name, recipe, train, STEPS_PER_EXECUTION)

    rivals = {
        "1": fit_arrays(build_plain(name, recipe, train), recipe, train),
        "1a": fit_arrays(build_fast(), recipe, train),
        "2": fit_dataset(build_fast(), recipe, train),
        "3": make_ours(name, recipe, train),
    }
    if is_normalized(recipe):
        rivals["1b"] = fit_batches(build_fast(), recipe, train)
    return rivals


def is_normalized(recipe: Recipe) -> bool:
    """Say whether fused batch normalization makes a difference."""
    return any(layer["type"] == "BatchNormalization" for layer in recipe.layers.values())


def make_even(recipe: Recipe) -> Recipe:
    """Let every lap be the same work, in float32, as a notebook computes."""
    augmentation = recipe.augmentation.model_copy(update={"fade_fraction": 0.0})
    return recipe.model_copy(update={"augmentation": augmentation, "precision": "float32"})


def describe_rivals(recipe: Recipe) -> dict[str, str]:
    """Say what each rival does."""
    still = ", images undistorted" if recipe.augmentation.moves else ""
    steps = f"{STEPS_PER_EXECUTION} steps a call"
    fused = ", fused batch normalization" if is_normalized(recipe) else ""
    return {
        "1": f"`fit` on arrays{still}",
        "1a": f"`fit` on arrays{still}, {steps}",
        "2": f"`fit` on a `tf.data.Dataset`, {steps}",
        "1b": f"`fit` on our batches, {steps}",
        "3": f"ours: `fit` on our batches, {steps}{fused}",
    }


def print_speed(name: str, recipe: Recipe, laps: dict[str, list[Lap]], image_count: int) -> None:
    """Print throughput, its share of the machine's peak, and the seconds as a ratio to (1)'s."""
    peak = find_peak(laps["matmul"])
    operations = image_count * count_operations(build_network(name, recipe))
    rows: list[tuple[object, ...]] = []
    for number, label in describe_rivals(recipe).items():
        if number not in laps:
            continue
        taken, plain = laps[number], laps["1"]
        speed = summarize(image_count / lap.wall_seconds for lap in taken)
        cpu = summarize(lap.cpu_seconds for lap in taken)
        share = f"{operations / summarize(lap.wall_seconds for lap in taken).median / peak:.0%}"
        ratios = divide_cpu(taken, plain), divide_wall(taken, plain)
        rows.append((f"({number}) {label}", speed, cpu, *ratios, cpu.count, share))
    header = (f"`{name}`", "images/s", "CPU s/epoch", "CPU, times (1)", "wall, times (1)")
    print_table(f"Throughput of `{name}`", (*header, "runs", "of the peak"), rows)
    print(f"The peak: {peak / 1e9:.0f} GFLOP/s, float32 `tf.matmul`, the best of the same run.\n")


def print_verdict(laps: dict[str, list[Lap]]) -> None:
    """Print how ours stands against Keras's best form."""
    cpu, wall = divide_cpu(laps["3"], laps["2"]), divide_wall(laps["3"], laps["2"])
    verdict = judge_at_most(cpu.median, WANTED)
    print(f"(3) takes {cpu} times the CPU seconds of (2), {wall} by wall; {verdict}.\n")


def main() -> None:
    train, _ = load_mnist()
    make_repeatable(SEED, threads=0)
    for name in RECIPES:
        recipe = make_even(load_recipe(name))
        rivals = make_rivals(name, recipe, train)
        laps = alternate({**rivals, "matmul": make_multiplication()}, ROUND_COUNT)
        print_speed(name, recipe, laps, len(train.labels))
        print_verdict(laps)


if __name__ == "__main__":
    run(main)
