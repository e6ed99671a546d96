"""`digits compare A B`: which errors are fixed, which are new, and could it be chance.

A side is a revision, a branch, an experiment or `workspace`; or a pattern such as 'a-*', then all
experiments of such names: one recipe's, trained from several seeds. Predictions are read through
DVC: those for the validation images, on which choices are made, unless told otherwise.
"""

import fnmatch
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from digits.dvc.experiments import list_names
from digits.dvc.revisions import SPLITS, WORKSPACE, load_record
from digits.errors import DigitsError
from digits.evaluation.comparison_text import (
    compare_records,
    describe_split,
    draw_changes,
    list_changes,
    render_comparison,
)
from digits.evaluation.predictions import Predictions
from digits.evaluation.records import (
    SEED,
    Record,
    check_same_images,
    list_differences,
    list_notes,
)

STYLES = {"text": "simple", "markdown": "github"}  # as tabulate calls them
WILDCARDS = set("*?[")


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    several = "or a pattern: experiments of one recipe, several seeds"
    add("before", nargs="?", default="HEAD", help=f"revision or experiment [HEAD], {several}")
    add("after", nargs="?", default=WORKSPACE, help=f"the same [{WORKSPACE}]")
    add("--split", choices=SPLITS, default="validation", help="images judged by [validation]")
    add("--format", choices=(*STYLES, "json"), default="text", help="of the numbers [text]")
    add("--png", type=Path, metavar="PATH", help="draw the fixed and the new errors")


def load_side(text: str, split: str) -> list[Record]:
    """Load one side: a revision, or all experiments that match a pattern.

    Raises:
        DigitsError: no experiment's name matches.
    """
    if not WILDCARDS & set(text):
        return [load_record(text, split)]
    names = list_names()
    chosen = fnmatch.filter(names, text)
    if not chosen:
        raise DigitsError(
            f"{text}: expected a pattern of experiments' names, received one that none of "
            f"{len(names)} matches: `dvc exp list --all-commits` lists them"
        )
    return [load_record(name, split) for name in chosen]


def divide(records: Sequence[Record], split: str) -> list[tuple[str, list[Record]]]:
    """Divide the records of joined datasets into those of the parts that all of them have.

    So a model of MNIST and one of MNIST and more are compared on MNIST. Datasets that were not
    joined, or have no part in common, stay whole.
    """
    slices = [record.card.slice_parts(split) for record in records]
    shared = [name for name in slices[0] if all(name in parts for parts in slices)]
    if not shared or max(map(len, slices)) == 1:
        return [("", list(records))]
    return [
        (name, [cut(*pair, name) for pair in zip(records, slices, strict=True)]) for name in shared
    ]


def cut(record: Record, parts: dict[str, slice], name: str) -> Record:
    """Cut a record down to a part, as if that were the whole dataset."""
    card = record.card.model_copy(update={"name": name, "title": name, "parts": []})
    arrays = (array[parts[name]] for array in vars(record.predictions).values())
    return replace(record, card=card, predictions=Predictions(*arrays))


def check_seeds(before: Sequence[Record], after: Sequence[Record]) -> None:
    """Refuse sides that are not runs of one recipe each, two or more, each from another seed.

    Raises:
        DigitsError: says in which settings they differ, or which seed comes twice.
    """
    for side in (before, after):
        names = f"{side[0].name} ... {side[-1].name}"
        if differences := list_differences(side):
            raise DigitsError(
                f"{names}: expected runs that differ in {SEED} alone, received {differences[0]}"
            )
        seeds = [record.settings.get(SEED) for record in side]
        if len(set(seeds)) < len(seeds):
            raise DigitsError(f"{names}: expected a {SEED} of its own in each, received {seeds}")
    both = {record.name for record in before} & {record.name for record in after}
    if min(len(before), len(after)) == 1 or both:
        raise DigitsError(
            "expected two or more seeds on each side, no run on both, received "
            f"{len(before)} and {len(after)}, {len(both)} of them on both: one seed says nothing "
            "of how another would do"
        )


def describe_robustness(names: Sequence[str], sides: Sequence[Sequence[Record]]) -> list[str]:
    """Write each side's accuracy on corrupted validation images, if every run has measured it."""
    means = []
    for name, side in zip(names, sides, strict=True):
        measured = [run.val_robustness for run in side if run.val_robustness is not None]
        if len(measured) < len(side):
            return []
        means.append(f"{name} {100 * np.mean(measured):.1f} %")
    return [f"Mean accuracy on corrupted validation images: {', '.join(means)}."]


def list_numbers(before: Sequence[Record], after: Sequence[Record]) -> dict[str, Any]:
    """Return the comparison's numbers by name, with the indices of the images that changed."""
    result = compare_records(before, after)
    values = asdict(result) | {"verdict": result.verdict}
    if len(before) == 1:
        changes = list_changes(before[0], after[0])
        for change in ("fixed", "new"):
            values[change] = changes.query("change == @change")["index"].tolist()
    return values


def main(arguments: Namespace) -> None:
    split, names, png = arguments.split, (arguments.before, arguments.after), arguments.png
    before, after = (load_side(name, split) for name in names)
    records, several = [*before, *after], len(before) + len(after) > 2
    if png and several:
        raise DigitsError("--png: expected one model on each side, received a pattern")
    notes = list_notes(records, split)
    if split == "validation":
        notes += describe_robustness(names, (before, after))
    numbers, texts = dict[str, Any](), list[str]()
    for part, cut_records in divide(records, split):
        sides = cut_records[: len(before)], cut_records[len(before) :]
        for record in cut_records[1:]:
            check_same_images(cut_records[0], record, split)
        if several:
            check_seeds(*sides)
        numbers[part] = list_numbers(*sides)
        style = STYLES.get(arguments.format, "simple")
        texts += [describe_split(cut_records[0], split), render_comparison(*sides, names, style)]
        if png:
            draw_changes(png.with_stem(f"{png.stem}-{part}") if part else png, *sides[0], *sides[1])
    if arguments.format == "json":
        values = numbers.get("", {"parts": numbers})
        print(json.dumps({"names": names, "split": split, "notes": notes} | values, indent=2))
    else:
        print(*texts, *notes, sep="\n\n")
