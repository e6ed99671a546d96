"""`python -m digits convert NAME SOURCE...`: other people's forms of a dataset to four IDX files.

What would have to be guessed is refused. The folder of the IDX files is the one mirror in the new
dataset file, which has their digests.
"""

import hashlib
import math
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError
from sklearn.model_selection import train_test_split

from digits.commands import joining
from digits.commands.joining import join, load_known
from digits.commands.labels import Classes, find_classes, read_labels
from digits.commands.sources import join_texts, read_splits
from digits.config import describe_errors
from digits.data import idx
from digits.data.datasets import DATASETS_DIR, NAME, Dataset, is_local
from digits.errors import DigitsError
from digits.files.artifacts import write_bytes, write_text

CONVERTED_DIR = Path("data/converted")
# What MNIST's files are called, by their keys in a dataset file.
FILE_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
UNKNOWN_LICENCE = "unknown: ask whoever made it"


class ConvertError(DigitsError):
    """The sources leave something to guess, or something is in the way of the result."""


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help=f"of the new file in {DATASETS_DIR}/")
    add(
        "sources",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="one or two .csv, one .npz, or four .npy: train before test, images before labels",
    )
    add("--title", help="of the dataset in figures and messages [NAME]")
    add("--licence", default=UNKNOWN_LICENCE, help="who made it, and the terms of its use")
    add("--class-names", metavar="A,B,C", help="in ascending order of the labels [the labels]")
    add(
        "--label",
        metavar="COLUMN",
        help="of a table, by name; by number, from 0, where there is no header [label]",
    )
    add("--transpose", action="store_true", help="swap rows and columns of the images")
    add("--scale", type=float, metavar="255", help="what pixels are multiplied by")
    add("--test-fraction", type=float, metavar="0.2", help="of one .csv, to be the test images")
    add("--seed", type=int, metavar="0", help="of the choice of test images")
    add("--folder", type=Path, help=f"for the IDX files [{CONVERTED_DIR}/NAME]")
    add("--replace", action="store_true", help="write over a dataset file and its IDX files")
    joining.add_argument(parser)


def check_target(arguments: Namespace) -> None:
    """Refuse names and folders that no dataset may have, and a share that is none.

    Raises:
        ConvertError: says which option.
    """
    fraction, folder = arguments.test_fraction, arguments.folder
    if not NAME.fullmatch(arguments.name):
        raise ConvertError(f"NAME: expected letters, digits, - and _, received {arguments.name!r}")
    if folder and not is_local(str(folder)):
        raise ConvertError(f"--folder: expected a local folder, received {folder}")
    if fraction is not None and not 0 < fraction < 1:
        raise ConvertError(f"--test-fraction: expected between 0 and 1, received {fraction}")


def check_options(arguments: Namespace) -> None:
    """Refuse what no content of the sources could make good.

    Raises:
        ConvertError: says which option.
    """
    fraction, scale = arguments.test_fraction, arguments.scale
    one_table = [path.suffix.lower() for path in arguments.sources] == [".csv"]
    check_target(arguments)
    if scale is not None and not 0 < scale < math.inf:
        raise ConvertError(f"--scale: expected a positive number, received {scale}")
    if one_table and fraction is None:
        raise ConvertError(
            f"SOURCE: expected two tables, train and test, received only {arguments.sources[0]}: "
            "--test-fraction 0.2 makes a fifth of it the test images"
        )
    received = join_texts(arguments.sources)
    if fraction is not None and not one_table:
        raise ConvertError(f"--test-fraction: expected one .csv, received {received}")
    if arguments.seed is not None and fraction is None:
        raise ConvertError("--seed: expected --test-fraction, whose choice it is of, received none")
    if arguments.label is not None and not re.search(r"\.csv$", received, re.IGNORECASE):
        raise ConvertError(f"--label: expected a .csv, received {received}")


def check_apart(train: np.ndarray, test: np.ndarray) -> None:
    """Refuse test images uint8 (n, 28, 28) that are the training images; warn of some that are.

    Raises:
        ConvertError: all of them are.
    """
    known = {image.tobytes() for image in train}
    shared = sum(image.tobytes() in known for image in test)
    if shared == len(test):
        raise ConvertError(
            "test images: expected others than the training images, received no other"
        )
    if shared:
        print(
            f"WARNING: {shared:,} of {len(test):,} test images are training images, too: the test "
            "will flatter the model",
            file=sys.stderr,
        )


def choose_test(labels: np.ndarray, fraction: float, seed: int) -> list[np.ndarray]:
    """Return the indices of the training and of the test images, each in order, stratified.

    Raises:
        ConvertError: a class is left without an image on one side.
    """
    try:
        sides = train_test_split(
            np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise ConvertError(f"--test-fraction {fraction}, --seed {seed}: {error}") from error
    class_counts = [len(np.unique(labels[side])) for side in (*sides, slice(None))]
    if min(class_counts) < max(class_counts):
        raise ConvertError(
            f"--test-fraction {fraction}: expected every class on both sides, received "
            f"{class_counts[0]} classes in train and {class_counts[1]} in test"
        )
    return [np.sort(side) for side in sides]


# Files


def describe_classes(classes: Classes) -> dict[str, Any]:
    """Return the names, and the labels unless they count from 0, as a dataset file says them."""
    first, labels = classes.labels[0], classes.labels
    if labels != list(range(first, first + len(labels))):
        return {"class_names": classes.names, "label_values": labels}
    return {"class_names": classes.names} | ({"label_values": first} if first else {})


def describe_files(folder: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return where the files will be, and the digest of each."""
    vouched = {
        key: {
            "name": FILE_NAMES[key],
            "raw_size": len(raw),
            "raw_sha256": hashlib.sha256(raw).hexdigest(),
        }
        for key, raw in files.items()
    }
    return {"mirrors": [str(folder)], **vouched}


def check_description(name: str, described: Mapping[str, Any]) -> None:
    """Hold what is to be written against what a dataset file may say.

    Raises:
        ConvertError: such as the same class name twice.
    """
    try:
        Dataset.model_validate(described)
    except ValidationError as error:
        raise ConvertError(f"{name}: {describe_errors('', Dataset, error)}") from error


class _Dumper(yaml.SafeDumper):
    """Quote what YAML 1.2 takes for a number, too; PyYAML knows only what 1.1 does."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    digest = re.fullmatch("[0-9a-f]{64}", text)
    style = '"' if re.fullmatch(r"[-+.\d][-+.\w]*", text) and not digest else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def render_dataset(facts: Mapping[str, Any], origin: str) -> str:
    """Write a dataset file as those that are shipped are written; its first line says whence."""
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 10_000}
    return f"# {origin}\n{yaml.dump(dict(facts), Dumper=_Dumper, **options)}"


def check_free(path: Path, folder: Path, files: Mapping[str, bytes]) -> None:
    """Refuse to write over a dataset file, or into a folder that has anything else.

    Raises:
        ConvertError: says what is there.
    """
    if path.exists():
        raise ConvertError(f"{path}: expected no such file, received one: --replace it, or rename")
    if not folder.is_dir():
        return
    own = {FILE_NAMES[key]: raw for key, raw in files.items()}
    others = [
        entry.name
        for entry in sorted(folder.iterdir())
        if not (entry.name in own and entry.is_file() and entry.read_bytes() == own[entry.name])
    ]
    if others:
        raise ConvertError(
            f"{folder}: expected an empty folder, received {join_texts(others)}: --replace writes "
            f"over {join_texts(own)}"
        )


def write_dataset(path: Path, text: str, folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the IDX files, and then the dataset file, which has their digests."""
    for key, raw in files.items():
        write_bytes(folder / FILE_NAMES[key], raw)
    write_text(path, text)


def write_splits(
    arguments: Namespace, classes: Classes, arrays: Sequence[np.ndarray], origin: str
) -> str:
    """Write train images and labels, test images and labels as a dataset; say where they are.

    Raises:
        ConvertError: something is in the way of it, or no dataset file may say it.
        JoinError: they do not fit the dataset to which they are to be added.
    """
    licence = arguments.licence
    more: Mapping[str, Any] = {"transpose": True} if arguments.transpose else {}
    if arguments.known:
        known = load_known(arguments.known, arguments.name)
        if arguments.transpose:
            arrays = [it.swapaxes(1, 2) if it.ndim == 3 else it for it in arrays]
        joined = join(known, arguments.name, classes, arrays)
        arrays, classes, more = joined.arrays, joined.classes, joined.facts
        licence = f"{licence}; {known.dataset.title}: {known.dataset.licence}"
        origin = f"{origin}; added to {known.name}"
    files = {key: idx.encode(array) for key, array in zip(FILE_NAMES, arrays, strict=True)}
    path = DATASETS_DIR / f"{arguments.name}.yaml"
    folder = arguments.folder or CONVERTED_DIR / arguments.name
    title = arguments.title or arguments.name
    described = {"title": title, "licence": licence, **describe_classes(classes), **more}
    described |= describe_files(folder, files)
    check_description(arguments.name, described)
    if not arguments.replace:
        check_free(path, folder, files)
    write_dataset(path, render_dataset(described, origin), folder, files)
    return (
        f"{path} and four IDX files in {folder}: written. The next command:\n"
        f"dvc exp run -S dataset={arguments.name}"
    )


def describe_origin(arguments: Namespace) -> str:
    """Say in one line what the dataset was made of."""
    origin = f"Converted from {join_texts(path.name for path in arguments.sources)}"
    if arguments.test_fraction is None:
        return origin
    chosen = f"{arguments.test_fraction} of it are the test images, seed {arguments.seed or 0}"
    return f"{origin}; {chosen}"


def main(arguments: Namespace) -> None:
    check_options(arguments)
    splits = read_splits(arguments.sources, arguments.label or "label", arguments.scale)
    images, labels = [split.images for split in splits], read_labels(splits)
    if arguments.test_fraction is not None:
        sides = choose_test(labels[0], arguments.test_fraction, arguments.seed or 0)
        images, labels = [images[0][side] for side in sides], [labels[0][side] for side in sides]
    names = arguments.class_names.split(",") if arguments.class_names else []
    classes = find_classes(labels[0], labels[1], names)
    check_apart(*images)
    encoded = [classes.encode(it) for it in labels]
    origin = describe_origin(arguments)
    arrays = (images[0], encoded[0], images[1], encoded[1])
    written = write_splits(arguments, classes, arrays, origin)
    print(f"{origin}: {len(labels[0]):,} training images, {len(labels[1]):,} test images")
    print(f"{len(classes.names)} classes: {classes}")
    print(written)
