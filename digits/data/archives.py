"""List the files in folders and archives, nested ones too, without extracting to disk."""

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

HEAD_SIZE = 4096  # bytes; unpacked, they hold the first header of a tar
DEPTH = 3  # archives in archives
ZIP = b"PK\x03\x04"
PACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
JUNK = {"__macosx", "thumbs.db", "desktop.ini"}  # files of macOS and Windows
# RuntimeError: a password is needed, or a compression that zipfile does not know.
DAMAGED = (OSError, EOFError, RuntimeError, ValueError, zlib.error, lzma.LZMAError,
           zipfile.BadZipFile, tarfile.TarError)  # fmt: skip
Member = tuple[str, int, Callable[[], Any]]  # path, bytes, how it is opened


@dataclass(frozen=True)
class File:
    """A file that is no archive, open at its beginning until the next one is asked for."""

    place: str  # its path, through archives: `folder/archive.zip/name.gz`
    size: int  # bytes
    head: bytes
    opened: IO[bytes]

    @property
    def name(self) -> str:
        return self.place.rpartition("/")[2]

    def open_unpacked(self) -> IO[bytes]:
        """Open what the file holds, through gzip, bzip2 or xz if it is packed."""
        return _unpack(self.head, self.opened)


def list_files(place: Path, notes: list[str], shown: str | None = None) -> Iterator[File]:
    """Yield the files at a path, which may be missing; note what cannot be read.

    `shown` replaces the path in the files' names.
    """
    root = str(place) if shown is None else shown
    for path in _walk(place, notes):
        try:
            if path.is_file():  # not a pipe, which would block, nor a broken link
                member = (path.name, path.stat().st_size, partial(path.open, "rb"))
                yield from _look_into(root + str(path)[len(str(place)) :], member, DEPTH, notes)
        except OSError as error:
            notes.append(str(error))


def _walk(place: Path, notes: list[str]) -> Iterator[Path]:
    """Yield all but folders, in order. Links are followed, but no folder is entered twice."""
    if not place.is_dir():
        yield place
        return
    seen = set()
    walk = os.walk(place, onerror=lambda error: notes.append(str(error)), followlinks=True)
    for folder, subfolders, names in walk:
        real = os.path.realpath(folder)
        subfolders[:] = [] if real in seen else sorted(filter(_is_wanted, subfolders))
        if real not in seen:
            yield from (Path(folder, name) for name in sorted(filter(_is_wanted, names)))
        seen.add(real)


def _is_wanted(name: str) -> bool:
    return name == ".." or (not name.startswith(".") and name.lower() not in JUNK)


def _look_into(place: str, member: Member, depth: int, notes: list[str]) -> Iterator[File]:
    """Yield a file, or those in it where it is an archive."""
    _, size, open_member = member
    try:
        with open_member() as opened:
            head = opened.read(HEAD_SIZE)
            members = _list_members(head, opened) if depth else None
            if members is None:
                opened.seek(0)
                yield File(place, size, head, opened)
                return
            for inner in members:
                if all(map(_is_wanted, PurePosixPath(inner[0]).parts)):
                    yield from _look_into(f"{place}/{inner[0]}", inner, depth - 1, notes)
    except DAMAGED as error:
        notes.append(f"{place}: {' '.join(str(error).split()) or type(error).__name__}")


def _list_members(head: bytes, opened: IO[bytes]) -> Iterator[Member] | None:
    """List the files in an archive; None if this is a file of its own, such as `.npz`."""
    if head.startswith(ZIP):
        zipped = zipfile.ZipFile(opened)
        files = [info for info in zipped.infolist() if not info.is_dir()]
        if all(info.filename.endswith(".npy") for info in files):
            return None
        return ((info.filename, info.file_size, partial(zipped.open, info)) for info in files)
    opened.seek(0)
    if head.startswith(tuple(PACKED)):
        try:
            head = _unpack(head, opened).read(512)
        except DAMAGED:
            return None
        opened.seek(0)
    if head[257:262] != b"ustar":
        return None
    tar = tarfile.open(fileobj=opened)  # noqa: SIM115 - it is closed with what it reads
    return ((info.name, info.size, partial(tar.extractfile, info)) for info in tar if info.isfile())


def _unpack(head: bytes, opened: IO[bytes]) -> IO[bytes]:
    unpack = next((unpack for magic, unpack in PACKED.items() if head.startswith(magic)), None)
    return unpack(opened) if unpack else opened
