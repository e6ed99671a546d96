"""Files between the stages: JSON, CSV and .npy, written whole or not at all, never pickles."""

import json
import os
import secrets
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from mmap import MADV_RANDOM, mmap
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import pandas as pd
from pandas.errors import ParserWarning

from digits.errors import DigitsError

HISTORY_COLUMNS = ("epoch", "accuracy", "loss", "val_accuracy", "val_loss")  # learning curves
DECIMALS = 6  # of a number in a metrics or plot file: below any difference that means something


class ArtifactError(DigitsError):
    """A file of another stage is missing, damaged or not what it should be."""


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that is renamed to `path` if the block succeeds.

    A link, such as one into DVC's cache, is replaced, not written through. An error of the system,
    such as a full disk, names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_write(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text without newline translation: the same bytes on every machine."""
    write_bytes(path, text.encode())


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write sorted keys, one a line, floats rounded at any depth: a small, stable diff."""
    exact = json.dumps(values, allow_nan=False)
    rounded = json.loads(exact, parse_float=lambda number: round(float(number), DECIMALS))
    write_text(path, json.dumps(rounded, indent=2, sort_keys=True) + "\n")


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a `.npy` file of one dimension or more: the same bytes for the same array."""
    write_array_in_parts(path, len(array), [array])


def write_array_in_parts(path: Path, count: int, parts: Iterable[np.ndarray]) -> None:
    """Write the parts, at least one, as one `.npy` file of `count` rows.

    The bytes are those that NumPy writes for the whole, which need not fit into memory.
    """
    with atomic_write(path) as file:
        for number, part in enumerate(parts):
            if number == 0:
                header = np.lib.format.header_data_from_array_1_0(part)
                whole = header | {"shape": (count, *part.shape[1:]), "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, whole)
            file.write(np.ascontiguousarray(part).data)


def load_json(path: Path) -> dict[str, Any]:
    """Load an object from a JSON file.

    Raises:
        ArtifactError: missing, or not a JSON object.
    """
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ArtifactError(_missing(path)) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: expected JSON, received {error}") from error
    if not isinstance(values, dict):
        raise ArtifactError(f"{path}: expected a JSON object, received {type(values).__name__}")
    return values


def load_array(
    path: Path, dtype: str, shape: tuple[int | None, ...], *, mapped: bool = False
) -> np.ndarray:
    """Load a `.npy` file of this dtype and shape (None: any length), never a pickle.

    A mapped array stays on disk; pages are read into memory when they are used.

    Raises:
        ArtifactError: missing, damaged, not `.npy`, pickled, or of another dtype or shape.
    """
    try:
        with warnings.catch_warnings(action="error"):
            # np.load would open archives, and advises to trust what it takes for a pickle.
            opened = np.lib.format.open_memmap(path, mode="r")
            array = np.asarray(opened) if mapped else np.array(opened)
    except FileNotFoundError as error:
        raise ArtifactError(_missing(path)) from error
    except (ValueError, SyntaxError, TokenError, OverflowError, MemoryError, Warning) as error:
        # The header is a Python literal, whose parser raises all of these for a damaged one. NumPy
        # mistakes some for headers of Python 2, and warns.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ArtifactError(f"{path}: expected a .npy array, received {reason}") from error
    fits = array.ndim == len(shape) and all(
        expected in (None, received) for expected, received in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = "(" + ", ".join("n" if side is None else str(side) for side in shape) + ")"
        raise ArtifactError(
            f"{path}: expected {dtype} {wanted}, received {array.dtype} {array.shape}"
        )
    return array


def expect_random_reads(array: np.ndarray) -> None:
    """Tell the system not to read a mapped file ahead: rows will be read in random order."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap):
        owner.madvise(MADV_RANDOM)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write the columns, not the index."""
    write_text(path, table.to_csv(index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n"))


def load_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Load a CSV that has these columns.

    Raises:
        ArtifactError: missing, unreadable, or other columns.
    """
    try:
        with warnings.catch_warnings(action="error", category=ParserWarning):
            # Surplus cells would become the index, or be dropped with a warning.
            table = pd.read_csv(path, index_col=False)
    except FileNotFoundError as error:
        raise ArtifactError(_missing(path)) from error
    except (ValueError, ParserWarning) as error:  # pandas's parser and decoding errors
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{path}: expected CSV, received {reason}") from error
    if tuple(table.columns) != columns:
        raise ArtifactError(f"{path}: expected columns {columns}, received {tuple(table.columns)}")
    return table


def _missing(path: Path) -> str:
    return f"{path}: expected a file, received none; `dvc repro` makes it, `dvc pull` brings it"
