"""Tables of an image a row, or of labels: CSV, TSV and ARFF, with or without a header."""

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import IO, Any

import numpy as np
import pandas as pd

from digits.commands.import_data.labels import NUMBER
from digits.commands.import_data.pairing import LABEL_WORDS, LEAST_PIXELS, join_texts
from digits.commands.import_data.pixels import OTHER_SIZE, PIXEL_COUNT
from digits.data.splits import BLOCK, IMAGE_SIDE
from digits.errors import DigitsError

SEPARATORS = ",;\t|"
INDEX = ("", "Unnamed: 0")  # what pandas calls the column that numbers the rows
SPLIT_COLUMNS = {"split", "set", "subset", "usage"}
MISSING = ("", "nan", "NA", "?")  # what a table has for a pixel that it does not have
LOOKED_AT = 50  # rows, to tell labels from pixels where there is no header
ATTRIBUTE = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|\S+)""", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """How a table is written, the names of its columns, and its first rows, or all if few columns.

    Without a header, columns are numbered.
    """

    name: str
    names: list[str]
    rows: list[list[str]]
    dialect: dict[str, Any]  # as pandas calls it
    skipped: int  # lines before the first row
    first_row: list[str]  # if pandas had taken it for a header

    @property
    def columns(self) -> list[int]:
        """The columns but that which numbers the rows."""
        return [index for index, name in enumerate(self.names) if index or name not in INDEX]

    def find_label(self, label: str | None) -> int | None:
        """Return the column of the labels; none where all columns are pixels.

        Without a header it is the first or the last: the one that varies. MNIST's corners do not.
        """
        columns, names = self.columns, [self.names[column] for column in self.columns]
        known = [
            name for name in names if name == label or (not label and name.lower() in LABEL_WORDS)
        ]
        if len(known) == 1:
            return self.names.index(known[0])
        if not label and len(columns) in (1, PIXEL_COUNT):
            return columns[0] if len(columns) == 1 else None
        if names and not label and all(name.isdecimal() for name in names):
            ends = (columns[0], columns[-1])
            varied = [column for column in ends if len({row[column] for row in self.rows}) > 1]
            if len(varied) == 1:
                return varied[0]
        raise DigitsError(
            f"{self.name}: expected a column {label or 'label'!r}, received {join_texts(names)}: "
            "--label names it, or has its number, such as --label 0, where there is no header"
        )

    def find_pixels(self, label: int | None) -> list[int]:
        """Return all columns but the label's: 784 pixels in their order."""
        pixels = [column for column in self.columns if column != label]
        names = [self.names[column] for column in pixels]
        numbers = [tuple(map(int, re.findall(r"\d+", name))) for name in names]  # pixel7, 1x28
        if len(pixels) != PIXEL_COUNT or len(set(names)) < len(names) or numbers != sorted(numbers):
            advice = f": {OTHER_SIZE}" if len(pixels) != PIXEL_COUNT else ""
            raise DigitsError(
                f"{self.name}: expected {PIXEL_COUNT} columns of pixels in order, received "
                f"{len(pixels)} of {len(set(names))} names, {join_texts(names)}{advice}"
            )
        return pixels

    def list_labels(self, label: str | None) -> np.ndarray:
        """Return the labels of images that are elsewhere: texts (n,), or numbers (n, columns)."""
        rows = [[row[column] for column in self.columns] for row in self.rows]
        is_named = label or any(name.lower() in LABEL_WORDS for name in self.names)
        if not is_named and len(self.columns) > 2 and all(map(_is_numbers, rows)):
            return np.array(rows, np.float64)  # as one-hot labels are
        place = self.find_label(label)
        if place is None or len(self.columns) > 2:
            self.find_pixels(place)
        return np.array([row[place or 0] for row in self.rows])

    def list_files(
        self, is_file: Callable[[str], bool], label: str | None
    ) -> Iterator[tuple[str, str, str]]:
        """Yield file, label and split of each row; a header that names a file is one."""
        is_numbered = _is_numbers(self.names[column] for column in self.columns)
        rows = self.rows if is_numbered else [self.names, *self.rows]
        columns = range(len(self.names))
        files = max(self.columns, key=lambda column: sum(is_file(row[column]) for row in rows))
        names = [str(column) for column in columns] if is_file(self.names[files]) else self.names
        told = next((column for column in columns if names[column].lower() in SPLIT_COLUMNS), None)
        others = [column for column in self.columns if column not in (files, told)]
        known = [
            column
            for column in others
            if names[column] == label or names[column].lower() in LABEL_WORDS
        ]
        chosen = known or others
        for row in rows if len(chosen) == 1 else ():
            yield row[files], row[chosen[0]], self.name if told is None else row[told]


def read_table(name: str, file: IO[bytes], label: str | None) -> Table | dict[str, np.ndarray]:
    """Read `images` (n, 28, 28) and `labels` (n,), texts, if any; or a table of few columns.

    `label` names the column of the labels.

    Raises:
        DigitsError: other columns, or cells that are no pixels.
    """
    with TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        table = _examine(name, text)
        text.seek(0)
        for _ in range(table.skipped):
            text.readline()
        if len(table.names) < LEAST_PIXELS:
            first = [table.first_row] if table.first_row else []
            table.rows[:] = [*first, *(row for row in _parse(text, table.dialect) if row)]
            if any(len(row) != len(table.names) for row in table.rows):
                raise DigitsError(f"{name}: expected rows as long as the first, received others")
            return table
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
    columns, numbers = range(len(table.names)), dict.fromkeys(pixels, float)
    if table.first_row:
        yield pd.DataFrame([table.first_row]).astype(numbers)
    options: dict[str, Any] = {"dtype": dict.fromkeys(columns, str) | numbers}
    # Of pixels only: a label may be the text NA.
    options |= {"keep_default_na": False, "na_values": dict.fromkeys(pixels, MISSING)}
    # Without the last, rows that are all longer than the header would lose their first column.
    options |= {"names": columns, "header": None, "index_col": False}
    try:
        with pd.read_csv(text, chunksize=BLOCK, **options, **table.dialect) as reader:
            yield from reader
    except pd.errors.EmptyDataError:  # a header alone
        return


def _examine(name: str, text: TextIOWrapper) -> Table:
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
    dialect: dict[str, Any] = {"sep": separator, "quotechar": quote, "skipinitialspace": True}
    rows = list(_parse(sample, dialect))
    names = [cell.strip() for cell in rows[0]] if rows else []
    if attributes:
        return Table(name, attributes, rows, dialect | {"comment": "%"}, skipped, [])
    has_index = bool(names) and names[0] in INDEX
    if not _is_numbers(names[has_index:]):
        return Table(name, names, rows[1:], dialect, skipped + 1, [])
    first_row = _number_anew(names)
    rows[:1] = [first_row] if first_row else rows[:1]
    numbered = [*INDEX[:has_index], *map(str, range(has_index, len(names)))]
    return Table(name, numbered, rows, dialect, skipped + bool(first_row), first_row)


def _parse(lines: Iterable[str], dialect: dict[str, Any]) -> Iterator[list[str]]:
    delimiter, quote = dialect["sep"], dialect["quotechar"]
    return csv.reader(lines, delimiter=delimiter, quotechar=quote, skipinitialspace=True)


def _is_numbers(cells: Iterable[str]) -> bool:
    return all(map(NUMBER.fullmatch, cells))


def _number_anew(names: Sequence[str]) -> list[str]:
    """Restore the row 5,0,0,0 that pandas took for a header, 5,0,0.1,0.2; or return none."""
    row = [name.partition(".")[0] for name in names]
    counts: dict[str, int] = {}
    for name, plain in zip(names, row, strict=True):
        count = counts[plain] = counts.get(plain, -1) + 1
        if name != (f"{plain}.{count}" if count else plain):
            return []
    return row if row != list(names) else []
