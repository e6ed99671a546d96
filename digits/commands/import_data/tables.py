"""Tables of an image a row: CSV, TSV and ARFF, with or without a header, packed or not."""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import TextIOWrapper
from typing import IO, Any

import numpy as np
import pandas as pd

from digits.commands.import_data.labels import NUMBER
from digits.commands.import_data.naming import LABEL_WORDS, SourceError, join_texts
from digits.commands.import_data.pixels import PART_COUNT, PICTURES, PIXEL_COUNT, narrow
from digits.config import did_you_mean

SEPARATORS = ",;\t|"
MISSING = ["", "nan", "NaN", "NA", "?"]  # what a table has for a pixel that it does not have
INDEX = ("", "Unnamed: 0")  # what pandas calls the column that numbers the rows
LOOKED_AT = 50  # rows, to tell labels from pixels where there is no header
ATTRIBUTE = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|\S+)""", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a table is written, and which of its columns has what."""

    options: dict[str, Any]  # for pandas
    skipped: int  # lines before the first row
    names: list[str]
    first_row: list[str]  # of numbers that pandas took for a header, and numbered
    label: int | None = None
    pixels: tuple[int, ...] = ()  # none in a table of labels


def read_table(
    name: str, file: IO[bytes], label: str | None, scale: float | None
) -> dict[str, np.ndarray]:
    """Read `images` uint8 (n, 28, 28) and `labels` (n,), texts; either may be absent.

    `label` names the column of the labels; pixels are multiplied by `scale`.

    Raises:
        SourceError: other columns, or cells that are no pixels.
    """
    with TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        layout = _choose_columns(name, *_examine(text), label)
        text.seek(0)
        for _ in range(layout.skipped):
            text.readline()
        labels = [np.empty(0, str)]

        def read_parts() -> Iterator[np.ndarray]:
            for part in _read_rows(text, layout):
                if layout.label is not None:
                    labels.append(part[layout.label].to_numpy().astype(str))
                yield part[list(layout.pixels)].to_numpy(np.float64)

        images = {"images": narrow(name, read_parts(), scale)} if layout.pixels else {}
        if not layout.pixels:
            list(read_parts())
    return images | ({"labels": np.concatenate(labels)} if layout.label is not None else {})


def _read_rows(text: TextIOWrapper, layout: Layout) -> Iterator[pd.DataFrame]:
    """Yield the rows in parts: pixels as floats, all else as texts."""
    columns, pixels = range(len(layout.names)), layout.pixels
    if layout.first_row:
        yield pd.DataFrame([layout.first_row]).astype(dict.fromkeys(pixels, np.float64))
    options: dict[str, Any] = {"dtype": dict.fromkeys(columns, str) | dict.fromkeys(pixels, float)}
    # Of pixels only: a label may be the text NA.
    options |= {"keep_default_na": False, "na_values": dict.fromkeys(pixels, MISSING)}
    # Without the last, rows that are all longer than the header would lose their first column.
    options |= {"names": columns, "header": None, "index_col": False}
    try:
        with pd.read_csv(text, chunksize=PART_COUNT, **options, **layout.options) as reader:
            yield from reader
    except pd.errors.EmptyDataError:  # a header alone
        return


def _examine(text: TextIOWrapper) -> tuple[Layout, list[list[str]]]:
    """Return how a table is written, and its first rows."""
    attributes: list[str] = []
    first, skipped = text.readline(), 0
    while first and (first[0] in "%@" or not first.strip()):
        attributes += [it.strip("'\"") for it in ATTRIBUTE.findall(first)]
        first, skipped = text.readline(), skipped + 1
    sample = [first, *itertools.islice(text, LOOKED_AT)]
    separator = max(SEPARATORS, key=first.count)
    if separator not in first and " " in first.strip():
        separator = " "
    quote = "'" if "'" in "".join(sample[:2]) and '"' not in first else '"'
    rows = list(csv.reader(sample, delimiter=separator, quotechar=quote, skipinitialspace=True))
    options = {"sep": separator, "quotechar": quote, "skipinitialspace": True}
    names = [it.strip() for it in rows[0]] if rows else []
    if attributes:
        return Layout(options | {"comment": "%"}, skipped, attributes, []), rows
    has_index = bool(names) and names[0] in INDEX
    if not all(NUMBER.fullmatch(it) for it in names[has_index:]):
        return Layout(options, skipped + 1, names, []), rows[1:]
    first_row = _number_anew(names)
    rows[:1] = [first_row] if first_row else rows[:1]
    numbered = [*INDEX[:has_index], *map(str, range(has_index, len(names)))]
    return Layout(options, skipped + bool(first_row), numbered, first_row), rows


def _number_anew(names: Sequence[str]) -> list[str]:
    """Return the row of which pandas made the header 5,0,0.1,0.2: zeros; or none."""
    seen: dict[str, int] = {}
    row = []
    for name in names:
        plain, _, count = name.partition(".")
        if count != (str(seen[plain]) if plain in seen else ""):
            return []
        seen[plain] = seen.get(plain, 0) + 1
        row.append(plain)
    return row if any("." in name for name in names) else []


def _choose_columns(
    name: str, layout: Layout, rows: Sequence[Sequence[str]], label: str | None
) -> Layout:
    """Find the column of the labels; the others must be 784 pixels in their order, or none."""
    names = layout.names
    columns = [index for index, it in enumerate(names) if index or it not in INDEX]
    place = _find_label(name, [names[it] for it in columns], columns, rows, label)
    if place is not None and len(columns) <= 2:
        return replace(layout, label=place)
    pixels = [index for index in columns if index != place]
    if len(pixels) != PIXEL_COUNT or len(set(names)) < len(names):
        raise SourceError(
            f"{name}: expected {PIXEL_COUNT} columns of pixels, received {len(pixels)} of "
            f"{len({names[it] for it in pixels})} names, {join_texts(names[it] for it in pixels)}: "
            f"if images have another size, {PICTURES}"
        )
    numbers = [tuple(map(int, re.findall(r"\d+", names[it]))) for it in pixels]  # pixel7, 1x28
    if numbers != sorted(numbers):
        received = join_texts(names[it] for it in pixels)
        raise SourceError(f"{name}: expected pixel columns in order, received {received}")
    return replace(layout, label=place, pixels=tuple(pixels))


def _find_label(
    name: str,
    names: Sequence[str],
    columns: Sequence[int],
    rows: Sequence[Sequence[str]],
    label: str | None,
) -> int | None:
    """Return the number of the label column; none where all columns are pixels.

    Without a header it is the first or the last: the one that varies. MNIST's corners do not.
    """
    known = [label] if label else [it for it in names if it.lower() in LABEL_WORDS]
    if len(known) == 1 and known[0] in names:
        return columns[names.index(known[0])]
    if not label and len(columns) in (1, PIXEL_COUNT):
        return columns[0] if len(columns) == 1 else None
    if names and not label and all(it.isdecimal() for it in names):
        ends = [it for it in (columns[0], columns[-1]) if len({row[it] for row in rows}) > 1]
        if len(ends) == 1:
            return ends[0]
    hint = did_you_mean(label, names) if label else ""
    raise SourceError(
        f"{name}: expected a column {label or 'label'!r}, received {join_texts(names)}: --label "
        f"names it, or has its number, such as --label 0, where there is no header{hint}"
    )
