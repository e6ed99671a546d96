"""Files of arrays in other people's forms; their content says what they are, never their name."""

import bz2
import gzip
import lzma
import re
import tarfile
import warnings
import zipfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, NamedTuple

import h5py
import numpy as np
import scipy.io

from digits.commands.import_data.naming import Named, SourceError, find_split
from digits.commands.import_data.parquet import read_parquet
from digits.commands.import_data.tables import read_table
from digits.data import idx
from digits.data.datasets import LARGEST_SIZE
from digits.data.kinds import LOOKED_AT, name_kind
from digits.data.pictures import PictureError

FORMS = (
    "a table (CSV, TSV, ARFF, Parquet), .npz, .npy, .mat, .h5, IDX, or a folder or an archive of "
    "pictures"
)
OPENERS: Mapping[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
LARGEST_UNPACKED = 1 << 33  # bytes of an archive
ZIP, PICKLE = b"PK\x03\x04", re.compile(rb"\x80[\x02-\x05]")
JUNK = {"__macosx", "thumbs.db", "desktop.ini"}
TABLES = {".csv", ".tsv", ".arff"}
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# What a damaged file, or one that is something else, makes the libraries raise.
UNREADABLE = (
    *(ValueError, SyntaxError, TokenError, OverflowError, MemoryError, EOFError, KeyError),
    *(NotImplementedError, RuntimeError, TypeError, Warning, zipfile.BadZipFile, zlib.error),
    *(lzma.LZMAError, tarfile.TarError, OSError, PictureError),
)


class Entry(NamedTuple):
    """A file, its name from the source's on, and whether it is a source itself."""

    path: Path
    name: str
    is_source: bool = False

    @property
    def is_picture(self) -> bool:
        return self.name.lower().endswith(PICTURES)


def list_entries(source: Path, name: str, temporary: Path) -> Iterator[Entry]:
    """Yield the files of a source, a file or a folder, those of archives unpacked.

    Raises:
        SourceError: there is none, or an archive is damaged or too large.
    """
    if not source.exists():
        raise SourceError(f"{name}: expected a file or a folder, received none")
    start = len(str(source))
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        place = name + str(path)[start:]
        inside = place.lower().split("/")[name.count("/") + 1 :]
        if any(it[0] == "." or it in JUNK for it in inside) or not path.is_file():
            continue
        if not place.lower().endswith(PICTURES) and _is_archive(path):
            folder = _unpack(path, place, temporary)
            yield from list_entries(folder, re.sub(r"(\.(zip|tar|tgz|gz))+$", "", place), temporary)
        else:
            yield Entry(path, place, path == source)


def _is_archive(path: Path) -> bool:
    """Tell an archive of files, `.zip` or `.tar`, packed or not, from `.npz`."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return not all(it.endswith(".npy") for it in archive.namelist())
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, OSError, zlib.error, lzma.LZMAError):
        return False


def _unpack(path: Path, name: str, temporary: Path) -> Path:
    """Unpack an archive into a new folder, nothing outside of it."""
    folder = temporary / str(len(list(temporary.iterdir())))
    folder.mkdir()
    with refusing(name, path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_size(name, sum(it.file_size for it in archive.infolist()))
                archive.extractall(folder)  # noqa: S202 - nothing outside, and not more
        else:
            with tarfile.open(path) as tar:
                _check_size(name, sum(it.size for it in tar))
                tar.extractall(folder, filter="data")
    return folder


def _check_size(name: str, size: int) -> None:
    if size > LARGEST_UNPACKED:
        raise SourceError(f"{name}: expected at most {LARGEST_UNPACKED:,} bytes, received {size:,}")


@contextmanager
def refusing(name: str, path: Path) -> Iterator[None]:
    """Say in one line of what a library cannot read what it is."""
    try:
        with warnings.catch_warnings(action="error"):
            for kind in (DeprecationWarning, FutureWarning):  # of libraries, not of files
                warnings.simplefilter("ignore", kind)
            yield
    except SourceError:
        raise
    except UNREADABLE as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:300]
        raise SourceError(f"{name}: expected {_describe(path)}, received {reason}") from error


def _describe(path: Path) -> str:
    """Say of what kind a file should be whole."""
    with path.open("rb") as file:
        kind = name_kind(file.read(LOOKED_AT)).split(", ")[0]
    return f"a whole file, {kind}" if kind else f"a whole {path.suffix or 'file'}"


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
    is_text = b"\0" not in head and name_kind(head.removeprefix(BOM_UTF8)) in ("", "a CSV table")
    return is_text and (entry.is_source or not TABLES.isdisjoint(Path(entry.name.lower()).suffixes))


def name_unknown(entry: Entry) -> str:
    """Say what a file is that is of no known form."""
    with _open_unpacked(entry.path) as file:
        head = file.read(LOOKED_AT)
    if PICKLE.match(head):
        return "a Python pickle: what it holds would be run; save its arrays as .npz"
    if head.startswith(b"MATLAB 7"):
        return "a MATLAB 7.3 file: save it with -v7"
    return name_kind(head) or f"{entry.path.stat().st_size:,} bytes of no known kind"
