"""Parquet tables as Hugging Face has them: a picture and a label a row."""

import importlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from digits.commands.import_data.naming import LABEL_WORDS, SourceError, join_texts
from digits.data.photographs import find_digits
from digits.data.pictures import read_pictures

PART_COUNT = 1000  # rows at a time


def read_parquet(name: str, file: IO[bytes], label: str | None) -> dict[str, np.ndarray]:
    """Read the digits on all pictures, uint8 (n, 28, 28), and their labels (n,).

    Raises:
        SourceError: pyarrow is not installed, or there are no such columns.
        PictureError: a picture is damaged.
    """
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise SourceError(
            f"{name}: expected pyarrow to read a Parquet table, received none: "
            "python -m pip install pyarrow"
        ) from error
    table = parquet.ParquetFile(file)
    names = table.schema_arrow.names
    known = [it for it in names if it == label or (not label and it.lower() in LABEL_WORDS)]
    if len(known) != 1 or len(names) < 2:
        raise SourceError(
            f"{name}: expected a column of pictures and one of labels, received "
            f"{join_texts(names)}: --label names it"
        )
    column = next(
        it for it in ("image", "img", "png", "jpg", *names) if it in names and it not in known
    )
    pairs = list(_read_rows(table, column, known[0]))
    return {
        "images": np.array([ink for ink, _ in pairs], np.uint8),
        "labels": np.array([found for _, found in pairs]),
    }


def _read_rows(table: Any, column: str, label: str) -> Iterator[tuple[np.ndarray, int | str]]:
    for batch in table.iter_batches(PART_COUNT, columns=[column, label]):
        for row in batch.to_pylist():
            picture = row[column]
            raw = picture["bytes"] if isinstance(picture, dict) else picture
            for page in read_pictures(raw):
                for found in find_digits(page.pixels):
                    yield np.rint(255 * found.ink).astype(np.uint8), row[label]
