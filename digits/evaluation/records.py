"""What a revision predicted for a split, and whether two revisions can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.data.splits import Card
from digits.errors import DigitsError
from digits.evaluation.predictions import Predictions

SEED = "train.seed"
SPENT = (
    "WARNING: neither side is committed, and their settings differ. To choose between them by test "
    "images leaves none to test the choice on: leave out `--split test`."
)


@dataclass(frozen=True)
class Record:
    """A revision's predictions for a split, how its model was made, and the dataset."""

    name: str
    card: Card
    model: str  # its MD5
    predictions: Predictions
    settings: dict[str, Any]  # all that the model depends on, by key as in `-S`
    stopped_early: bool  # at an epoch that was chosen on validation
    is_candidate: bool  # an experiment, or uncommitted edits: not chosen yet
    val_robustness: float | None = None  # runs of an earlier version have none


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
