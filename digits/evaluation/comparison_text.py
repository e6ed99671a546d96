"""The comparison of two revisions as text and picture, for `digits compare` and `pr-report`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from digits.errors import DigitsError
from digits.evaluation.comparison import POWER, Comparison, Record, compare
from digits.evaluation.plots_images import draw_gallery
from digits.evaluation.plotting import write_figure
from digits.evaluation.seeds import SeedComparison
from digits.markdown import escape

HEADER = ("", "accuracy", "95 % interval", "errors")
SEED = "train.seed"
SPENT = (
    "WARNING: neither side is committed, and their settings differ. To choose between them by test "
    "images leaves none to test the choice on: leave out `--split test`."
)


def list_differences(records: Sequence[Record]) -> list[str]:
    """List the settings that differ, except the seed of the training."""
    keys = dict.fromkeys(key for record in records for key in record.settings)
    found = []
    for key in keys:
        values = dict.fromkeys(repr(record.settings.get(key)) for record in records)
        if key != SEED and len(values) > 1:
            found.append(f"{key}: {' and '.join(values)}")
    return found


def check_same_images(before: Record, after: Record, split: str) -> None:
    """Raise DigitsError unless both have the same dataset, images and labels."""
    same = (
        before.card.name == after.card.name
        and np.array_equal(before.predictions.labels, after.predictions.labels)
        and np.array_equal(before.predictions.images, after.predictions.images)
    )
    if not same:
        first, second = (
            f"{len(record.predictions.labels):,} of {record.card.name} in {record.name}"
            for record in (before, after)
        )
        differences = list_differences([before, after])
        causes = ", ".join(text for text in differences if text.startswith(("dat", "dec")))
        raise DigitsError(
            f"expected the same {split} images on both sides, received {first} and {second}"
            f"{causes and f' ({causes})'}"
        )


def list_notes(records: Sequence[Record], split: str) -> list[str]:
    """Return warnings that belong to the numbers."""
    chosen_by_test = split == "test" and all(record.is_candidate for record in records)
    if chosen_by_test and list_differences(records):
        return [SPENT]
    return [
        f"{record.name} stopped early, at an epoch chosen on these images: its accuracy is a "
        "little too good here."
        for record in records
        if record.stopped_early and split == "validation"
    ]


def describe_split(record: Record, split: str) -> str:
    """Say which images the numbers are about."""
    count = len(record.predictions.labels)
    end = ", which are for the end, not to choose by" if split == "test" else ""
    return f"On the {count:,} {split} images of {record.card.title}{end}:"


def describe_side(scored: Mapping[str, Any]) -> tuple[str, str, str]:
    """Write a model's accuracy, interval and errors."""
    low, high = 100 * scored["accuracy_low"], 100 * scored["accuracy_high"]
    return (
        f"{100 * scored['accuracy']:.2f} %",
        f"{low:.2f} to {high:.2f} %",
        str(scored["error_count"]),
    )


def describe_difference(result: Comparison | SeedComparison) -> tuple[str, str, str, str]:
    """Write the last row of the table."""
    low, high = 100 * result.difference_low, 100 * result.difference_high
    difference = f"{100 * result.difference:+.2f} %"
    return "difference", difference, f"{low:+.2f} to {high:+.2f} %", ""


def describe_power(detectable: float) -> str:
    """Say how large a difference these images could have shown."""
    least = 100 * detectable
    return f"A difference of {least:.2f} % or more would be seen, {POWER:.0%} of the time."


def compare_models(
    before: Record, after: Record, picture: Path | None = None
) -> tuple[Comparison, list[dict[str, Any]]]:
    """Compare two models; draw the errors fixed and new where told to, and count them by class."""
    result = compare(before.predictions, after.predictions)
    names, labels = before.card.class_names, before.predictions.labels
    if picture:
        shown = np.concatenate([result.fixed, result.new])
        captions = [
            f"{what}: true {names[labels[i]]},\n{verb} {names[guesses[i]]}, #{i}"
            for what, verb, index, guesses in (
                ("fixed", "was", result.fixed, before.predictions.predicted),
                ("new", "now", result.new, after.predictions.predicted),
            )
            for i in index
        ]
        title = f"{before.card.title}, {before.name} and {after.name}: {result.verdict}"
        write_figure(picture, draw_gallery(before.predictions.images[shown], captions, title))
    fixed, new = (
        np.bincount(labels[index], minlength=len(names)).tolist()
        for index in (result.fixed, result.new)
    )
    columns = zip(names, fixed, new, strict=True)
    return result, [{"class": name, "fixed": f, "new": n} for name, f, n in columns]


def render_models(
    result: Comparison,
    classes: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    style: str = "github",
) -> str:
    """Write the numbers of two models as tables of a style that tabulate knows, and the verdict."""
    show = escape if style == "github" else str
    sides = zip(names, (result.before, result.after), strict=True)
    rows = [(show(name), *describe_side(side)) for name, side in sides]
    parts = [
        tabulate([*rows, describe_difference(result)], HEADER, style, disable_numparse=True),
        f"{result.verdict}\n{describe_power(result.detectable)}",
    ]
    moved = [{**row, "class": show(row["class"])} for row in classes if row["fixed"] or row["new"]]
    return "\n\n".join([*parts, *([tabulate(moved, "keys", style)] if moved else [])])
