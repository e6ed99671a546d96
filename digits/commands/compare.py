"""`python -m digits compare A B`: which errors are fixed, which new, and is it chance.

A side is a revision, a branch, an experiment or `workspace`; or a pattern such as 'a-*', then all
experiments of such names: one recipe's, trained from several seeds. Predictions are read through
DVC. They are those for the validation images, on which choices are made, unless told otherwise.
"""

import itertools
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from digits.data.splits import Card
from digits.dvc.experiments import list_names
from digits.dvc.revisions import SPLITS, WORKSPACE, Record, load_record
from digits.errors import DigitsError
from digits.evaluation.comparison import POWER, Comparison, Side, compare, tabulate_changes
from digits.evaluation.plots_images import COLUMNS, Strip, draw_strips
from digits.evaluation.plotting import write_figure
from digits.evaluation.predictions import Predictions
from digits.evaluation.seeds import SeedComparison, SeedSide, compare_seeds
from digits.markdown import escape

STYLES = {"text": "simple", "markdown": "github"}  # as tabulate calls them
WILDCARDS = set("*?[")
SEED = "train.seed"
SPENT = (
    "WARNING: neither side is committed, and their settings differ. To choose between them by test "
    "images leaves none to test the choice on: leave out `--split test`."
)


class CompareError(DigitsError):
    """The two sides cannot be compared: other images, other numbers of seeds, mixed settings."""


def add_arguments(parser: ArgumentParser) -> None:
    several = "or a pattern: experiments of one recipe, several seeds"
    parser.add_argument(
        "before", nargs="?", default="HEAD", help=f"revision or experiment [HEAD], {several}"
    )
    parser.add_argument("after", nargs="?", default=WORKSPACE, help=f"the same [{WORKSPACE}]")
    parser.add_argument(
        "--split", choices=SPLITS, default="validation", help="images judged by [validation]"
    )
    parser.add_argument(
        "--format", choices=(*STYLES, "json"), default="text", help="of the numbers [text]"
    )
    parser.add_argument(
        "--png", type=Path, metavar="PATH", help="draw the fixed and the new errors"
    )


def load_side(text: str, split: str) -> list[Record]:
    """Load the revision, or the experiments of the pattern, that a side is.

    Raises:
        CompareError: no experiment's name matches.
    """
    if not WILDCARDS & set(text) or "^{" in text:
        return [load_record(text, split)]
    names = list_names()
    chosen = [name for name in names if fnmatchcase(name, text)]
    if not chosen:
        raise CompareError(
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
    shared = [name for name in slices[0] if all(name in it for it in slices)]
    if not shared or max(map(len, slices)) == 1:
        return [("", list(records))]
    return [
        (name, [cut(record, name, it[name]) for record, it in zip(records, slices, strict=True)])
        for name in shared
    ]


def cut(record: Record, name: str, part: slice) -> Record:
    """Return what a record says of a part, as if the part were the whole dataset."""
    card = record.card.model_copy(update={"name": name, "title": name, "parts": []})
    arrays = (array[part] for array in vars(record.predictions).values())
    return replace(record, card=card, predictions=Predictions(*arrays))


def check_same_images(before: Record, after: Record, split: str) -> None:
    """Refuse to compare answers to different questions.

    Raises:
        CompareError: another dataset, or other images or labels.
    """
    same = (
        before.card.name == after.card.name
        and np.array_equal(before.predictions.labels, after.predictions.labels)
        and np.array_equal(before.predictions.images, after.predictions.images)
    )
    if not same:
        sides = [
            f"{len(record.predictions.labels):,} of {record.card.name} in {record.name}"
            for record in (before, after)
        ]
        causes = [
            text for text in list_differences([before, after]) if text.startswith(("dat", "dec"))
        ]
        reason = f" ({', '.join(causes)})" if causes else ""
        raise CompareError(
            f"expected the same {split} images on both sides, received {sides[0]} and "
            f"{sides[1]}{reason}"
        )


def list_differences(records: Sequence[Record]) -> list[str]:
    """List the settings that are not the same in all, but for the seed of the training."""
    keys = dict.fromkeys(key for record in records for key in record.settings)
    found = []
    for key in keys:
        values = list(dict.fromkeys(repr(record.settings.get(key)) for record in records))
        if key != SEED and len(values) > 1:
            found.append(f"{key}: {' and '.join(values)}")
    return found


def check_seeds(side: Sequence[Record]) -> None:
    """Refuse runs that are not one recipe's, each from a seed of its own.

    Raises:
        CompareError: says in which settings they differ, or which seed comes twice.
    """
    differences = list_differences(side)
    names = f"{side[0].name} ... {side[-1].name}"
    if differences:
        raise CompareError(
            f"{names}: expected runs that differ in {SEED} alone, received {differences[0]}"
        )
    for one, other in itertools.combinations(side, 2):
        if one.settings.get(SEED) == other.settings.get(SEED):
            raise CompareError(
                f"{one.name}, {other.name}: expected a {SEED} of its own in each, received "
                f"{one.settings.get(SEED)} in both"
            )


def list_notes(records: Sequence[Record], split: str) -> list[str]:
    """Say what the numbers must be read with."""
    if split == "test" and all(it.is_candidate for it in records) and list_differences(records):
        return [SPENT]
    return [
        f"{record.name} stopped early, at an epoch chosen on these images: its accuracy is a "
        "little too good here."
        for record in records
        if record.stopped_early and split == "validation"
    ]


def describe_robustness(names: Sequence[str], sides: Sequence[Sequence[Record]]) -> list[str]:
    """Say how many corrupted validation images each side reads right, if every run says so."""
    means = []
    for side in sides:
        measured = [it.val_robustness for it in side if it.val_robustness is not None]
        if len(measured) < len(side):
            return []
        means.append(f"{100 * np.mean(measured):.1f} %")
    said = ", ".join(f"{name} {mean}" for name, mean in zip(names, means, strict=True))
    return [f"Of corrupted validation images, right on average: {said}."]


def describe_split(record: Record, split: str) -> str:
    """Say which images the numbers are about."""
    count = len(record.predictions.labels)
    end = ", which are for the end, not to choose by" if split == "test" else ""
    return f"On the {count:,} {split} images of {record.card.title}{end}:"


def describe_power(detectable: float) -> str:
    """Say how large a difference these images could have shown."""
    least = 100 * detectable
    return f"A difference of {least:.2f} % or more would be seen, {POWER:.0%} of the time."


def render_models(
    result: Comparison, changes: pd.DataFrame, names: Sequence[str], style: str = "github"
) -> str:
    """Write the numbers of two models as tables of a style that tabulate knows, and the verdict."""
    show = escape if style == "github" else str
    sides = zip(names, (result.before, result.after), strict=True)
    rows = [(show(name), *describe_side(side)) for name, side in sides]
    header = ("", "accuracy", "95 % interval", "errors")
    whole = tabulate([*rows, describe_difference(result)], header, style, disable_numparse=True)
    moved = changes[(changes["fixed"] > 0) | (changes["new"] > 0)]
    moved = moved.assign(**{"class": moved["class"].map(show)})
    classes = tabulate(moved.to_numpy().tolist(), moved.columns.tolist(), style)
    said = f"{result.verdict}\n{describe_power(result.detectable)}"
    return "\n\n".join([whole, said, *([classes] if len(moved) else [])])


def render_seeds(result: SeedComparison, names: Sequence[str], style: str) -> str:
    """Write the numbers of two recipes, each of several seeds."""
    before, after = map(escape if style == "github" else str, names)
    rows = [(before, *describe_seeds(result.before)), (after, *describe_seeds(result.after))]
    header = ("", "accuracy", "95 % interval", "each seed")
    table = tabulate([*rows, describe_difference(result)], header, style, disable_numparse=True)
    pairs = len(result.before.accuracies) * len(result.after.accuracies)
    return (
        f"{table}\n\n{result.verdict}\n"
        f"A new seed of {after} beats one of {before} with a probability of about "
        f"{result.superiority:.2f} (of {pairs} pairs).\n"
        f"The interval is over seeds and images. {describe_power(result.detectable)}"
    )


def describe_side(side: Side) -> tuple[str, str, str]:
    """Write a model's accuracy, interval and errors."""
    low, high = 100 * side.accuracy_low, 100 * side.accuracy_high
    return f"{100 * side.accuracy:.2f} %", f"{low:.2f} to {high:.2f} %", str(side.error_count)


def describe_seeds(side: SeedSide) -> tuple[str, str, str]:
    """Write a recipe's mean accuracy and standard deviation, and the accuracy of each seed."""
    each = ", ".join(f"{100 * accuracy:.2f}" for accuracy in side.accuracies)
    return f"{100 * side.mean:.2f} ± {100 * side.deviation:.2f} %", "", each


def describe_difference(result: Comparison | SeedComparison) -> tuple[str, str, str, str]:
    """Write the last row of the table."""
    low, high = 100 * result.difference_low, 100 * result.difference_high
    difference = f"{100 * result.difference:+.2f} %"
    return "difference", difference, f"{low:+.2f} to {high:+.2f} %", ""


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


def judge_models(
    before: Record, after: Record, picture: Path | None = None
) -> tuple[Comparison, pd.DataFrame]:
    """Compare two models, with the errors fixed and new by class; draw them where told to."""
    result = compare(before.predictions, after.predictions)
    if picture:
        strips = cut_strips(result, before.predictions, after.predictions, before.card)
        title = f"Errors of {before.name} and {after.name} · {before.card.title}\n{result.verdict}"
        write_figure(picture, draw_strips(strips, title))
    return result, tabulate_changes(result, before.predictions.labels, before.card)


def judge_seeds(before: Sequence[Record], after: Sequence[Record]) -> SeedComparison:
    """Compare two recipes, each by the models of several seeds.

    Raises:
        CompareError: a side is a single model, or not of one recipe; a run is on both sides.
    """
    for side in (before, after):
        check_seeds(side)
    names = [{record.name for record in side} for side in (before, after)]
    if min(map(len, names)) == 1 or names[0] & names[1]:
        raise CompareError(
            "expected two or more seeds on each side, no run on both, received "
            f"{len(before)} and {len(after)}, {len(names[0] & names[1])} of them on both: one seed "
            "says nothing of how another would do"
        )
    right = [
        np.array([it.predictions.predicted == it.predictions.labels for it in side])
        for side in (before, after)
    ]
    return compare_seeds(*right)


def judge(
    before: Sequence[Record], after: Sequence[Record], arguments: Namespace, picture: Path | None
) -> tuple[dict[str, Any], Callable[..., str]]:
    """Compare two sides; return the numbers, and what writes them in a style of tabulate.

    Raises:
        CompareError: they cannot be compared.
    """
    names = (arguments.before, arguments.after)
    for record in [*before, *after][1:]:
        check_same_images(before[0], record, arguments.split)
    if len(before) == len(after) == 1:
        result, changes = judge_models(before[0], after[0], picture)
        values = asdict(result) | {
            "fixed": result.fixed.tolist(),
            "new": result.new.tolist(),
            "classes": changes.to_dict("records"),
            "verdict": result.verdict,
        }
        return values, partial(render_models, result, changes, names)
    if picture:
        raise CompareError("--png: expected one model on each side, received a pattern")
    seeds = judge_seeds(before, after)
    return asdict(seeds) | {"verdict": seeds.verdict}, partial(render_seeds, seeds, names)


def main(arguments: Namespace) -> None:
    split, names = arguments.split, (arguments.before, arguments.after)
    before, after = (load_side(name, split) for name in names)
    records = [*before, *after]
    notes = list_notes(records, split)
    if split == "validation":
        notes += describe_robustness(names, (before, after))
    judged, texts = dict[str, Any](), list[str]()
    for part, of_part in divide(records, split):
        sides = (of_part[: len(before)], of_part[len(before) :])
        picture = arguments.png and arguments.png.with_stem(
            f"{arguments.png.stem}{part and '-'}{part}"
        )
        judged[part], write = judge(*sides, arguments, picture)
        if arguments.format != "json":
            texts += [describe_split(of_part[0], split), write(STYLES[arguments.format])]
    if arguments.format == "json":
        values = judged.get("", {"parts": judged})
        print(json.dumps({"names": names, "split": split, "notes": notes} | values, indent=2))
        return
    print(*texts, *notes, sep="\n\n")
