"""List the files in folders and archives, and in the archives among them; nothing is extracted."""

import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from digits.data.raw import GZIP_MAGIC

HEAD_SIZE = 4096  # bytes; unpacked, they hold the first header of a tar
DEPTH = 3  # archives in archives
# RuntimeError: a password is needed, or a compression that zipfile does not know.
DAMAGED = (OSError, EOFError, RuntimeError, ValueError, zlib.error, zipfile.BadZipFile,
           tarfile.TarError)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A file in a folder or an archive."""

    place: str  # as people would name it: `folder/archive.zip (folder/name.gz)`
    name: str
    size: int  # bytes
    open: Callable[[], Any]


@dataclass(frozen=True)
class OpenFile:
    """A file that is no archive, open at its beginning until the next one is asked for."""

    entry: Entry
    is_packed: bool  # by gzip
    opened: IO[bytes]


def list_files(place: Path, notes: list[str]) -> Iterator[OpenFile]:
    """Yield the files at a place, which may be absent; note what cannot be read."""
    try:
        for path in _walk(place, notes):
            if path.is_file():  # neither a pipe that nobody writes to, nor a link to nowhere
                entry = Entry(str(path), path.name, path.stat().st_size, partial(path.open, "rb"))
                yield from _look_into(entry, DEPTH, notes)
    except OSError as error:
        notes.append(str(error))


def _walk(place: Path, notes: list[str]) -> Iterator[Path]:
    """Yield what is not a folder, in order. Links are followed, but into no folder twice."""
    if not place.is_dir():
        yield place
        return
    seen = set()
    walk = os.walk(place, onerror=lambda error: notes.append(str(error)), followlinks=True)
    for folder, subfolders, names in walk:
        subfolders[:] = sorted(filter(_is_wanted, subfolders))
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        yield from (Path(folder, name) for name in sorted(filter(_is_wanted, names)))


def _is_wanted(name: str) -> bool:
    """Tell a file from what is hidden, and from what macOS leaves beside each file."""
    return not name.startswith(".") and name != "__MACOSX"


def _look_into(entry: Entry, depth: int, notes: list[str]) -> Iterator[OpenFile]:
    """Yield a file, or those in it where it is an archive."""
    try:
        with entry.open() as opened:
            head = opened.read(HEAD_SIZE)
            opened.seek(0)
            members = _list_members(head, opened) if depth else None
            if members is None:
                yield OpenFile(entry, head.startswith(GZIP_MAGIC), opened)
                return
            for path, size, open_member in members:
                parts = PurePosixPath(path).parts
                if parts and all(map(_is_wanted, parts)):
                    member = Entry(f"{entry.place} ({path})", parts[-1], size, open_member)
                    yield from _look_into(member, depth - 1, notes)
    except DAMAGED as error:
        notes.append(f"{entry.place}: {' '.join(str(error).split()) or type(error).__name__}")


def _list_members(
    head: bytes, opened: IO[bytes]
) -> Iterator[tuple[str, int, Callable[[], Any]]] | None:
    """List path, size and how to open it of each member; None of what is no archive."""
    if head.startswith(b"PK\x03\x04"):
        zipped = zipfile.ZipFile(opened)
        files = (it for it in zipped.infolist() if not it.is_dir())
        return ((it.filename, it.file_size, partial(zipped.open, it)) for it in files)
    if head.startswith(GZIP_MAGIC):
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS + 16).decompress(head, 512)
        except zlib.error:
            return None
    if head[257:262] != b"ustar":
        return None
    tar = tarfile.open(fileobj=opened)  # noqa: SIM115 - it is closed with what it reads
    return ((it.name, it.size, partial(tar.extractfile, it)) for it in tar if it.isfile())
