"""`make leaderboard`: run every recipe over its seeds as DVC experiments, and rank the recipes.

`benchmarks/leaderboard.yaml` lists them: recipes of `params.yaml`, and some that are one of those
with overrides, under a name of their own: `cnn_20_epochs` is `cnn` with `epochs: 20`.

A run is the experiment `leaderboard-RECIPE-SEED`. It sets every override, to null where the
recipe's own value is meant, so that no override in `params.yaml` changes it. It is not run again as
long as its experiment hangs at a commit since which no stage's code and no parameter has changed:
HEAD, or an earlier one. After other changes it is run again, and DVC restores from its run-cache
every stage that the change does not concern. What is run is what is committed.
"""

import importlib.metadata
import os
import platform
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from digits.commands import standings
from digits.commands.charts import draw_leaderboard
from digits.commands.dvc import fetch_data, list_experiments, run_experiment
from digits.commands.git import ask_git
from digits.commands.outputs import check_outputs
from digits.commands.standings import Entry, Run, Timing
from digits.data.datasets import load_dataset
from digits.errors import DigitsError
from digits.evaluation.figures import write_figure
from digits.files.artifacts import write_text
from digits.files.params import PARAMS_PATH, did_you_mean, load_params
from digits.files.tables import load_table
from digits.model.recipes import Recipe
from digits.paths import DVC_YAML_PATH

BOARD_PATH = Path("benchmarks/leaderboard.yaml")
TIMES_PATH = Path("benchmarks/runs.csv")
PICTURE_PATH = Path("benchmarks/leaderboard.png")
MARKDOWN_PATH = Path("LEADERBOARD.md")
CPUINFO_PATH = Path("/proc/cpuinfo")


class LeaderboardError(DigitsError):
    """The runs cannot start, or one of them failed."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", metavar="RECIPE", help="run these recipes only")
    parser.add_argument("--seeds", nargs="+", type=int, help="run these of their seeds only")
    parser.add_argument(
        "--force", action="store_true", help="train anew what has run, to take its time"
    )
    parser.add_argument("--no-run", action="store_true", help="rank what has run")


def choose_runs(wanted: Sequence[Run], arguments: Namespace) -> list[Run]:
    """Keep what the arguments ask for.

    Raises:
        LeaderboardError: an unknown recipe, or none that was asked for has one of the seeds.
    """
    known = {run.recipe for run in wanted}
    recipes = arguments.only or known
    for name in set(recipes) - known:
        hint = did_you_mean(name, known)
        raise LeaderboardError(f"--only: expected recipes of {BOARD_PATH}, received {name!r}{hint}")
    of_recipes = [run for run in wanted if run.recipe in recipes]
    seeds = sorted({run.seed for run in of_recipes})
    unknown = set(arguments.seeds or ()) - set(seeds)
    if unknown:
        listed = f"of {seeds}, listed in {BOARD_PATH}"
        raise LeaderboardError(f"--seeds: expected some {listed}, received {sorted(unknown)}")
    return [run for run in of_recipes if arguments.seeds is None or run.seed in arguments.seeds]


def load_entries(dataset: str) -> dict[str, Entry]:
    """Load what there is to run.

    Raises:
        LeaderboardError: `params.yaml` has another dataset, or lacks a recipe.
    """
    selected = load_params("dataset", str)
    if selected != dataset:
        raise LeaderboardError(
            f"{PARAMS_PATH}: dataset: expected {dataset!r}, which {BOARD_PATH} is about, "
            f"received {selected!r}"
        )
    entries: dict[str, Entry] = load_params("recipes", dict[str, Entry], BOARD_PATH)
    for name, entry in entries.items():
        load_params(f"recipes.{entry.recipe or name}", dict)
    return entries


def list_inputs() -> list[str]:
    """List the files of which a run is made: parameters, the DAG and its stages' code."""
    stages: dict[str, Any] = load_params("stages", dict[str, Any], DVC_YAML_PATH)
    code = {dep for stage in stages.values() for dep in stage["deps"] if dep.endswith(".py")}
    return [str(PARAMS_PATH), str(DVC_YAML_PATH), *sorted(code)]


def check_committed(inputs: Sequence[str]) -> None:
    """Refuse to run what no commit describes.

    Raises:
        LeaderboardError: a file that a run is made of has uncommitted changes.
    """
    changed = ask_git("status", "--porcelain", "--untracked-files=all", "--", *inputs)
    if changed:
        names = ", ".join(line[3:] for line in changed.splitlines())
        raise LeaderboardError(f"expected everything committed, received changes in {names}")


def count_equal_commits(inputs: Sequence[str]) -> int:
    """Count the commits, HEAD and back from it, that have the same inputs."""
    last = ask_git("log", "--first-parent", "--max-count=1", "--format=%H", "--", *inputs)
    return 1 + int(ask_git("rev-list", "--first-parent", "--count", f"{last}..HEAD"))


def load_results(wanted: Sequence[Run], inputs: Sequence[str]) -> pd.DataFrame:
    """Load the results of the wanted runs, as far as there are experiments of today's inputs."""
    rows = list_experiments(revs="HEAD", num=count_equal_commits(inputs))
    return standings.collect_results(rows, wanted)


def load_times() -> pd.DataFrame:
    """Load the recorded times; none, where nothing was ever recorded."""
    if not TIMES_PATH.exists():
        return pd.DataFrame(columns=standings.TIME_COLUMNS)
    return load_table(TIMES_PATH, standings.TIME_COLUMNS)


def write_times(times: pd.DataFrame) -> None:
    write_text(TIMES_PATH, times.to_csv(index=False, lineterminator="\n"))


def name_machine() -> str:
    """Name the processor and the number of cores that this process may use."""
    text = CPUINFO_PATH.read_text(encoding="utf-8") if CPUINFO_PATH.exists() else ""
    model = re.search(r"model name\s*: (.+)", text)
    processor = model[1].strip() if model else platform.processor() or platform.machine()
    linux = hasattr(os, "sched_getaffinity")
    count = len(os.sched_getaffinity(0)) if linux else os.cpu_count()
    return f"{processor}, {count} core{'' if count == 1 else 's'}"


def perform(run: Run, *, force: bool) -> float | None:
    """Run the experiment, in place of one of its name if forced to.

    Returns the seconds of its training; None where DVC restored it from its cache.

    Raises:
        LeaderboardError: it failed.
    """
    # Forced without --downstream, a run would fetch the dataset again, too.
    again = ("--force", "--downstream", "train") if force else ()
    outcome = run_experiment(run.settings, "--temp", "--name", run.name, *again)
    if outcome.status != 0:
        raise LeaderboardError(
            f"{run.name}: exit status {outcome.status}, reasons above; what has run is kept, and "
            "the same command goes on from here"
        )
    return outcome.stages.get("train", {}).get("seconds")


def perform_all(runs: Sequence[Run], inputs: Sequence[str], *, force: bool) -> None:
    """Run the experiments one after another, and record after each how long it took."""
    machine, tensorflow = name_machine(), importlib.metadata.version("tensorflow")
    for number, run in enumerate(runs, start=1):
        print(f"\n=== {run.name}, {number} of {len(runs)} ===", flush=True)
        seconds = perform(run, force=force)
        timing = None if seconds is None else Timing(seconds, machine, tensorflow)
        results = load_results([run], inputs)
        if results.empty:
            raise LeaderboardError(f"{run.name}: expected an experiment, received none")
        write_times(standings.record_timing(load_times(), run, results["model"].iloc[0], timing))


def count_parameters(recipe_name: str, dataset: str) -> int:
    """Count the weights of a recipe's networks, all members' together."""
    from digits.model.networks import build_network  # noqa: PLC0415 (TensorFlow takes seconds)

    recipe = load_params(f"recipes.{recipe_name}", Recipe)
    network = build_network("network", recipe.suit_classes(len(load_dataset(dataset).class_names)))
    return recipe.ensemble_size * int(network.count_params())


def publish(results: pd.DataFrame, entries: dict[str, Entry], dataset: str) -> None:
    """Write the page and the picture."""
    runs = standings.add_times(results, load_times())
    names = {name: entries[name].recipe or name for name in set(runs["recipe"])}
    counts = {name: count_parameters(recipe, dataset) for name, recipe in names.items()}
    runs["parameter_count"] = runs["recipe"].map(counts)
    missing = standings.list_missing(standings.list_runs(entries), results)
    title = load_dataset(dataset).title
    page = standings.write_markdown(standings.rank_recipes(runs), entries, title, missing)
    timed = runs.dropna(subset="training_seconds")
    if not timed.empty:
        write_figure(PICTURE_PATH, draw_leaderboard(timed, title))
        page += f"\n![Accuracy against training time]({PICTURE_PATH.as_posix()})\n"
    write_text(MARKDOWN_PATH, page)


def main(arguments: Namespace) -> None:
    dataset = load_params("dataset", str, BOARD_PATH)
    entries = load_entries(dataset)
    inputs, wanted = list_inputs(), standings.list_runs(entries)
    chosen = [] if arguments.no_run else choose_runs(wanted, arguments)
    check_committed(inputs)
    results = load_results(wanted, inputs)
    runs = chosen if arguments.force else standings.list_missing(chosen, results)
    print(f"{len(runs)} of {len(chosen)} runs to do", flush=True)
    if runs:
        check_outputs()
        fetch_data()
        perform_all(runs, inputs, force=arguments.force)
        results = load_results(wanted, inputs)
    if results.empty:
        raise LeaderboardError("expected at least one run to rank, received none")
    publish(results, entries, dataset)
    print(f"Ranked {len(results)} runs in {MARKDOWN_PATH}, drawn in {PICTURE_PATH}")
