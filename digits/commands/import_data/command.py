"""`python -m digits import NAME SOURCE...`: other people's forms of a dataset to four IDX files.

What would have to be guessed is refused. The folder of the IDX files is the one mirror in the new
dataset file, which has their digests.
"""

import math
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from digits.commands.import_data.dataset import (
    CONVERTED_DIR,
    SAMPLES,
    Content,
    add_to,
    write_dataset,
)
from digits.commands.import_data.entries import list_entries
from digits.commands.import_data.files import (
    FORMS,
    name_unknown,
    read_file,
)
from digits.commands.import_data.labels import divide, find_classes, flatten_labels, unify
from digits.commands.import_data.naming import (
    Named,
    SourceError,
    join_texts,
    pair,
    warn_of_left_out,
)
from digits.commands.import_data.pictures import read_pictures
from digits.commands.import_data.pixels import check_apart, convert_images, make_ink_bright
from digits.data.datasets import DATASETS_DIR, NAME, is_local

PICTURES_TO_TEST = 0.2  # of each class
UNKNOWN_LICENCE = "unknown: ask whoever made it"


class Images(NamedTuple):
    """Images uint8 (n, 28, 28), whether they were inverted, labels (n,), and what they were."""

    images: np.ndarray
    is_inverted: bool
    labels: np.ndarray
    source: Named


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
    add("--test-fraction", type=float, metavar="0.2", help="of each class, to be the test images")
    add("--seed", type=int, default=0, metavar="0", help="of the choice of test images")
    add("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    add("--folder", type=Path, help=f"for the IDX files [{CONVERTED_DIR}/NAME]")
    add("--replace", action="store_true", help="write over a dataset file and its IDX files")


def _check_options(arguments: Namespace) -> None:
    """Refuse what no content of the sources could make good."""
    fraction, scale, folder = arguments.test_fraction, arguments.scale, arguments.folder
    sources = [it.resolve() for it in (*arguments.sources, *arguments.test)]
    if not NAME.fullmatch(arguments.name):
        raise SourceError(f"NAME: expected letters, digits, - and _, received {arguments.name!r}")
    if folder and not is_local(str(folder)):
        raise SourceError(f"--folder: expected a local folder, received {folder}")
    if fraction is not None and not 0 < fraction < 1:
        raise SourceError(f"--test-fraction: expected between 0 and 1, received {fraction}")
    if scale is not None and not 0 < scale < math.inf:
        raise SourceError(f"--scale: expected a positive number, received {scale}")
    if len(set(sources)) < len(sources):
        raise SourceError(f"SOURCE: expected each once, received {join_texts(arguments.sources)}")


def _read_sources(sources: Sequence[Path], arguments: Namespace, temporary: Path) -> list[Named]:
    """Read the arrays of all sources; of pictures, the digits that are on them."""
    entries = [
        entry
        for source in sources
        for entry in list_entries(source.absolute(), source.absolute().name, temporary)
    ]
    if 2 * sum(it.is_picture for it in entries) > len(entries):
        return read_pictures(entries, arguments.label, skip_bad=arguments.skip_bad)
    arrays, others = [], []
    for entry in entries:
        read = read_file(entry, arguments.label, arguments.scale)
        if read is None and entry.is_source:
            raise SourceError(f"{entry.name}: expected {FORMS}, received {name_unknown(entry)}")
        arrays += read or []
        others += [entry.name] if read is None else []
    warn_of_left_out(others)
    return arrays


def _load_splits(arguments: Namespace) -> list[Images]:
    """Load what the sources hold: train and test, or one set to be divided."""
    with tempfile.TemporaryDirectory() as temporary:
        arrays = _read_sources(arguments.sources, arguments, Path(temporary))
        test = _read_sources(arguments.test, arguments, Path(temporary))
    if test:
        arrays = [replace(it, split="train") for it in arrays]
        arrays += [replace(it, split="test") for it in test]
    if arguments.scale is not None and any(it.form == "pictures" for it in arrays):
        raise SourceError("--scale: expected arrays or a table, received pictures")
    pairs = pair(arrays)
    ordered = [pairs[it] for it in sorted(pairs, key=str, reverse=True)]  # train, test
    labels = unify(ordered[0].labels.name, [flatten_labels(it.labels) for it in ordered])
    return [
        Images(*make_ink_bright(convert_images(it, len(found), arguments.scale)), found, it)
        for (it, _), found in zip(ordered, labels, strict=True)
    ]


def _describe(content: Content, inverted: Sequence[str]) -> str:
    """Say how many images there are of each class, their range of pixels, and which is ink."""
    train, labels, test, test_labels = content.arrays
    counts = (
        f"{name}: {(labels == it).sum():,} + {(test_labels == it).sum():,}"
        for name, it in zip(content.classes.names, content.classes.labels, strict=True)
    )
    polarity = f" (inverted: paper was bright in {join_texts(inverted)})" if inverted else ""
    return (
        f"{len(train):,} training and {len(test):,} test images, pixels {train.min()} to "
        f"{train.max()}, ink bright{polarity}\n{len(content.classes.names)} classes, training and "
        f"test images of each: {join_texts(counts)}"
    )


def main(arguments: Namespace) -> None:
    _check_options(arguments)
    splits = _load_splits(arguments)
    sources = (*arguments.sources, *arguments.test)
    origin = f"Imported from {join_texts(it.absolute().name for it in sources)}"
    images, labels = [it.images for it in splits], [it.labels for it in splits]
    fraction = arguments.test_fraction
    if len(splits) == 1:
        of_pictures = splits[0].source.form == "pictures"
        fraction = fraction or (PICTURES_TO_TEST if of_pictures else None)
        images, labels = divide(images[0], labels[0], fraction, arguments.seed)
        origin += f"; {fraction} of each class are the test images, seed {arguments.seed}"
    elif fraction is not None:
        received = join_texts(it.source.name for it in splits)
        raise SourceError(f"--test-fraction: expected one set of images, received {received}")
    check_apart(*images)
    names = arguments.class_names.split(",") if arguments.class_names else []
    classes = find_classes(labels[0], labels[1], names, least=1 if arguments.known else 2)
    encoded = [classes.encode(it) for it in labels]
    facts = {"title": arguments.title or arguments.name, "licence": arguments.licence}
    facts |= {"transpose": True} if arguments.transpose else {}
    content = Content([images[0], encoded[0], images[1], encoded[1]], classes, facts)
    said = _describe(content, [it.source.name for it in splits if it.is_inverted])
    if arguments.known:
        content = add_to(arguments.known, arguments.name, content)
        origin += f"; added to {arguments.known}"
    folder = arguments.folder or CONVERTED_DIR / arguments.name
    path = write_dataset(arguments.name, content, folder, origin, replace=arguments.replace)
    print(f"{origin}: {said}")
    print(
        f"{path}, and in {folder} four IDX files and {SAMPLES}, some of the images: written. The "
        f"next command:\ndvc exp run -S dataset={arguments.name}"
    )
