"""The comparison of two sides as text and picture, for `digits compare` and `digits pr-report`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from digits.evaluation.comparison import POWER, Comparison, Side, compare
from digits.evaluation.plots_images import draw_gallery
from digits.evaluation.plotting import write_figure
from digits.evaluation.records import Record
from digits.markdown import escape

HEADER = ("", "accuracy", "95 % interval", "errors")


def compare_records(before: Sequence[Record], after: Sequence[Record]) -> Comparison:
    """Compare two sides, each of a record or of several seeds' records, on the same images."""
    sides = [
        np.array([run.predictions.predicted == run.predictions.labels for run in side])
        for side in (before, after)
    ]
    return compare(*sides)


def list_changes(before: Record, after: Record) -> pd.DataFrame:
    """List the images that only one of two models reads right: the errors fixed, then the new ones.

    A row has the change, the image's index, its class, and what it was and is now taken for.
    """
    names = pd.Index(before.card.class_names)
    labels, was = before.predictions.labels, before.predictions.predicted
    now = after.predictions.predicted
    table = pd.DataFrame({"class": names[labels], "was": names[was], "now": names[now]})
    changes = {
        "fixed": table[(was != labels) & (now == labels)],
        "new": table[(was == labels) & (now != labels)],
    }
    return pd.concat(changes, names=["change", "index"]).reset_index()


def count_changes(before: Record, after: Record) -> pd.DataFrame:
    """Count the fixed and the new errors of each class that has any, a row a class."""
    changes = list_changes(before, after)
    counts = pd.crosstab(changes["class"], changes["change"])
    columns = ["fixed", "new"]
    counts = counts.reindex(index=before.card.class_names, columns=columns, fill_value=0)
    return counts[counts.any(axis=1)].reset_index()


def judge_changes(before: Record, after: Record) -> str:
    """Write how many errors are fixed and new, and whether chance would explain it."""
    found = list_changes(before, after)["change"]
    fixed, new = ((found == change).sum() for change in ("fixed", "new"))
    return f"{fixed} fixed, {new} new, {compare_records([before], [after]).verdict}"


def draw_changes(path: Path, before: Record, after: Record) -> None:
    """Draw the errors fixed and new."""
    changes = list_changes(before, after)
    captions = [
        f"{row['change']} #{row['index']}: true {row['class']},\nwas {row['was']}, now {row['now']}"
        for row in changes.to_dict("records")
    ]
    title = f"{before.card.title}, {before.name} and {after.name}: {judge_changes(before, after)}"
    write_figure(path, draw_gallery(before.predictions.images[changes["index"]], captions, title))


def describe_split(record: Record, split: str) -> str:
    """Say which images the numbers are about."""
    count = len(record.predictions.labels)
    end = ", which are for the end, not to choose by" if split == "test" else ""
    return f"On the {count:,} {split} images of {record.card.title}{end}:"


def describe_side(side: Side) -> tuple[str, str, str]:
    """Write a side's accuracy, with the standard deviation over seeds, its interval and errors."""
    deviation = "" if side.deviation is None else f" ± {100 * side.deviation:.2f}"
    return (
        f"{100 * side.accuracy:.2f}{deviation} %",
        f"{100 * side.accuracy_low:.2f} to {100 * side.accuracy_high:.2f} %",
        ", ".join(map(str, side.error_counts)),
    )


def render_comparison(
    before: Sequence[Record], after: Sequence[Record], names: Sequence[str], style: str = "github"
) -> str:
    """Write the numbers of two sides, tables in a style that tabulate knows, and the verdict."""
    show = escape if style == "github" else str
    result, shown = compare_records(before, after), [show(name) for name in names]
    low, high = 100 * result.difference_low, 100 * result.difference_high
    rows = [
        (shown[0], *describe_side(result.before)),
        (shown[1], *describe_side(result.after)),
        ("difference", f"{100 * result.difference:+.2f} %", f"{low:+.2f} to {high:+.2f} %", ""),
    ]
    parts = [tabulate(rows, HEADER, style, disable_numparse=True)]
    power = (
        f"A difference of {100 * result.detectable:.2f} % or more would be seen, {POWER:.0%} of "
        "the time."
    )
    if len(before) > 1:
        pairs = len(before) * len(after)
        parts.append(
            f"{result.verdict}\n"
            f"A new seed of {shown[1]} beats one of {shown[0]} with a probability of about "
            f"{result.superiority:.2f} (of {pairs} pairs).\n"
            f"The interval is over seeds and images. {power}"
        )
    else:
        parts.append(f"{judge_changes(before[0], after[0])}\n{power}")
        counts = count_changes(before[0], after[0])
        if len(counts):
            counts["class"] = counts["class"].map(show)
            parts.append(tabulate(counts.to_dict("list"), "keys", style))
    return "\n\n".join(parts)
