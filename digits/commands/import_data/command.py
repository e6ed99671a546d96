"""`digits import NAME SOURCE...`: convert a dataset of another format to four IDX files.

What is ambiguous is refused. The new dataset file has the digests of the IDX files, and their
folder as its one mirror.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np

from digits.commands.import_data.conversion import Images, convert, number_classes, warn_of_shared
from digits.commands.import_data.pairing import Named, join_texts, pair
from digits.commands.import_data.reading import FORMS, read_sources
from digits.commands.import_data.writing import Content, add_to, write_dataset
from digits.data.datasets import DATASETS_DIR, NAME
from digits.data.splits import hold_out
from digits.errors import DigitsError

TEST_FRACTION = 0.2  # of each class, where no name says train or test
TEST_SEED = 0


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help=f"of the new file in {DATASETS_DIR}/")
    add("sources", nargs="+", type=Path, metavar="SOURCE", help=FORMS)
    add("--test", nargs="+", type=Path, default=[], metavar="SOURCE", help="of the test images")
    add("--with", dest="known", metavar="DATASET", help="to whose images these are added")
    add(
        "--label",
        metavar="COLUMN",
        help="of a table; a number from 0: that part of file names; or folder",
    )
    add("--transpose", action="store_true", help="swap rows and columns of the images")
    add("--test-fraction", type=float, metavar="0.2", help="of each class of one set")
    add("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    add("--replace", action="store_true", help="write over a dataset file and its IDX files")


def main(arguments: Namespace) -> None:
    _check_options(arguments)
    sets = [convert(*both) for both in pair(_read_arrays(arguments))]
    paths = (*arguments.sources, *arguments.test)
    origin = f"Imported from {join_texts(path.absolute().name for path in paths)}"
    if len(sets) == 1:
        fraction = arguments.test_fraction or TEST_FRACTION
        sets = _divide(sets[0], fraction)
        origin += f"; {fraction} of each class are the test images"
    elif arguments.test_fraction is not None:
        raise DigitsError("--test-fraction: expected one set of images, received train and test")
    warn_of_shared(*(images.pixels for images in sets))
    classes, train, test = number_classes(sets, least=1 if arguments.known else 2)
    content = Content(train, test, classes, {"transpose": True} if arguments.transpose else {})
    print(f"{origin}: {content.describe()}")
    if arguments.known:
        content = add_to(arguments.known, arguments.name, content)
        origin += f"; added to {arguments.known}"
    path, samples = write_dataset(arguments.name, content, origin, replace=arguments.replace)
    print(f"{path}: written; {samples} shows some of its images. The next command:")
    print(f"dvc exp run -S dataset={arguments.name}")


def _check_options(arguments: Namespace) -> None:
    """Refuse options that are wrong whatever the sources hold."""
    fraction = arguments.test_fraction
    if not NAME.fullmatch(arguments.name):
        raise DigitsError(f"NAME: expected letters, digits, - and _, received {arguments.name!r}")
    if fraction is not None and not 0 < fraction < 1:
        raise DigitsError(f"--test-fraction: expected between 0 and 1, received {fraction}")


def _read_arrays(arguments: Namespace) -> list[Named]:
    """Read all sources; those of `--test` are the test images, whatever their names say."""
    label, skip_bad = arguments.label, arguments.skip_bad
    arrays = read_sources(arguments.sources, label, skip_bad=skip_bad)
    if not arguments.test:
        return arrays
    test = read_sources(arguments.test, label, skip_bad=skip_bad)
    return [
        *(replace(array, split="train") for array in arrays),
        *(replace(array, split="test") for array in test),
    ]


def _divide(images: Images, fraction: float) -> list[Images]:
    """Hold out a fraction of each class as test images.

    Raises:
        DigitsError: a class of one image.
    """
    classes, counts = np.unique(images.labels, return_counts=True)
    if counts.min() < 2:
        raise DigitsError(
            f"{classes[counts.argmin()]}: expected two images or more, one to train and one to "
            "test, received 1"
        )
    sides = hold_out(images.labels, fraction, TEST_SEED)
    return [Images(images.pixels[side], images.labels[side]) for side in sides]
