"""Read files of many formats, told by their content and not by their name, into named arrays.

pandas, NumPy, SciPy, h5py and Pillow read them. Pickles are never opened.
"""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import h5py
import numpy as np
import pandas as pd
import scipy.io
from tqdm import tqdm

from digits.commands.import_data.labelling import name_pictures
from digits.commands.import_data.pairing import Named, find_split, join_texts, warn_of_left_out
from digits.commands.import_data.pictures import Scan, find_digits_on, is_picture, read_scans
from digits.commands.import_data.tables import Table, is_label, read_table
from digits.data import idx
from digits.data.archives import DAMAGED, HEAD_SIZE, ZIP, File, list_files
from digits.data.datasets import LARGEST_SIZE
from digits.data.formats import name_format
from digits.data.splits import IMAGE_SIDE
from digits.errors import DigitsError

FORMS = (
    "a table (CSV, TSV, ARFF, Parquet), .npz, .npy, .mat, .h5, IDX, or a folder or an archive of "
    "pictures"
)
EMNIST_IMAGES = {"dataset/train/images", "dataset/test/images"}
TABLES = {".csv", ".tsv", ".arff"}
# What a damaged file, or one that is something else, makes the libraries raise.
UNREADABLE = (*DAMAGED, SyntaxError, TokenError, OverflowError, MemoryError, KeyError, TypeError,
              Warning)  # fmt: skip
Arrays = Mapping[str, np.ndarray]


def read_sources(sources: Sequence[Path], label: str | None, *, skip_bad: bool) -> list[Named]:
    """Read the arrays of files, folders and archives; or the digits on the pictures in them.

    `label` says where the labels are, in a table or in names.

    Raises:
        DigitsError: something is damaged, of no known form, or leaves something to guess.
    """
    arrays, tables = list[Named](), list[Table]()
    scans, pictures = list[Scan](), list[str]()
    others, notes = list[str](), list[str]()
    for source in (source.absolute() for source in sources):
        if not source.exists():
            raise DigitsError(f"{source.name}: expected a file or a folder, received none")
        files = list_files(source, notes, source.name)
        for file in tqdm(files, unit="file", leave=False, disable=None, delay=1):
            if is_picture(file):
                pictures.append(file.place)
                with _refusing(file):
                    raw = file.opened.read(LARGEST_SIZE)
                scans += read_scans(file.place, raw)
            elif isinstance(read := _read_file(file, label, source), Table):
                tables.append(read)
            else:
                arrays += read or []
                others += [] if read else [file.place]
    if notes:
        raise DigitsError(f"SOURCE: expected whole files, received {join_texts(notes)}")
    if len(pictures) > len(arrays) + len(tables) + len(others):
        warn_of_left_out([*others, *(array.name for array in arrays)])
        if tables and len(set(pictures)) < len(pictures):
            beside = join_texts(table.name for table in tables)
            places = [source.absolute().name for source in sources]
            raise DigitsError(
                f"SOURCE: expected names that differ, beside {beside}, received "
                f"{join_texts(places)}"
            )
        return name_pictures(find_digits_on(scans), tables, label, skip_bad=skip_bad)
    warn_of_left_out([*others, *(scan.file for scan in scans)])
    labels = [(table.name, table.list_labels(label)) for table in tables]
    return arrays + [Named(name, found, find_split(name)) for name, found in labels]


def _read_file(file: File, label: str | None, source: Path) -> list[Named] | Table:
    """Read a file's arrays, or its table of few columns; nothing if it is of no known form.

    Only a file that is a source itself must be of one.

    Raises:
        DigitsError: it is damaged, or does not hold images or labels.
    """
    is_source = file.place == source.name
    with _refusing(file), file.open_unpacked() as opened:
        head = opened.read(HEAD_SIZE)
        opened.seek(0)
        if reader := _find_reader(head):
            arrays = reader(opened if opened is file.opened else io.BytesIO(_read_whole(opened)))
        elif head.startswith(b"PAR1"):
            arrays = _read_parquet(file.place, _read_whole(opened), label)
        elif _looks_like_table(file, head, is_source=is_source):
            table = read_table(file.place, opened, label)
            if isinstance(table, Table):
                return table
            arrays = table
        elif is_source:
            received = name_format(head) or f"{file.size:,} bytes of no known form"
            raise DigitsError(f"{file.place}: expected {FORMS}, received {received}")
        else:
            return []
    names = {f"{file.place}, {key}" if key else file.place: value for key, value in arrays.items()}
    return [Named(place, array, find_split(place)) for place, array in names.items()]


@contextmanager
def _refusing(file: File) -> Iterator[None]:
    """Turn what a library raises into one line that names the file and its format."""
    try:
        with warnings.catch_warnings(action="error"):
            for kind in (DeprecationWarning, FutureWarning):  # of libraries, not of files
                warnings.simplefilter("ignore", kind)
            yield
    except UNREADABLE as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:300]
        known = name_format(file.head).split(", ")[0]
        whole = f"file, {known}" if known else Path(file.name).suffix or "file"
        raise DigitsError(f"{file.place}: expected a whole {whole}, received {reason}") from error


def _read_whole(opened: IO[bytes]) -> bytes:
    data = opened.read(LARGEST_SIZE + 1)
    if len(data) > LARGEST_SIZE:
        raise ValueError(f"more than {LARGEST_SIZE:,} bytes")
    return data


def _find_reader(head: bytes) -> Callable[[IO[bytes]], Arrays] | None:
    """Return the function that reads a file's arrays, by its first bytes."""
    if head.startswith((b"\x93NUMPY", ZIP)):
        return _read_numpy
    if head.startswith(b"\x89HDF"):
        return _read_hdf5
    if head.startswith(b"MATLAB 5"):
        return _read_matlab
    is_idx = head[:2] == b"\0\0" and len(head) > 4 and head[2] in {8, 9, 11, 12, 13, 14}
    return (lambda file: {"": idx.decode(_read_whole(file))}) if is_idx else None


def _read_numpy(file: IO[bytes]) -> Arrays:
    loaded = np.load(file, allow_pickle=False)
    return {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded.items())


def _read_matlab(file: IO[bytes]) -> Arrays:
    arrays = dict(_flatten("", scipy.io.loadmat(file, simplify_cells=True)))
    for key in EMNIST_IMAGES & arrays.keys():  # MATLAB writes an image column by column
        arrays[key] = arrays[key].reshape(-1, IMAGE_SIDE, IMAGE_SIDE).swapaxes(1, 2)
    return arrays


def _read_hdf5(file: IO[bytes]) -> Arrays:
    with h5py.File(file, "r") as whole:
        return dict(_flatten("", whole))


def _flatten(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of nested dictionaries and groups, as EMNIST's `dataset/train/images`."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(f"{prefix}{key}/", value)
        elif isinstance(value, np.ndarray | h5py.Dataset) and value.shape is not None:
            yield f"{prefix}{key}", np.asarray(value)


def _read_parquet(name: str, data: bytes, label: str | None) -> Arrays:
    """Read the digits on pictures, uint8 (n, 28, 28), and their labels: a row each."""
    try:
        table = pd.read_parquet(io.BytesIO(data), engine="pyarrow")
    except ImportError as error:
        raise DigitsError(
            f"{name}: expected pyarrow to read a Parquet table, received none: "
            "python -m pip install pyarrow"
        ) from error
    names = [str(column) for column in table]
    known = [name for name in names if is_label(name, label)]
    pictures = [name for name in names if isinstance(table[name].iloc[0], dict | bytes)]
    if len(known) != 1 or len(pictures) != 1:
        raise DigitsError(
            f"{name}: expected a column of pictures and one of labels, received "
            f"{join_texts(names)}: --label names it"
        )
    cells = [cell["bytes"] if isinstance(cell, dict) else cell for cell in table[pictures[0]]]
    scans = [scan for row, cell in enumerate(cells) for scan in read_scans(str(row), cell)]
    scans = find_digits_on(scans)
    for scan in scans:
        if scan.error:
            raise DigitsError(f"{name}, row {scan.file}: {scan.error}")
    rows = np.repeat([int(scan.file) for scan in scans], [len(scan.digits) for scan in scans])
    labels = table[known[0]].to_numpy()[rows]
    return {"images": np.concatenate([scan.digits for scan in scans]), "labels": labels}


def _looks_like_table(file: File, head: bytes, *, is_source: bool) -> bool:
    """Tell text from all else; in a folder, only what is called a table is one."""
    is_text = b"\0" not in head and name_format(head) in ("", "a CSV table")
    is_called = not TABLES.isdisjoint(suffix.lower() for suffix in Path(file.name).suffixes)
    return is_text and (is_source or is_called)
