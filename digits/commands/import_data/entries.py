"""The files of what a person names: of folders, and of archives, unpacked."""

import lzma
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import NamedTuple

from digits.commands.import_data.naming import SourceError
from digits.data.formats import LOOKED_AT, name_format
from digits.imaging.pictures import PictureError

LARGEST_UNPACKED = 1 << 33  # bytes of an archive
JUNK = {"__macosx", "thumbs.db", "desktop.ini"}
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
        kind = name_format(file.read(LOOKED_AT)).split(", ")[0]
    return f"a whole file, {kind}" if kind else f"a whole {path.suffix or 'file'}"
