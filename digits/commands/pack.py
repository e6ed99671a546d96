"""`python -m digits pack FOLDER`: pictures of one's own digits to a dataset, four IDX files.

A subfolder's name is the class of the pictures in it: `mine/7/monday.jpg`. Each digit on a picture
is found and brought into MNIST's form as `predict` does it, so a sheet full of sevens is as good as
a file a seven.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from digits.commands import joining
from digits.commands.convert import (
    CONVERTED_DIR,
    UNKNOWN_LICENCE,
    check_apart,
    check_target,
    write_splits,
)
from digits.commands.joining import check_names
from digits.commands.labels import Classes
from digits.commands.predict import find_pages, list_files
from digits.data.datasets import DATASETS_DIR, load_dataset
from digits.data.splits import hold_out
from digits.errors import DigitsError

TEST_FRACTION = 0.2


class PackError(DigitsError):
    """The folder has no classes, or pictures without digits."""


@dataclass(frozen=True)
class Packed:
    """Images uint8 (n, 28, 28), their classes' places uint8 (n,), and what was not read."""

    images: np.ndarray
    labels: np.ndarray
    failures: list[str]


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("source", type=Path, metavar="FOLDER", help="of pictures, a subfolder a class")
    add("--name", help=f"of the new file in {DATASETS_DIR}/ [the folder's]")
    add("--title", help="of the dataset in figures and messages [its name]")
    add("--licence", default=UNKNOWN_LICENCE, help="who wrote it, and the terms of its use")
    add(
        "--test-fraction",
        type=float,
        default=TEST_FRACTION,
        metavar=f"{TEST_FRACTION}",
        help="of each class, to be the test images",
    )
    add("--seed", type=int, default=0, metavar="0", help="of the choice of test images")
    add("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    add("--folder", type=Path, help=f"for the IDX files [{CONVERTED_DIR}/NAME]")
    add("--replace", action="store_true", help="write over a dataset file and its IDX files")
    joining.add_argument(parser)
    parser.set_defaults(transpose=False)


def list_classes(source: Path, least: int) -> list[Path]:
    """List the subfolders, a class each, in order of their names: numbers by their values.

    Raises:
        PackError: there are fewer than the least.
    """
    if not source.is_dir():
        raise PackError(f"{source}: expected a folder, received none")
    found = [it for it in source.iterdir() if it.is_dir() and not it.name.startswith(".")]
    if len(found) < least:
        number = "two classes or more" if least > 1 else "the classes"
        raise PackError(
            f"{source}: expected a subfolder for each of {number}, received "
            f"{', '.join(it.name for it in found) or 'none'}"
        )
    return sorted(found, key=lambda it: (not it.name.isdecimal(), len(it.name), it.name))


def pack_pictures(folders: Sequence[Path]) -> Packed:
    """Find the digits on all pictures."""
    images, labels, failures = [], [], []
    files = [(label, path) for label, it in enumerate(folders) for path in list_files([it])]
    for label, path in tqdm(files, unit="file", leave=False, disable=None, delay=1):
        for page in find_pages(path, keep_pixels=False):
            images += [np.rint(255 * found.ink).astype(np.uint8) for found in page.found]
            labels += [label] * len(page.found)
            failures += [f"{page.name}: {page.error}"] if page.error else []
    return Packed(np.array(images, np.uint8), np.array(labels, np.uint8), failures)


def check_packed(packed: Packed, names: Sequence[str], *, skip_bad: bool) -> None:
    """Say what could not be read, and refuse to leave it out unless told to.

    Raises:
        PackError: pictures that cannot be read, or a class with fewer than two digits.
    """
    for failure in packed.failures:
        print(f"{'WARNING' if skip_bad else 'ERROR'}: {failure}", file=sys.stderr)
    if packed.failures and not skip_bad:
        raise PackError(
            f"{len(packed.failures)} pictures cannot be read, reasons above: --skip-bad leaves "
            "them out"
        )
    counts = Counter(packed.labels.tolist())
    for label, name in enumerate(names):
        if counts[label] < 2:
            raise PackError(
                f"{name}: expected two digits or more, one to train and one to test, received "
                f"{counts[label]}"
            )


def describe_counts(names: Iterable[str], sides: Sequence[np.ndarray]) -> str:
    """Say how many images of each class there are to train and to test."""
    counts = (np.bincount(side).tolist() for side in sides)
    pairs = zip(names, *counts, strict=True)
    return ", ".join(f"{name}: {train} + {test}" for name, train, test in pairs)


def main(arguments: Namespace) -> None:
    folders = list_classes(arguments.source, least=1 if arguments.known else 2)
    arguments.name = arguments.name or arguments.source.resolve().name
    check_target(arguments)
    names = [it.name for it in folders]
    if arguments.known:  # the digits on a thousand pictures take a while to find
        check_names(names, arguments.known, load_dataset(arguments.known, "--with"))
    packed = pack_pictures(folders)
    check_packed(packed, names, skip_bad=arguments.skip_bad)
    sides = hold_out(packed.labels, arguments.test_fraction, arguments.seed)
    (train, test), labels = (
        [packed.images[it] for it in sides],
        [packed.labels[it] for it in sides],
    )
    check_apart(train, test)
    arrays = (train, labels[0], test, labels[1])
    origin = (
        f"Packed from pictures in {arguments.source.resolve().name}; {arguments.test_fraction} of "
        f"each class are the test images, seed {arguments.seed}"
    )
    classes = Classes(list(range(len(names))), names)
    written = write_splits(arguments, classes, arrays, origin)
    print(f"training and test images of each class: {describe_counts(names, labels)}")
    print(written)
