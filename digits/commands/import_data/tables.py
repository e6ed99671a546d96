"""Tables of an image a row, or of labels: CSV, TSV and ARFF, with or without a header."""

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from io import StringIO, TextIOWrapper
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd

from digits.commands.import_data.conversion import NUMBER, OTHER_SIZE, PIXEL_COUNT
from digits.commands.import_data.pairing import LABEL_WORDS, LEAST_PIXELS, join_texts
from digits.data.splits import BLOCK, IMAGE_SIDE
from digits.errors import DigitsError

SEPARATORS = ",;\t|"
INDEX = {"", "unnamed: 0"}  # what pandas calls the column that numbers the rows
ID = {"id", "index"}  # the same beside pixels; beside few columns, they may name pictures
SPLIT_COLUMNS = {"split", "set", "subset", "usage"}
INDEX_COLUMN = "save a table without its index, as to_csv(index=False) does"
LOOKED_AT = 50  # rows, to tell labels from pixels where there is no header
ATTRIBUTE = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|\S+)""", re.IGNORECASE)


class Row(NamedTuple):
    """A row about a picture: its path, its label, and what may say its split."""

    file: str
    label: str
    place: str


@dataclass(frozen=True)
class Table:
    """The columns, but one that numbers the rows, and the first rows, or all if few columns.

    Without a header, columns are numbered.
    """

    name: str
    names: list[str]
    rows: list[list[str]]
    dialect: dict[str, Any]  # as pandas calls it
    has_index: bool
    first_row: list[str]  # if pandas had taken it for a header

    def find_label(self, label: str | None) -> int | None:
        """Return the column of the labels; none where all columns are pixels.

        Without a header it is the first or the last: the one that varies. MNIST's corners do not.
        """
        count = len(self.names)
        known = [name for name in self.names if is_label(name, label)]
        if len(known) == 1:
            return self.names.index(known[0])
        if not label and count in (1, PIXEL_COUNT):
            return 0 if count == 1 else None
        if not label and self.names == _number(count):
            varied = [end for end in (0, count - 1) if len({row[end] for row in self.rows}) > 1]
            if len(varied) == 1:
                return varied[0]
        raise DigitsError(
            f"{self.name}: expected a column {label or 'label'!r}, received "
            f"{join_texts(self.names)}: --label names it, or has its number, such as --label 0, "
            "where there is no header"
        )

    def find_pixels(self, label: int | None) -> list[int]:
        """Return all columns but the label's: 784 pixels in their order."""
        pixels = [column for column in range(len(self.names)) if column != label]
        names = [self.names[column] for column in pixels]
        numbers = [tuple(map(int, re.findall(r"\d+", name))) for name in names]  # pixel7, 1x28
        if len(pixels) != PIXEL_COUNT or len(set(names)) < len(names) or numbers != sorted(numbers):
            advice = {PIXEL_COUNT: "", PIXEL_COUNT + 1: f": {INDEX_COLUMN}"}
            raise DigitsError(
                f"{self.name}: expected {PIXEL_COUNT} columns of pixels in order, received "
                f"{len(pixels)} of {len(set(names))} names, {join_texts(names)}"
                f"{advice.get(len(pixels), f': {OTHER_SIZE}')}"
            )
        return pixels

    def list_labels(self, label: str | None) -> np.ndarray:
        """Return the labels of images that are elsewhere: texts (n,), or numbers (n, columns)."""
        is_named = label or any(is_label(name, label) for name in self.names)
        if not is_named and len(self.names) > 2 and all(map(_is_numbers, self.rows)):
            return np.array(self.rows, np.float64)  # as one-hot labels are
        place = self.find_label(label)
        if place is None or len(self.names) > 2:
            self.find_pixels(place)
        return np.array([row[place or 0] for row in self.rows])

    def list_files(self, is_file: Callable[[str], bool], label: str | None) -> Iterator[Row]:
        """Yield the rows; a header that names a file is one. None if no column is the labels'."""
        if not self.names:  # an empty file
            return
        columns = range(len(self.names))
        rows = self.rows if self.names == _number(len(columns)) else [self.names, *self.rows]
        files = max(columns, key=lambda column: sum(is_file(row[column]) for row in rows))
        names = _number(len(columns)) if is_file(self.names[files]) else self.names
        told = next((column for column in columns if names[column].lower() in SPLIT_COLUMNS), None)
        others = [column for column in columns if column not in (files, told)]
        chosen = [column for column in others if is_label(names[column], label)]
        chosen = chosen or ([] if label else others)
        around = self.name.rpartition("/")[0]
        for row in rows if len(chosen) == 1 else ():
            file = row[files].replace("\\", "/")
            # Without a column of splits, the row's own folder says it, or else the table's name.
            place = f"{self.name}/{file.rpartition('/')[0]}" if told is None else row[told]
            yield Row(f"{around}/{file}", row[chosen[0]], place)


def read_table(name: str, file: IO[bytes], label: str | None) -> Table | dict[str, np.ndarray]:
    """Read `images` (n, 28, 28) and `labels` (n,), texts, if any; or a table of few columns.

    `label` names the column of the labels.

    Raises:
        DigitsError: other columns, or cells that are no pixels.
    """
    with TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        table = _examine(name, text)
        text.seek(0)
        if len(table.names) < LEAST_PIXELS:
            rows = [list(row) for part in _read_rows(text, table, []) for row in part.to_numpy()]
            return replace(table, rows=rows)
        place = table.find_label(label)
        pixels = table.find_pixels(place)
        images, labels = [np.empty((0, PIXEL_COUNT), np.uint8)], [np.empty(0, str)]
        for part in _read_rows(text, table, pixels):
            numbers = part[pixels].to_numpy(np.float32)
            with np.errstate(invalid="ignore"):
                small = numbers.astype(np.uint8)
            images.append(small if np.array_equal(small, numbers) else numbers)
            labels.append(part[place or 0].to_numpy().astype(str))
    read = {"images": np.concatenate(images).reshape(-1, IMAGE_SIDE, IMAGE_SIDE)}
    return read if place is None else read | {"labels": np.concatenate(labels)}


def _read_rows(text: TextIOWrapper, table: Table, pixels: list[int]) -> Iterator[pd.DataFrame]:
    """Yield the rows in parts: pixels as floats, all else as texts."""
    numbers = dict.fromkeys(pixels, float)
    if table.first_row:
        yield pd.DataFrame([table.first_row]).astype(numbers)
    columns = range(-table.has_index, len(table.names))
    types = dict.fromkeys(columns, str) | numbers
    options: dict[str, Any] = {"names": columns, "header": None, "dtype": types}
    # A label may be the text NA. Rows that are all longer than the header must not lose a column.
    options |= {"keep_default_na": False, "index_col": False}
    try:
        with pd.read_csv(text, chunksize=BLOCK, **options, **table.dialect) as reader:
            for part in reader:
                yield part.loc[:, 0:]
    except pd.errors.EmptyDataError:  # a header alone
        return


def _examine(name: str, text: TextIOWrapper) -> Table:
    """Find out how a table is written, from its first lines."""
    attributes: list[str] = []
    first, skipped = text.readline(), 0
    while first and (first[0] in "%@" or not first.strip()):
        attributes += [attribute.strip("'\"") for attribute in ATTRIBUTE.findall(first)]
        first, skipped = text.readline(), skipped + 1
    sample = [first, *itertools.islice(text, LOOKED_AT)]
    separator = max(SEPARATORS, key=first.count)
    if separator not in first and " " in first.strip():
        separator = " "
    quote = "'" if "'" in "".join(sample[:2]) and '"' not in first else '"'
    rows = [*csv.reader(sample, delimiter=separator, quotechar=quote, skipinitialspace=True)]
    names = [cell.strip() for cell in attributes or rows[0] or [""]]
    has_index = names[0].lower() in (INDEX | ID if len(names) > LEAST_PIXELS else INDEX)
    names, first_row, has_header = names[has_index:], list[str](), not attributes
    # Numbers are the first row, unless they count columns of pixels, as pandas writes them.
    if has_header and _is_numbers(names) and names != _number(max(len(names), PIXEL_COUNT)):
        first_row = _number_anew(names)
        has_header, names = bool(first_row), _number(len(names))
    rows = [row[has_index:] for row in rows[has_header:] if len(row) == len(names) + has_index]
    dialect: dict[str, Any] = {"sep": separator, "quotechar": quote, "skipinitialspace": True}
    dialect |= {"skiprows": skipped + has_header, "comment": "%" if attributes else None}
    return Table(
        name, names, [first_row, *rows] if first_row else rows, dialect, has_index, first_row
    )


def is_label(name: str, label: str | None) -> bool:
    """Tell the column of the labels: the one of this name, or of any that labels have."""
    return name == label or (not label and name.lower() in LABEL_WORDS)


def _number(count: int) -> list[str]:
    return [str(column) for column in range(count)]


def _is_numbers(cells: Iterable[str]) -> bool:
    return all(map(NUMBER.fullmatch, cells))


def _number_anew(names: list[str]) -> list[str]:
    """Restore the row 5,0,0,0 that pandas took for a header, 5,0,0.1,0.2; or return none."""
    row = [name.partition(".")[0] for name in names]
    header = [*pd.read_csv(StringIO(",".join(row)), nrows=0)]
    return row if header == names != row else []
