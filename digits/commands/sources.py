"""Read other people's forms of a dataset: `.csv` as on Kaggle, `.npz` as Keras has it, `.npy`.

Nothing is guessed and nothing is lost: pixels become uint8 where that keeps their values.
"""

import re
import sys
import warnings
import zipfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pandas as pd

from digits.config import did_you_mean
from digits.data.datasets import IMAGE_SIDE
from digits.data.kinds import LOOKED_AT, name_kind
from digits.errors import DigitsError

PIXEL_COUNT = IMAGE_SIDE**2
PART_COUNT = 10_000  # images that are held as floats at a time
TOLERANCE = 1e-3  # of a scaled pixel: floats of 32 bits come within 1e-4 of the integer
FORMS = (
    "one or two .csv (train, test), one .npz, or four .npy (train images, train labels, "
    "test images, test labels)"
)
# In the order train images, train labels, test images, test labels: Keras's own, and others'.
ARCHIVE_NAMES = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
MISSING = ["", "nan", "NaN", "NA"]  # what a table has for a pixel that it does not have
NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.IGNORECASE | re.ASCII)
# What a damaged file, or one that is something else, makes NumPy and pandas raise.
UNREADABLE = (
    ValueError,
    SyntaxError,
    TokenError,
    OverflowError,
    MemoryError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    Warning,
    zipfile.BadZipFile,
    zlib.error,
)


class SourceError(DigitsError):
    """A source is no dataset of 28x28 images, or one that can be read in more than one way."""


@dataclass(frozen=True)
class Split:
    """The images of a source, uint8 (n, 28, 28), and its labels of any type and shape."""

    images: np.ndarray
    labels: np.ndarray
    where: str  # the place of the labels, for messages


def read_splits(paths: Sequence[Path], label: str, scale: float | None) -> list[Split]:
    """Read train and test, or only one split from one table.

    `label` names the column of the labels; pixels are multiplied by `scale`.

    Raises:
        SourceError: says where, what was expected and what was received.
    """
    for path in paths:
        if not path.is_file():
            raise SourceError(f"{path}: expected a file, received none")
    if len({path.resolve() for path in paths}) < len(paths):
        raise SourceError(f"SOURCE: expected each file once, received {join_texts(paths)}")
    match [path.suffix.lower() for path in paths]:
        case [".csv"] | [".csv", ".csv"]:
            return [read_table(path, label, scale) for path in paths]
        case [".npz"]:
            arrays = load_archive(paths[0])
        case [".npy", ".npy", ".npy", ".npy"]:
            arrays = [(str(path), load_array(path)) for path in paths]
        case _:
            raise SourceError(f"SOURCE: expected {FORMS}, received {join_texts(paths)}")
    return [
        Split(tidy_images(*images, scale), labels, where)
        for images, (where, labels) in zip(arrays[::2], arrays[1::2], strict=True)
    ]


# Arrays


def load_array(path: Path) -> np.ndarray:
    """Load a `.npy` file of any type and shape, never a pickle."""
    expected = "a .npy file"
    with path.open("rb") as file:
        array = _read(path, expected, lambda: np.load(file, allow_pickle=False))
    if not isinstance(array, np.ndarray):
        raise SourceError(f"{path}: expected {expected}, received an .npz archive")
    return array


def load_archive(path: Path) -> list[tuple[str, np.ndarray]]:
    """Load the four arrays of an `.npz` file, and where they are.

    Raises:
        SourceError: damaged, pickled, or of other names.
    """
    expected = "an .npz archive"
    with path.open("rb") as file:  # NumPy would leave what it cannot read open
        archive = _read(path, expected, lambda: np.load(file, allow_pickle=False))
        if isinstance(archive, np.ndarray):
            raise SourceError(f"{path}: expected {expected}, received a .npy file")
        names = choose_names(path, archive.files)
        return [
            (f"{path}, {name}", _read(path, expected, partial(archive.__getitem__, name)))
            for name in names
        ]


def choose_names(path: Path, received: Sequence[str]) -> Sequence[str]:
    """Return the names of the four arrays; say which of those received are left out.

    Raises:
        SourceError: they are none of the known four, or two sets of them.
    """
    known = [names for names in ARCHIVE_NAMES if set(names) <= set(received)]
    if len(known) != 1:
        wanted = " or ".join(", ".join(names) for names in ARCHIVE_NAMES)
        raise SourceError(f"{path}: expected {wanted}, received {join_texts(received)}")
    others = sorted(set(received).difference(known[0]))
    if others:
        print(f"WARNING: {path}: left out {join_texts(others)}", file=sys.stderr)
    return known[0]


def tidy_images(where: str, images: np.ndarray, scale: float | None) -> np.ndarray:
    """Bring images of one channel into the form uint8 (n, 28, 28).

    Raises:
        SourceError: another shape or type, none, or pixels that uint8 does not hold.
    """
    side = IMAGE_SIDE
    shapes = ((side, side), (PIXEL_COUNT,), (side, side, 1), (1, side, side))
    if images.dtype.kind not in "uif" or images.shape[1:] not in shapes or not len(images):
        raise SourceError(
            f"{where}: expected images as numbers (n, {side}, {side}), (n, {PIXEL_COUNT}) or "
            f"(n, {side}, {side}, 1), received {images.dtype.name} {images.shape}"
        )
    starts = range(0, len(images), PART_COUNT)
    return narrow(where, (images[start : start + PART_COUNT] for start in starts), scale)


def narrow(where: str, parts: Iterable[np.ndarray], scale: float | None) -> np.ndarray:
    """Turn parts of numeric images, of any of the shapes, into one uint8 (n, 28, 28).

    Raises:
        SourceError: no integers 0-255, a constant, or nothing above 1 and no scale given.
    """
    narrowed: list[np.ndarray] = []
    for part in parts:
        narrowed.append(_narrow_part(where, sum(map(len, narrowed)), part, scale))
    images = np.concatenate(narrowed).reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
    if not len(images):
        raise SourceError(f"{where}: expected images, received none")
    low, high = images.min(), images.max()
    if low == high:
        raise SourceError(f"{where}: expected pixels that differ, received a constant, {low}")
    if high == 1 and scale is None:
        raise SourceError(
            f"{where}: expected pixels 0-255, received 0 to 1: --scale 255 makes 255 of 1, "
            "--scale 1 keeps them"
        )
    return images


def _narrow_part(where: str, first: int, part: np.ndarray, scale: float | None) -> np.ndarray:
    if part.dtype == np.uint8 and scale is None:
        return part
    values = part if scale is None else part * np.float64(scale)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        rounded = np.rint(values)
        near = np.abs(values - rounded) <= (0 if scale is None else TOLERANCE)
    good = near & (rounded >= 0) & (rounded <= 255)
    if not good.all():
        index = tuple(np.argwhere(~good)[0])
        expected = "integers 0-255" + ("" if scale is None else f" after --scale {scale:g}")
        hint = (
            ": --scale 255 takes those of 0 to 1" if scale is None and 0 < part[index] < 1 else ""
        )
        image = first + index[0]
        raise SourceError(
            f"{where}: expected {expected}, received {part[index]} in image {image}{hint}"
        )
    return rounded.astype(np.uint8)


# Tables


def read_table(path: Path, label: str, scale: float | None) -> Split:
    """Read a table of an image a row: a column of labels, 784 of pixels, row after row.

    Raises:
        SourceError: other columns, or cells that are no pixels.
    """
    header = _read(path, "a CSV table", lambda: _read_header(path))
    has_header = not all(NUMBER.fullmatch(name) for name in header)
    column = find_label(path, header, label, has_header=has_header)
    pixels = [index for index in range(len(header)) if index != column]
    labels: list[np.ndarray] = []

    def read_parts() -> Iterable[np.ndarray]:
        options: dict[str, Any] = {"dtype": dict.fromkeys(pixels, np.float64) | {column: str}}
        # Of pixels only: a label may be the text NA.
        options |= {"keep_default_na": False, "na_values": dict.fromkeys(pixels, MISSING)}
        options |= {"names": range(len(header)), "header": None, "skiprows": int(has_header)}
        # Without this, rows that are all longer than the header would lose their first column.
        options |= {"index_col": False}
        with pd.read_csv(path, chunksize=PART_COUNT, encoding="utf-8-sig", **options) as reader:
            for part in reader:
                labels.append(part[column].to_numpy().astype(str))
                yield part[pixels].to_numpy()

    images = _read(path, "a CSV table", lambda: narrow(str(path), read_parts(), scale))
    return Split(images, np.concatenate(labels), f"{path}, labels")


def find_label(path: Path, header: Sequence[str], label: str, *, has_header: bool) -> int:
    """Return the number of the label column; the others must be 784 pixels in their order.

    Raises:
        SourceError: says what is amiss with the columns.
    """
    if not has_header:
        if not label.isdecimal() or int(label) >= len(header):
            raise SourceError(
                f"{path}: expected a header, received numbers in the first row: --label says "
                "which column has the labels, such as --label 0 for the first"
            )
        header = [str(index) for index in range(len(header))]
    if label not in header:
        raise SourceError(f"{path}: expected a column {label!r}, {_explain_absence(header, label)}")
    pixels = [name for name in header if name != label]
    if len(header) != PIXEL_COUNT + 1 or len(set(header)) < len(header):
        raise SourceError(
            f"{path}: expected {label!r} and {PIXEL_COUNT} other columns, received "
            f"{len(header)} columns of {len(set(header))} names: {join_texts(header)}"
        )
    numbers = [tuple(map(int, re.findall(r"\d+", name))) for name in pixels]  # pixel7, 1x28
    if numbers != sorted(numbers):
        raise SourceError(f"{path}: expected pixel columns in order, received {join_texts(pixels)}")
    return header.index(label)


def _read_header(path: Path) -> list[str]:
    options: dict[str, Any] = {"header": None, "nrows": 1, "dtype": str, "keep_default_na": False}
    return pd.read_csv(path, encoding="utf-8-sig", **options).iloc[0].tolist()


def _explain_absence(header: Sequence[str], label: str) -> str:
    if len(header) == PIXEL_COUNT:
        return (
            f"received {PIXEL_COUNT} columns without labels: those of Kaggle's test.csv are not "
            "public; convert train.csv alone, with --test-fraction 0.2"
        )
    return f"received {join_texts(header)}: --label names it{did_you_mean(label, header)}"


# Both


def _read(path: Path, expected: str, read: Callable[[], Any]) -> Any:
    """Call a reader; say of what it cannot read what it is."""
    try:
        with warnings.catch_warnings(action="error"):
            return read()
    except UNREADABLE as error:
        with path.open("rb") as file:
            kind = name_kind(file.read(LOOKED_AT).removeprefix(BOM_UTF8))
        reason = " ".join((str(error) or type(error).__name__).split())
        is_other = kind and path.suffix[1:].lower() not in kind.lower()
        received = kind if is_other else reason[:300]
        raise SourceError(f"{path}: expected {expected}, received {received}") from error


def join_texts(values: Iterable[object]) -> str:
    """Write the first of the values in one line, and how many more there are."""
    texts = [str(value) for value in values]
    shown = ", ".join(text if text.isprintable() else ascii(text) for text in texts[:12])
    return f"{shown} and {len(texts) - 12} more" if len(texts) > 12 else shown or "none"
