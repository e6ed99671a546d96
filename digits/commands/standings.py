"""Standings of the recipes: from runs and their times to a ranking, and that as Markdown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
from pydantic import Field
from tabulate import tabulate

from digits.commands.markdown import escape, quote
from digits.errors import DigitsError
from digits.evaluation.scores import score_accuracy_interval
from digits.files.params import PARAMS_PATH
from digits.model.recipes import Overrides
from digits.paths import EVALUATE_METRICS_PATH, MODEL_PATH

# As `dvc.api.exp_show` calls a finished run; those of the queue say so.
FINISHED = (None, "Success")
METRICS = {
    "accuracy": (EVALUATE_METRICS_PATH, float),
    "error_count": (EVALUATE_METRICS_PATH, int),
    "image_count": (EVALUATE_METRICS_PATH, int),
}
RESULT_COLUMNS = ("recipe", "seed", *METRICS, "model")
TIME_COLUMNS = (
    "experiment",
    "recipe",
    "seed",
    "model",  # DVC's hash of the model that was trained in this time
    "training_seconds",
    "machine",
    "tensorflow",
)


class Entry(Overrides):
    """What is run under a name, over which seeds, and what is said of it beside its results."""

    recipe: str | None = None  # of params.yaml; None: the one that has the entry's name
    published: str
    note: str | None  # Markdown: it may have links
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)]


class Run(NamedTuple):
    """An entry's recipe trained from a seed."""

    recipe: str  # the entry's name, under which it is ranked
    seed: int
    entry: Entry

    @property
    def name(self) -> str:
        return f"leaderboard-{self.recipe}-{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """Return what `params.yaml` says in the run, overrides that are not in force included."""
        overrides = {f"train.{key}": getattr(self.entry, key) for key in Overrides.model_fields}
        recipe = self.entry.recipe or self.recipe
        return {"train.recipe": recipe, "train.seed": self.seed, **overrides}


class Timing(NamedTuple):
    """How long a training took, and on what."""

    training_seconds: float
    machine: str
    tensorflow: str


class StandingsError(DigitsError):
    """An experiment that bears the name of a run is another one."""


def list_runs(entries: Mapping[str, Entry]) -> list[Run]:
    """List every entry's runs, in the order of the file."""
    return [Run(name, seed, entry) for name, entry in entries.items() for seed in entry.seeds]


def list_missing(wanted: Iterable[Run], results: pd.DataFrame) -> list[Run]:
    """List the runs that have no result yet."""
    done = set(zip(results["recipe"], results["seed"], strict=True))
    return [run for run in wanted if (run.recipe, run.seed) not in done]


def collect_results(rows: Iterable[Mapping[str, Any]], wanted: Sequence[Run]) -> pd.DataFrame:
    """Find the results of the wanted runs among the rows of `dvc.api.exp_show`, newest first.

    Raises:
        StandingsError: an experiment has the name of a run, but another recipe, seed or override.
    """
    found: dict[str, dict[str, Any]] = {}
    names = {run.name: run for run in wanted}
    for row in rows:
        run = names.get(str(row["Experiment"]))
        if run is None or run.name in found or row["State"] not in FINISHED:
            continue
        _check_settings(row, run)
        found[run.name] = _read_result(row, run)
    results = [found[run.name] for run in wanted if run.name in found]
    return pd.DataFrame(results, columns=RESULT_COLUMNS)


def _check_settings(row: Mapping[str, Any], run: Run) -> None:
    differences = [
        f"{key}: expected {expected!r}, received {received!r}"
        for key, expected in run.settings.items()
        if (received := _read_setting(row, key)) != expected
    ]
    if differences:
        raise StandingsError(
            f"experiment {run.name}: {'; '.join(differences)}; "
            f"`dvc exp remove {run.name}` makes room"
        )


def _read_setting(row: Mapping[str, Any], key: str) -> Any:
    """Read a parameter; where it is null, DVC gives the text None, or nothing at all."""
    value = row.get(f"{PARAMS_PATH}:{key}", row.get(key))
    return None if pd.isna(value) or value in ("", "None") else value


def _read_result(row: Mapping[str, Any], run: Run) -> dict[str, Any]:
    metrics = {name: kind(_read_cell(row, path, name)) for name, (path, kind) in METRICS.items()}
    model = f"md5:{row[str(MODEL_PATH)]}"
    return {"recipe": run.recipe, "seed": run.seed, **metrics, "model": model}


def _read_cell(row: Mapping[str, Any], path: Path, name: str) -> Any:
    """Read a metric; DVC puts its file before its name where two files have that name."""
    return row[f"{path}:{name}"] if f"{path}:{name}" in row else row[name]


def record_timing(times: pd.DataFrame, run: Run, model: str, timing: Timing | None) -> pd.DataFrame:
    """Put the timing of a run into the table, in place of what the run had there.

    Where nothing was trained, the time known for the very same model stays; any other gives way
    to empty cells.
    """
    rows = {row["experiment"]: row for row in times.to_dict("records")}
    if timing is None and rows.get(run.name, {}).get("model") == model:
        return times
    known = timing or (math.nan, None, None)
    values = (run.name, run.recipe, run.seed, model, *known)
    rows[run.name] = dict(zip(TIME_COLUMNS, values, strict=True))
    ordered = sorted(rows.values(), key=lambda row: (row["recipe"], row["seed"]))
    return pd.DataFrame(ordered, columns=TIME_COLUMNS)


def add_times(results: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """Give each result the time in which its very model was trained; NaN where none is known."""
    keys = ["recipe", "seed", "model"]
    return results.merge(times.drop(columns="experiment"), how="left", on=keys)


def rank_recipes(runs: pd.DataFrame) -> pd.DataFrame:
    """Summarize the timed runs, a row a recipe, the most accurate first; times are medians.

    The standard deviation is the sample's (n - 1), NaN for a single seed.
    """
    rows = [_summarize(str(recipe), group) for recipe, group in runs.groupby("recipe")]
    return pd.DataFrame(rows).sort_values("accuracy", ascending=False, ignore_index=True)


def _summarize(recipe: str, runs: pd.DataFrame) -> dict[str, Any]:
    count, error_count = int(runs["image_count"].sum()), int(runs["error_count"].sum())
    low, high = score_accuracy_interval(count - error_count, count)
    timed = runs.dropna(subset="training_seconds")
    machines = sorted(set(timed["machine"] + ", TensorFlow " + timed["tensorflow"]))
    return {
        "recipe": recipe,
        "seed_count": len(runs),
        "accuracy": runs["accuracy"].mean(),
        "accuracy_sd": runs["accuracy"].std(ddof=1),
        "accuracy_low": low,
        "accuracy_high": high,
        "parameter_count": int(runs["parameter_count"].iloc[0]),
        "training_seconds": timed["training_seconds"].median(),
        "machine": "; ".join(machines),
    }


HEADER = (
    "recipe",
    "published",
    "ours",
    "95 % interval",
    "parameters",
    "training seconds",
    "machine",
)
LEGEND = """\
Ours: accuracy on the test images, mean ± standard deviation over the seeds. The interval is
Wilson's for the errors of all seeds together; they share their test images, so for new images it
would be wider. Training seconds are those of the stage `train`, the median over the seeds; they are
missing where DVC restored a training whose time nobody took.
"""


def write_markdown(
    ranking: pd.DataFrame, entries: Mapping[str, Entry], title: str, missing: Sequence[Run] = ()
) -> str:
    """Write the ranking as a page of Markdown, with the notes and the runs that are missing."""
    rows = [_write_row(row, entries) for _, row in ranking.iterrows()]
    table = tabulate(rows, HEADER, tablefmt="github", disable_numparse=True)
    notes = [
        f"- {quote(recipe)}: {entries[recipe].note}\n"
        for recipe in ranking["recipe"]
        if entries[recipe].note
    ]
    parts = [f"# Leaderboard: {escape(title)}\n", f"{table}\n", LEGEND, "".join(notes)]
    if missing:
        parts.append(
            f"Not run yet: {', '.join(f'{quote(run.recipe)} {run.seed}' for run in missing)}.\n"
        )
    return "\n".join(part for part in parts if part)


def _write_row(row: pd.Series, entries: Mapping[str, Entry]) -> tuple[str, ...]:
    count = row["seed_count"]
    spread = f" ± {_percent(row['accuracy_sd'])}" if count > 1 else ""
    known = not math.isnan(row["training_seconds"])
    return (
        quote(row["recipe"]),
        escape(entries[row["recipe"]].published),
        f"{_percent(row['accuracy'])}{spread} % ({count} seed{'s' if count > 1 else ''})",
        f"{_percent(row['accuracy_low'])} to {_percent(row['accuracy_high'])} %",
        f"{row['parameter_count']:,}",
        f"{row['training_seconds']:,.1f}" if known else "",
        escape(row["machine"]),
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"
