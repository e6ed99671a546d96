"""Files of arrays in other people's forms; their content says what they are, never their name."""

import bz2
import gzip
import lzma
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import scipy.io

from digits.commands.import_data.entries import Entry, refusing
from digits.commands.import_data.naming import Named, find_split
from digits.commands.import_data.parquet import read_parquet
from digits.commands.import_data.tables import read_table
from digits.data import idx
from digits.data.datasets import LARGEST_SIZE
from digits.data.formats import LOOKED_AT, name_format

FORMS = (
    "a table (CSV, TSV, ARFF, Parquet), .npz, .npy, .mat, .h5, IDX, or a folder or an archive of "
    "pictures"
)
OPENERS: Mapping[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
ZIP, PICKLE = b"PK\x03\x04", re.compile(rb"\x80[\x02-\x05]")
TABLES = {".csv", ".tsv", ".arff"}


def _open_unpacked(path: Path) -> IO[bytes]:
    """Open a file, through gzip, bzip2 or xz if it is packed."""
    with path.open("rb") as file:
        head = file.read(LOOKED_AT)
    opener = next((it for magic, it in OPENERS.items() if head.startswith(magic)), None)
    return opener(path) if opener else path.open("rb")


def read_file(entry: Entry, label: str | None, scale: float | None) -> list[Named] | None:
    """Read the arrays of a file, never a pickle; none if it is of no known form.

    Raises:
        SourceError: it is damaged, or does not hold images or labels.
    """
    form, arrays = "array", {}
    with refusing(entry.name, entry.path), _open_unpacked(entry.path) as file:
        head = file.read(LOOKED_AT)
        file.seek(0)
        if head.startswith(b"PAR1"):
            form, arrays = "pictures", read_parquet(entry.name, file, label)
        elif reader := _find_reader(head):
            arrays = reader(file)
        elif _looks_like_table(entry, head):
            form, arrays = "table", read_table(entry.name, file, label, scale)
        else:
            return None
    names = {f"{entry.name}, {key}" if key else entry.name: it for key, it in arrays.items()}
    return [Named(it, array, find_split(it), form) for it, array in names.items()]


def _find_reader(head: bytes) -> Callable[[IO[bytes]], dict[str, np.ndarray]] | None:
    """Choose by the first bytes what reads the named arrays of a file."""
    if head.startswith((b"\x93NUMPY", ZIP)):
        return _read_numpy
    if head.startswith(b"\x89HDF"):
        return _read_hdf5
    if head.startswith(b"MATLAB 5"):
        return lambda file: dict(_flatten("", scipy.io.loadmat(file, simplify_cells=True)))
    is_idx = head[:2] == b"\0\0" and len(head) > 4 and head[2] in {8, 9, 11, 12, 13, 14}
    return (lambda file: {"": idx.decode(file.read(LARGEST_SIZE))}) if is_idx else None


def _read_numpy(file: IO[bytes]) -> dict[str, np.ndarray]:
    loaded = np.load(file, allow_pickle=False)
    return {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded.items())


def _read_hdf5(file: IO[bytes]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(file, "r") as whole:
        # An HDF5 object may also be a group, which has no numbers of its own.
        whole.visititems(
            lambda key, it: found.update({key: it[()]} if isinstance(it, h5py.Dataset) else {})
        )
    return {key: np.asarray(it) for key, it in found.items()}


def _flatten(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of nested dictionaries, as EMNIST's `dataset/train/images`."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(f"{prefix}{key}/", value)
        elif isinstance(value, np.ndarray):
            yield f"{prefix}{key}", value


def _looks_like_table(entry: Entry, head: bytes) -> bool:
    """Tell text from all else; in a folder, only what is called a table is one."""
    is_text = b"\0" not in head and name_format(head.removeprefix(BOM_UTF8)) in ("", "a CSV table")
    return is_text and (entry.is_source or not TABLES.isdisjoint(Path(entry.name.lower()).suffixes))


def name_unknown(entry: Entry) -> str:
    """Say what a file is that is of no known form."""
    with _open_unpacked(entry.path) as file:
        head = file.read(LOOKED_AT)
    if PICKLE.match(head):
        return "a Python pickle: what it holds would be run; save its arrays as .npz"
    if head.startswith(b"MATLAB 7"):
        return "a MATLAB 7.3 file: save it with -v7"
    return name_format(head) or f"{entry.path.stat().st_size:,} bytes of no known kind"
