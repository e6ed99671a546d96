"""`make experiments`: the experiments below the commit they start from, in 80 columns.

What is chosen among them is chosen on validation: no accuracy on the test images is listed.
"""

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from tabulate import tabulate

from digits.commands.dvc import list_experiments
from digits.commands.neighbours import find_experiments
from digits.config import CONTROL, PARAMS_PATH

SECTIONS = ("dataset", "fetch", "decode", "train", "evaluate", "analyze", "recipes")
HEADER = ("experiment", "recipe", "changed", "validation")
SUCCESS, FAILED = "Success", "Failed"  # DVC's words
REASONS = "Why one failed: `dvc queue logs NAME`; `dvc queue remove --failed` drops it."
WIDTHS = (24, 13, 27, 10)  # with two spaces between: 80 columns

Row = Mapping[str, Any]  # of `dvc.api.exp_show`


def tabulate_experiments(rows: Iterable[Row]) -> list[tuple[str, str, str, str]]:
    """Put name, recipe, changes against the commit and validation accuracy into a row each."""
    table = []
    base: Row = {}
    for row in rows:
        if row["typ"] == "baseline" and row["rev"] != "workspace":
            base = row
        name = row["Experiment"] or row["rev"]
        if row["rev"] == "workspace":
            continue
        table.append((name, str(row.get("train.recipe")), find_changes(base, row), describe(row)))
    return table


def find_changes(base: Row, row: Row) -> str:
    """List the parameters in which an experiment differs, a line each; of its own recipe only."""
    before, after = _read_params(base), _read_params(row)
    lines = [
        f"{key}={value:.15g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in after.items()
        if key in before and value != before[key] and key != "train.recipe"
    ]
    return "\n".join(lines)


def describe(row: Row) -> str:
    """Return the validation accuracy, or how a run stands that has none.

    DVC gives the commit's accuracy to one that failed or has not ended.
    """
    if row["State"] not in (None, SUCCESS):
        return str(row["State"])
    accuracy = row.get("val_accuracy")
    return f"{accuracy:.2%}" if isinstance(accuracy, float) else ""


def is_one_of(row: Row, commits: Iterable[str]) -> bool:
    """Tell whether a row is of an experiment whose commit is one of these; rows shorten them."""
    return bool(row["Experiment"]) and any(it.startswith(row["rev"]) for it in commits)


def show(text: str) -> str:
    """Write out what a terminal would obey: experiments may be other people's."""
    return "\n".join(
        CONTROL.sub(lambda found: ascii(found[0])[1:-1], it) for it in text.split("\n")
    )


def _read_params(row: Row) -> dict[str, Any]:
    named = {str(key).removeprefix(f"{PARAMS_PATH}:"): value for key, value in row.items()}
    return {key: value for key, value in named.items() if key.partition(".")[0] in SECTIONS}


def main(_: Namespace) -> None:
    listed = list_experiments()
    foreign = [it.commit for it in find_experiments() if it.is_foreign()]
    rows = [row for row in listed if not is_one_of(row, foreign)]
    table = [tuple(map(show, row)) for row in tabulate_experiments(rows)]
    print(tabulate(table, HEADER, disable_numparse=True, maxcolwidths=WIDTHS))
    if any(row["State"] == FAILED for row in rows):
        print(f"\n{REASONS}")
