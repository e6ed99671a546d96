"""Standings of the recipes: from the ledger's runs to a ranking, and that as Markdown."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field
from tabulate import tabulate

from digits.commands.leaderboard.ledger import Run
from digits.commands.markdown import escape, quote
from digits.config import Section
from digits.data.datasets import Line
from digits.evaluation.scores import score_accuracy_interval
from digits.evaluation.seeds import bound_accuracy
from digits.model.recipes import RECIPES_DIR


class Entry(Section):
    """What is run under a name, over which seeds, and what is said of it beside its results."""

    recipe: str | None = None  # a file of recipes/; None: the one that has the entry's name
    settings: dict[str, int | float | str | bool] = Field(
        default={}
    )  # in place of the recipe's own
    published: str
    note: str | None  # Markdown: it may have links
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)]


class Published(Section):
    """A figure of others, and how it came about."""

    name: Line
    accuracy: Annotated[float, Field(gt=0, le=100)]  # per cent
    deviation: float | None  # between runs
    runs: int | None = Field(ge=1)  # None: not said
    protocol: Line
    source: Line  # Markdown: it may be a link
    multiply_adds: int | None = Field(ge=1)  # of one image, forward; None: not known
    images_seen: int | None = Field(ge=1)  # in training


class Job(NamedTuple):
    """An entry's recipe to be trained from a seed."""

    recipe: str  # the entry's name, under which it is ranked
    seed: int
    entry: Entry

    @property
    def name(self) -> str:
        """Name the experiment."""
        return f"leaderboard-{self.recipe}-{self.seed}"

    @property
    def base(self) -> str:
        """Name the file of `recipes/`."""
        return self.entry.recipe or self.recipe

    @property
    def settings(self) -> dict[str, Any]:
        """Return what the run sets, by key of `dvc exp run -S`."""
        path = f"{RECIPES_DIR}/{self.base}.yaml"
        own = {f"{path}:{key}": value for key, value in self.entry.settings.items()}
        return {"train.recipe": self.base, "train.seed": self.seed, **own}


def list_jobs(entries: Mapping[str, Entry]) -> list[Job]:
    """List every entry's jobs, in the order of the file."""
    return [Job(name, seed, entry) for name, entry in entries.items() for seed in entry.seeds]


def rank_recipes(runs: Iterable[Run]) -> pd.DataFrame:
    """Summarize the runs, a row a recipe, the most accurate first; times and costs are medians.

    The standard deviation is the sample's (n - 1), NaN for a single seed. The interval is that of
    the mean over new seeds and new images; of a single seed, over new images alone (Wilson).
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.recipe, []).append(run)
    rows = [_summarize(recipe, group) for recipe, group in groups.items()]
    return pd.DataFrame(rows).sort_values("accuracy", ascending=False, ignore_index=True)


def _summarize(recipe: str, runs: Sequence[Run]) -> dict[str, Any]:
    accuracies = pd.Series([run.accuracy for run in runs])
    if len(runs) > 1:
        low, high = bound_accuracy(np.array([run.right for run in runs]))
    else:
        count = runs[0].image_count
        low, high = score_accuracy_interval(count - runs[0].error_count, count)
    return {
        "recipe": recipe,
        "seed_count": len(runs),
        "accuracy": accuracies.mean(),
        "accuracy_sd": accuracies.std(ddof=1),
        "accuracy_low": low,
        "accuracy_high": high,
        "val_accuracy": np.mean([run.val_accuracy for run in runs]),
        **{key: _find_mean(getattr(run, key) for run in runs) for key in CAMERA_KEYS},
        "parameter_count": runs[0].parameter_count,
        "cost": float(np.median([count_cost(run) for run in runs])),
        "training_seconds": _find_median(run.training_seconds for run in runs),
        "training_cpu_seconds": _find_median(run.training_cpu_seconds for run in runs),
        "made_on": "; ".join(sorted({describe_machine(run) for run in runs})),
    }


def _find_mean(shares: Iterable[float | None]) -> float:
    """Average what all have; NaN where one has not."""
    return float(np.mean([math.nan if it is None else it for it in shares]))


def _find_median(seconds: Iterable[float | None]) -> float:
    known = [it for it in seconds if it is not None]
    return float(np.median(known)) if known else math.nan


def count_cost(run: Run) -> int:
    """Count the multiply-adds of the forward passes of a training, all networks' together."""
    return run.multiply_adds * run.images_seen


def describe_machine(run: Run) -> str:
    """Say on what a run was made."""
    machine = run.machine
    cores = f"{machine.cores} core{'' if machine.cores == 1 else 's'}"
    return f"{machine.processor}, {cores}, {run.precision}, TensorFlow {machine.tensorflow}"


# How good it is on what no scanner of MNIST has made.
CAMERA_KEYS = ("robustness", "robustness_unseen", "other_hands")
RANKING = (
    "recipe",
    "published",
    "ours",
    "95 % interval",
    "validation",
    "corrupted",
    "other hands",
    "parameters",
    "multiply-adds",
    "training seconds",
    "CPU seconds",
    "made on",
)
LEGEND = """\
Ours: accuracy on the test images, mean ± standard deviation over the seeds. The interval is that of
the mean for new seeds and new images (of one seed: for new images, Wilson's). Validation: mean
accuracy on the images held out of the training file, on which choices are made. Corrupted: mean
accuracy over 15 corruptions of test images, and over those that training has not met. Other hands:
accuracy on digits of other people and another scanner ([robustness](docs/robustness.md)).
Multiply-adds: of the forward passes of one training, images times networks included. Training
seconds and CPU seconds are those of the stage `train`, medians over the seeds, on a machine that
may have had other work as well; they are missing where DVC restored a training whose time nobody
took."""
OLDER = """\
## Older code

Runs of these recipes by code, parameters or data that have changed since. They are kept, since they
looked at the test images too."""
USE = """\
## What the test images were used for

Every model below has been evaluated on the test images, once, after its training. Nothing was
chosen by them: choices are made on validation. The runs are lines of
[the ledger](benchmarks/ledger.json), each with the test images that it misreads. What was evaluated
before there was a ledger is in [the history](docs/history.md#before-the-ledger)."""
OTHERS = """\
## Published figures, and how they came about"""


def write_markdown(
    runs: Sequence[Run],
    current: Collection[str],
    entries: Mapping[str, Entry],
    published: Sequence[Published],
    title: str,
) -> str:
    """Write the page; `current` are the inputs of the jobs as they would be run today."""
    todays = [run for run in runs if run.inputs in current and run.recipe in entries]
    older = [run for run in runs if run not in todays]
    parts = [f"# Leaderboard: {escape(title)}"]
    if todays:
        ranking = rank_recipes(todays)
        notes = [
            f"- {quote(recipe)}: {entries[recipe].note}"
            for recipe in ranking["recipe"]
            if entries[recipe].note
        ]
        parts += [_tabulate_ranking(ranking, entries), LEGEND, "\n".join(notes)]
    done = {(run.recipe, run.seed) for run in todays}
    missing = [job for job in list_jobs(entries) if (job.recipe, job.seed) not in done]
    if missing:
        names = ", ".join(f"{quote(job.recipe)} {job.seed}" for job in missing)
        parts.append(f"Not run yet by today's code: {names}.")
    if older:
        parts += [OLDER, _tabulate_ranking(rank_recipes(older), entries)]
    parts += [USE, _tabulate_use(runs, todays), OTHERS, _tabulate_published(published)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _tabulate(rows: Iterable[Sequence[str]], header: Sequence[str]) -> str:
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def _tabulate_ranking(ranking: pd.DataFrame, entries: Mapping[str, Entry]) -> str:
    return _tabulate([_write_row(row, entries) for _, row in ranking.iterrows()], RANKING)


def _write_row(row: pd.Series, entries: Mapping[str, Entry]) -> tuple[str, ...]:
    count, entry = row["seed_count"], entries.get(row["recipe"])
    spread = f" ± {_percent(row['accuracy_sd'])}" if count > 1 else ""
    seconds = (row["training_seconds"], row["training_cpu_seconds"])
    return (
        quote(row["recipe"]),
        escape(entry.published) if entry else "",
        f"{_percent(row['accuracy'])}{spread} % ({count} seed{'s' if count > 1 else ''})",
        f"{_percent(row['accuracy_low'])} to {_percent(row['accuracy_high'])} %",
        f"{_percent(row['val_accuracy'])} %",
        _write_corrupted(row),
        "" if math.isnan(row["other_hands"]) else f"{_percent(row['other_hands'])} %",
        f"{row['parameter_count']:,}",
        _write_cost(row["cost"]),
        *("" if math.isnan(it) else f"{it:,.1f}" for it in seconds),
        escape(row["made_on"]),
    )


def _write_corrupted(row: pd.Series) -> str:
    unseen = row["robustness_unseen"]
    if math.isnan(unseen):  # by an earlier measure
        return ""
    return f"{_percent(row['robustness'])} %, unseen {_percent(unseen)} %"


def _tabulate_use(runs: Sequence[Run], todays: Sequence[Run]) -> str:
    rows = [
        (
            quote(recipe),
            str(sum(run.recipe == recipe for run in runs)),
            str(sum(run.recipe == recipe for run in todays)),
        )
        for recipe in sorted({run.recipe for run in runs})
    ]
    total = ("all", str(len(runs)), str(len(todays)))
    return _tabulate([*rows, total], ("recipe", "models evaluated", "of these by today's code"))


def _tabulate_published(published: Sequence[Published]) -> str:
    rows = [
        (
            escape(it.name),
            f"{it.accuracy:g}" + (f" ± {it.deviation:g} %" if it.deviation else " %"),
            f"{it.runs:,}" if it.runs else "not said",
            escape(it.protocol),
            _write_cost(it.multiply_adds * it.images_seen)
            if it.multiply_adds and it.images_seen
            else "",
            it.source,
        )
        for it in published
    ]
    header = ("network", "test accuracy", "runs", "protocol", "multiply-adds", "source")
    return _tabulate(rows, header)


def _write_cost(cost: float) -> str:
    return f"{cost:.2g}".replace("e+", "e")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"
