"""`make sweep`: run a grid of parameters from DVC's queue, and draw what it did to validation.

What is chosen from a sweep is chosen on the validation images; the test images are for the end.
"""

import argparse
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dvc.api
import pandas as pd
from tabulate import tabulate

from digits import stage
from digits.data.datasets import DATASETS, DatasetName
from digits.errors import DigitsError
from digits.evidence.charts import draw_sweep
from digits.evidence.figures import write_figure
from digits.experiments import ExperimentError, fetch_data, run_experiment
from digits.files.params import load_params

PICTURE_PATH = Path("report/sweep.png")
SCORE = "validation_accuracy"
GRID = ("recipes.quick.epochs=2,4,8", "recipes.quick.optimizer.AdamW.learning_rate=0.003,0.01,0.03")
SETTING = re.compile(r"[\w.-]+=[^,=\s]+(,[^,=\s]+)*")

Grid = dict[str, list[str]]  # parameter: its values, as typed


class SweepError(DigitsError):
    """The grid makes no sense, or a run left no score."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make sweep", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "settings", nargs="*", default=GRID, metavar="KEY=A,B,...", help=f"[{' '.join(GRID)}]"
    )
    parser.add_argument("--jobs", type=int, default=2, help="experiments at a time [2]")
    return parser.parse_args()


def parse_grid(settings: Sequence[str]) -> Grid:
    """Turn `key=a,b` into {key: [a, b]}.

    Raises:
        SweepError: not of that form.
        ParamsError: a key that params.yaml does not have.
    """
    grid: Grid = {}
    for setting in settings:
        if not SETTING.fullmatch(setting):
            raise SweepError(f"{setting}: expected KEY=VALUE,VALUE,...")
        key, _, values = setting.partition("=")
        load_params(key, Any)
        grid[key] = values.split(",")
    return grid


def name_runs(grid: Grid) -> dict[str, dict[str, str]]:
    """Name every combination: {experiment: its settings}."""
    combinations = (
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    )
    return {
        "-".join(["sweep", *(f"{key.rpartition('.')[2]}-{value}" for key, value in chosen.items())])
        .replace("_", "-")
        .replace(".", "_"): chosen
        for chosen in combinations
    }


def perform(settings: Mapping[str, str], *options: str) -> None:
    """Queue a run, or run the queue.

    Raises:
        ExperimentError: DVC failed.
    """
    status = run_experiment(settings, *options)
    if status != 0:
        raise ExperimentError(
            f"dvc exp run {' '.join(options)}: exit status {status}, reasons above"
        )


def collect(runs: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Read the runs' scores back, a row a run in the order of the grid.

    Raises:
        SweepError: a run is missing or has no score.
    """
    found = {row["Experiment"]: row for row in dvc.api.exp_show()}
    rows = []
    for name, chosen in runs.items():
        score = found.get(name, {}).get(SCORE)
        if not isinstance(score, int | float):
            raise SweepError(
                f"{name}: expected {SCORE}, received none: see `dvc queue logs {name}`"
            )
        rows.append({"experiment": name, **chosen, SCORE: float(score)})
    return pd.DataFrame(rows)


def main() -> None:
    arguments = parse_arguments()
    grid = parse_grid(arguments.settings)
    runs = name_runs(grid)
    known = {row["Experiment"] for row in dvc.api.exp_show()}
    wanted = [name for name in runs if name not in known]
    print(f"{len(wanted)} of {len(runs)} runs to do, {arguments.jobs} at a time", flush=True)
    if wanted:
        fetch_data()
        for name in wanted:
            perform(runs[name], "--queue", "--name", name)
        perform({}, "--run-all", "--jobs", str(arguments.jobs))
    results = collect(runs)
    title = DATASETS[load_params("dataset", DatasetName)].title
    print(tabulate(results.to_numpy().tolist(), results.columns.tolist(), tablefmt="simple"))
    write_figure(PICTURE_PATH, draw_sweep(results, list(grid), SCORE, title))
    print(f"drawn in {PICTURE_PATH}; choose one with: dvc exp apply EXPERIMENT")


if __name__ == "__main__":
    stage.run(main)
