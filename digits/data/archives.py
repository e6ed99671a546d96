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
Member = tuple[str, int, Callable[[], Any]]  # path, bytes, how it is opened


@dataclass(frozen=True)
class File:
    """A file that is no archive, open at its beginning until the next one is asked for."""

    place: str  # as people would name it: `folder/archive.zip (folder/name.gz)`
    name: str
    size: int  # bytes
    is_packed: bool  # by gzip
    opened: IO[bytes]


def list_files(place: Path, notes: list[str]) -> Iterator[File]:
    """Yield the files at a place, which may be absent; note what cannot be read."""
    for path in _walk(place, notes):
        try:
            if path.is_file():  # neither a pipe that nobody writes to, nor a link to nowhere
                member = (path.name, path.stat().st_size, partial(path.open, "rb"))
                yield from _look_into(str(path), member, DEPTH, notes)
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
        real = os.path.realpath(folder)
        subfolders[:] = [] if real in seen else sorted(filter(_is_wanted, subfolders))
        if real not in seen:
            yield from (Path(folder, name) for name in sorted(filter(_is_wanted, names)))
        seen.add(real)


def _is_wanted(name: str) -> bool:
    """Pass over what is hidden, and what macOS leaves beside each file."""
    return name == ".." or (not name.startswith(".") and name != "__MACOSX")


def _look_into(place: str, member: Member, depth: int, notes: list[str]) -> Iterator[File]:
    """Yield a file, or those in it where it is an archive."""
    path, size, open_member = member
    parts = PurePosixPath(path).parts
    if not parts or not all(map(_is_wanted, parts)):
        return
    try:
        with open_member() as opened:
            head = opened.read(HEAD_SIZE)
            opened.seek(0)
            members = _list_members(head, opened) if depth else None
            if members is None:
                yield File(place, parts[-1], size, head.startswith(GZIP_MAGIC), opened)
                return
            for inner in members:
                yield from _look_into(f"{place} ({inner[0]})", inner, depth - 1, notes)
    except DAMAGED as error:
        notes.append(f"{place}: {' '.join(str(error).split()) or type(error).__name__}")


def _list_members(head: bytes, opened: IO[bytes]) -> Iterator[Member] | None:
    """List the files in an archive; None of what is no archive."""
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
