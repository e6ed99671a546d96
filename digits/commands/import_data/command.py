"""`digits import NAME SOURCE...`: convert a dataset of another format to four IDX files.

What is ambiguous is refused. The new dataset file has the digests of the IDX files, and their
folder as its one mirror.
"""

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from digits.commands.import_data.labels import divide, flatten_labels, number_classes
from digits.commands.import_data.pairing import join_texts, pair
from digits.commands.import_data.pixels import convert_images, make_ink_bright, warn_of_shared
from digits.commands.import_data.reading import FORMS, read_sources
from digits.commands.import_data.writing import SAMPLES, Content, add_to, write_dataset
from digits.data.datasets import DATASETS_DIR, NAME
from digits.errors import DigitsError

TEST_FRACTION = 0.2  # of each class, where no name says train or test
UNKNOWN_LICENCE = "unknown: ask whoever made it"


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help=f"of the new file in {DATASETS_DIR}/")
    add("sources", nargs="+", type=Path, metavar="SOURCE", help=FORMS)
    add("--test", nargs="+", type=Path, default=[], metavar="SOURCE", help="of the test images")
    add("--with", dest="known", metavar="DATASET", help="to whose images these are added")
    add("--title", help="of the dataset in figures and messages [NAME]")
    add("--licence", default=UNKNOWN_LICENCE, help="who made it, and the terms of its use")
    add("--class-names", metavar="A,B,C", help="in ascending order of the labels [the labels]")
    add("--label", metavar="COLUMN", help="of a table; of file names a part's number, from 0")
    add("--transpose", action="store_true", help="swap rows and columns of the images")
    add("--scale", type=float, metavar="255", help="what pixels are multiplied by")
    add("--test-fraction", type=float, metavar="0.2", help="of each class of one set")
    add("--seed", type=int, default=0, metavar="0", help="of the choice of test images")
    add("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    add("--replace", action="store_true", help="write over a dataset file and its IDX files")


def _check_options(arguments: Namespace) -> None:
    """Refuse options that are wrong whatever the sources hold."""
    fraction, scale = arguments.test_fraction, arguments.scale
    if not NAME.fullmatch(arguments.name):
        raise DigitsError(f"NAME: expected letters, digits, - and _, received {arguments.name!r}")
    if fraction is not None and not 0 < fraction < 1:
        raise DigitsError(f"--test-fraction: expected between 0 and 1, received {fraction}")
    if scale is not None and not 0 < scale < math.inf:
        raise DigitsError(f"--scale: expected a positive number, received {scale}")


def main(arguments: Namespace) -> None:
    _check_options(arguments)
    label, skip_bad = arguments.label, arguments.skip_bad
    arrays = read_sources(arguments.sources, label, skip_bad=skip_bad)
    if arguments.test:
        test = read_sources(arguments.test, label, skip_bad=skip_bad)
        arrays = [replace(array, split="train") for array in arrays]
        arrays += [replace(array, split="test") for array in test]
    pairs = pair(arrays)
    labels = [flatten_labels(pair.labels) for pair in pairs]
    images, inverted = [], []
    for both, found in zip(pairs, labels, strict=True):
        bright, was_dark = make_ink_bright(convert_images(both.images, len(found), arguments.scale))
        images.append(bright)
        inverted += [both.images.name] if was_dark else []
    sources = (*arguments.sources, *arguments.test)
    origin = f"Imported from {join_texts(source.absolute().name for source in sources)}"
    fraction = arguments.test_fraction
    if len(pairs) == 1:
        fraction = fraction or TEST_FRACTION
        sides = divide(labels[0], fraction, arguments.seed)
        images, labels = ([them[0][side] for side in sides] for them in (images, labels))
        origin += f"; {fraction} of each class are the test images, seed {arguments.seed}"
    elif fraction is not None:
        received = join_texts(pair.images.name for pair in pairs)
        raise DigitsError(f"--test-fraction: expected one set of images, received {received}")
    warn_of_shared(*images)
    names = arguments.class_names.split(",") if arguments.class_names else []
    classes, numbers = number_classes(labels[0], labels[1], names, 1 if arguments.known else 2)
    facts = {"title": arguments.title or arguments.name, "licence": arguments.licence}
    facts |= {"transpose": True} if arguments.transpose else {}
    content = Content([images[0], numbers[0], images[1], numbers[1]], classes, facts)
    said = _describe(content, inverted)
    if arguments.known:
        content = add_to(arguments.known, arguments.name, content)
        origin += f"; added to {arguments.known}"
    path, folder = write_dataset(arguments.name, content, origin, replace=arguments.replace)
    print(f"{origin}: {said}")
    print(
        f"{path}, and in {folder} four IDX files and {SAMPLES}, some of the images: written. The "
        f"next command:\ndvc exp run -S dataset={arguments.name}"
    )


def _describe(content: Content, inverted: Sequence[str]) -> str:
    """Say how many images each class has, their range of pixels, and which were inverted."""
    train, labels, test, test_labels = content.arrays
    counts = (
        f"{name}: {(labels == value).sum():,} + {(test_labels == value).sum():,}"
        for name, value in zip(content.classes.names, content.classes.values, strict=True)
    )
    polarity = f" (inverted: paper was bright in {join_texts(inverted)})" if inverted else ""
    return (
        f"{len(train):,} training and {len(test):,} test images, pixels {train.min()} to "
        f"{train.max()}, ink bright{polarity}\n{len(content.classes.names)} classes, training and "
        f"test images of each: {join_texts(counts)}"
    )
