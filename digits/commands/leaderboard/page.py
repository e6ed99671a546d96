"""The leaderboard's page: rank the ledger's runs and write the ranking as Markdown."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from digits.commands.leaderboard.jobs import Board, Job, Published
from digits.evaluation.comparison import bound_accuracy
from digits.evaluation.ledger import Run
from digits.markdown import escape, quote

PICTURE_PATH = Path("benchmarks/leaderboard.png")
MISSABLE = ("training_cpu_seconds", "robustness_unseen", "optdigits_accuracy")
LEGEND = """\
Test accuracy: mean ± standard deviation over seeds; interval of the mean for new seeds and images
(one seed: Wilson's, new images). CPU seconds: of `train`, median. `-`: not measured.
[What corrupted and other writers are](docs/robustness.md)."""
TESTED = "[The ledger](benchmarks/ledger.json) lists all {count} models evaluated on test images."


def rank_recipes(runs: Sequence[Run]) -> pd.DataFrame:
    """Summarize the runs, a row a recipe, the most accurate first; of CPU seconds the median.

    The standard deviation is the sample's (n - 1), NaN for a single seed. The interval is that of
    the mean over new seeds and new images; of a single seed, over new images alone (Wilson).
    """
    table = pd.DataFrame(runs).astype(dict.fromkeys(MISSABLE, float))  # NaN for None
    table["machine"] = [_describe_machine(run) for run in runs]
    # The first runs were judged by other corruptions.
    table["corrupted"] = table["robustness"].where(table["robustness_unseen"].notna())
    rows = [_summarize(group) for _, group in table.groupby("recipe")]
    return pd.DataFrame(rows).sort_values("accuracy", ascending=False, ignore_index=True)


def _summarize(runs: pd.DataFrame) -> dict[str, Any]:
    first = runs.iloc[0]
    right = [~np.isin(range(first["image_count"]), wrong) for wrong in runs["errors"]]
    return {
        "recipe": first["recipe"],
        "seed_count": len(runs),
        "accuracy": runs["accuracy"].mean(),
        "deviation": runs["accuracy"].std(),
        "interval": bound_accuracy(np.array(right)),
        "corrupted": runs["corrupted"].mean(skipna=False),
        "other_writers": runs["optdigits_accuracy"].mean(skipna=False),
        "cpu_seconds": runs["training_cpu_seconds"].median(),
        "parameter_count": first["parameter_count"],
        "cost": (runs["multiply_adds"] * runs["images_seen"]).median(),
        "machine": "; ".join(sorted(set(runs["machine"]))),
    }


def _describe_machine(run: Run) -> str:
    return escape(f"{run['machine']['processor']}, {run['precision']}")


def write_page(
    ranking: pd.DataFrame, missing: Sequence[Job], board: Board, title: str, run_count: int
) -> str:
    """Write the page; `run_count` is that of the whole ledger."""
    rows = [_write_row(row) for _, row in ranking.iterrows()]
    jobs = ", ".join(f"{quote(job.recipe)} {job.seed}" for job in missing)
    machines = [
        f"- {', '.join(map(quote, recipes))}: {machine}"
        for machine, recipes in ranking.groupby("machine", sort=False)["recipe"]
    ]
    parts = (
        f"# Leaderboard: {escape(title)}",
        f"![Accuracy against training compute]({PICTURE_PATH.as_posix()})",
        tabulate(rows, "keys", tablefmt="github", disable_numparse=True),
        f"Not run yet: {jobs}." if jobs else "",
        LEGEND,
        "Trained on:\n\n" + "\n".join(machines),
        TESTED.format(count=run_count),
        "## Published results",
        "\n".join(_write_published(result) for result in board.published),
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def _write_row(row: pd.Series) -> dict[str, str]:
    spread = "" if row["seed_count"] == 1 else f" ± {100 * row['deviation']:.2f}"
    return {
        "recipe": quote(row["recipe"]),
        "seeds": str(row["seed_count"]),
        "accuracy, %": f"{100 * row['accuracy']:.2f}{spread}",
        "95 % interval": "-".join(f"{100 * bound:.2f}" for bound in row["interval"]),
        "corrupted, %": _format_percent(row["corrupted"]),
        "other writers, %": _format_percent(row["other_writers"]),
        "CPU seconds": "-" if math.isnan(row["cpu_seconds"]) else f"{row['cpu_seconds']:,.1f}",
        "parameters": f"{row['parameter_count']:,}",
    }


def _format_percent(fraction: float) -> str:
    return "-" if math.isnan(fraction) else f"{100 * fraction:.2f}"


def _write_published(result: Published) -> str:
    spread = f" ± {result.deviation:g}" if result.deviation else ""
    runs = "one run" if result.runs == 1 else f"{result.runs:,} runs"
    return (
        f"- {escape(result.name)}: {result.accuracy:g}{spread} % ({runs}; "
        f"{escape(result.protocol)}), {result.source}"
    )
