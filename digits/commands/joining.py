"""Join images of one's own to a known dataset: all of its images first, then one's own."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.commands.labels import Classes
from digits.config import load_params
from digits.data import idx
from digits.data.datasets import Dataset, load_dataset
from digits.data.finding import find_files
from digits.data.tidying import tidy_images, tidy_labels
from digits.errors import DigitsError

SPLITS = ("train", "test")


class JoinError(DigitsError):
    """What is to be joined does not fit the known dataset."""


@dataclass(frozen=True)
class Known:
    """A dataset by its name; images uint8 (n, 28, 28) and labels uint8 (n,), train before test."""

    name: str
    dataset: Dataset
    arrays: list[np.ndarray]


@dataclass(frozen=True)
class Joined:
    """The arrays of both, the classes of both, and what a dataset file says of it beside these."""

    arrays: list[np.ndarray]
    classes: Classes
    facts: dict[str, Any]


def add_argument(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--with", dest="known", metavar="DATASET", help="to whose images these are added"
    )


def load_known(name: str, own_name: str) -> Known:
    """Load a dataset from wherever its files are to be had.

    Raises:
        JoinError: it is, or has as a part, what is to be added to it.
        UnreachableError: no mirror has it.
    """
    dataset = load_dataset(name, "--with")
    if own_name in (name, *dataset.count_parts("train")):
        raise JoinError(f"--with {name}: expected a name of its own for the result: --name")
    waits = [load_params(f"fetch.{it}_seconds", float) for it in ("timeout", "deadline")]
    files = find_files(dataset, *waits)
    arrays = []
    for split in SPLITS:
        images, labels = (idx.view(files[file.name]) for file in dataset.pair(split))
        arrays += [
            tidy_images(split, images, transpose=dataset.transpose),
            tidy_labels(split, labels, len(images), dataset),
        ]
    return Known(name, dataset, arrays)


def check_names(names: Sequence[str], known_name: str, dataset: Dataset) -> None:
    """Refuse classes that the known dataset does not have.

    Raises:
        JoinError: says which.
    """
    strange = [name for name in names if name not in dataset.class_names]
    if strange:
        raise JoinError(
            f"--with {known_name}: expected its classes, {', '.join(dataset.class_names)}, "
            f"received {', '.join(strange)}, too"
        )


def count(name: str, arrays: Sequence[np.ndarray]) -> dict[str, Any]:
    """Say how many images arrays of train and test have, as a part of a dataset."""
    return {"name": name, "train": len(arrays[0]), "test": len(arrays[2])}


def join(known: Known, name: str, classes: Classes, arrays: Sequence[np.ndarray]) -> Joined:
    """Put one's own arrays behind those of the dataset.

    Raises:
        JoinError: a class that the dataset does not have.
    """
    check_names(classes.names, known.name, known.dataset)
    places = np.array([known.dataset.class_names.index(it) for it in classes.names], np.uint8)
    images, labels, test_images, test_labels = arrays
    found = [places[np.searchsorted(classes.labels, it)] for it in (labels, test_labels)]
    own = (images, found[0], test_images, found[1])
    former = [part.model_dump() for part in known.dataset.parts]
    parts = [*(former or [count(known.name, known.arrays)]), count(name, own)]
    facts = {"disputed": known.dataset.disputed, "parts": parts}
    return Joined(
        [np.concatenate(pair) for pair in zip(known.arrays, own, strict=True)],
        Classes([*range(len(known.dataset.class_names))], known.dataset.class_names),
        {key: value for key, value in facts.items() if value},
    )
