"""`python -m digits compare REV_A REV_B`: which errors are fixed, which new, and is it chance.

Revisions, branches, experiments, or `workspace`. Both sides' predictions are read through DVC.
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from digits.commands.markdown import escape
from digits.commands.revisions import WORKSPACE, Record, load_record
from digits.data.splits import Card
from digits.errors import DigitsError
from digits.evaluation.comparison import Comparison, Side, compare, tabulate_changes
from digits.evaluation.figures import write_figure
from digits.evaluation.galleries import COLUMNS, Strip, draw_strips
from digits.evaluation.predictions import Predictions


class CompareError(DigitsError):
    """The two sides did not see the same test images."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("before", nargs="?", default="HEAD", help="revision or experiment [HEAD]")
    parser.add_argument("after", nargs="?", default=WORKSPACE, help=f"the same [{WORKSPACE}]")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of the numbers [text]")
    parser.add_argument(
        "--png", type=Path, metavar="PATH", help="draw the fixed and the new errors"
    )


def check_same_images(before: Record, after: Record) -> None:
    """Refuse to compare answers to different questions.

    Raises:
        CompareError: another dataset, or other test images or labels.
    """
    sides = [
        f"{len(record.predictions.labels):,} of {record.card.name} in {record.name}"
        for record in (before, after)
    ]
    same = (
        before.card.name == after.card.name
        and np.array_equal(before.predictions.labels, after.predictions.labels)
        and np.array_equal(before.predictions.images, after.predictions.images)
    )
    if not same:
        raise CompareError(
            f"expected the same test images on both sides, received {sides[0]} and {sides[1]}"
        )


def render_tables(names: tuple[str, str], result: Comparison, changes: Any, style: str) -> str:
    """Write the numbers as tables of a style that tabulate knows, and the verdict."""
    rows = [
        describe_side(name, side)
        for name, side in zip(names, (result.before, result.after), strict=True)
    ]
    low, high = 100 * result.difference_low, 100 * result.difference_high
    rows.append(
        ("difference", f"{100 * result.difference:+.2f} %", f"{low:+.2f} to {high:+.2f} %", "")
    )
    header = ("", "accuracy", "95 % interval", "errors")
    whole = tabulate(rows, header, tablefmt=style, disable_numparse=True)
    moved = changes[(changes["fixed"] > 0) | (changes["new"] > 0)]
    classes = tabulate(moved.to_numpy().tolist(), changes.columns.tolist(), tablefmt=style)
    return "\n\n".join([whole, result.verdict, *([classes] if len(moved) else [])])


def describe_side(name: str, side: Side) -> tuple[str, str, str, str]:
    """Return a row of the table: name, accuracy, interval, errors."""
    low, high = 100 * side.accuracy_low, 100 * side.accuracy_high
    accuracy = f"{100 * side.accuracy:.2f} %"
    return name, accuracy, f"{low:.2f} to {high:.2f} %", str(side.error_count)


def render_text(names: tuple[str, str], result: Comparison, changes: Any) -> str:
    return render_tables(names, result, changes, "simple")


def render_markdown(names: tuple[str, str], result: Comparison, changes: Any) -> str:
    before, after = map(escape, names)
    changes = changes.assign(**{"class": changes["class"].map(escape)})
    return render_tables((before, after), result, changes, "github")


def render_json(names: tuple[str, str], result: Comparison, changes: Any) -> str:
    values = asdict(result) | {
        "names": names,
        "fixed": result.fixed.tolist(),
        "new": result.new.tolist(),
        "classes": changes.to_dict("records"),
        "verdict": result.verdict,
    }
    return json.dumps(values, indent=2)


FORMATS: dict[str, Callable[[tuple[str, str], Comparison, Any], str]] = {
    "text": render_text,
    "markdown": render_markdown,
    "json": render_json,
}


def cut_strips(
    result: Comparison, before: Predictions, after: Predictions, card: Card
) -> list[Strip]:
    """Cut the images whose answer changed into rows: first the fixed errors, then the new ones."""
    names, strips = card.class_names, list[Strip]()
    for title, verb, index, guesses in (
        ("fixed", "was", result.fixed, before.predicted),
        ("new", "now", result.new, after.predicted),
    ):
        for start in range(0, len(index), COLUMNS):
            part = index[start : start + COLUMNS]
            captions = [
                f"#{i}: {names[before.labels[i]]}, {verb} {names[guesses[i]]}" for i in part
            ]
            name = f"{len(index)} {title}" if start == 0 else ""
            strips.append((name, before.images[part], captions))
    return strips


def main(arguments: Namespace) -> None:
    before, after = load_record(arguments.before), load_record(arguments.after)
    check_same_images(before, after)
    result = compare(before.predictions, after.predictions)
    changes = tabulate_changes(result, before.predictions.labels, before.card)
    if arguments.png:  # before anything is printed, which may fail
        strips = cut_strips(result, before.predictions, after.predictions, before.card)
        title = f"Errors of {before.name} and {after.name} · {before.card.title}\n{result.verdict}"
        write_figure(arguments.png, draw_strips(strips, title))
    print(FORMATS[arguments.format]((before.name, after.name), result, changes))
