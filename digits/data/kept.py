"""What lies in `data/raw` already: the dataset's files in any wrapping, and what is somebody's own.

DVC leaves `data/raw` as it is before it runs `fetch` (`persist`), since people put files there that
they may have only once. So nothing of it is deleted here but copies of what DVC's cache has.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from digits.data.datasets import Dataset, RawFile
from digits.data.folders import Found, search
from digits.data.raw import GZIP_MAGIC, RawFileError, unpack
from digits.errors import DigitsError
from digits.paths import ORIGINALS_DIR, RAW_DIR


class ForeignFilesError(DigitsError):
    """Files in `data/raw` are not the dataset's, and nothing else is known to have them."""


def find_cache_dir() -> Path | None:
    """Return the folder of DVC's objects; none outside of a DVC project."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return Path(done.stdout.strip()) / "files/md5" if done.returncode == 0 else None


class Cache:
    """The objects of DVC's cache, which are named after the MD5 of their content."""

    @cached_property
    def _folder(self) -> Path | None:
        return find_cache_dir()  # DVC takes a second to start

    def find_file(self, file: RawFile) -> Found | None:
        """Return a file that another run has left; None where there is none."""
        if file.raw_size is None or file.raw_sha256 is None or self._folder is None:
            return None
        for path in sorted(self._folder.glob("??/*")):
            if path.stat().st_size == file.raw_size:
                try:
                    return Found(unpack(file, path.read_bytes()), path)
                except RawFileError:
                    continue  # another content of the same size
        return None

    def holds(self, path: Path) -> bool:
        """Tell whether all files of a path can be had again from the cache."""
        files = [it for it in path.rglob("*") if it.is_file()] if path.is_dir() else [path]
        return all(self._holds(it) for it in files)

    def _holds(self, path: Path) -> bool:
        if self._folder is None or not path.is_file():
            return False
        with path.open("rb") as opened:
            name = hashlib.file_digest(opened, "md5").hexdigest()
        return (self._folder / name[:2] / name[2:]).is_file()


def list_entries() -> list[Path]:
    """List what `data/raw` holds; temporary files of a broken-off run do not count."""
    if not RAW_DIR.is_dir():
        return []
    return sorted(path for path in RAW_DIR.iterdir() if path.suffix != ".tmp")


def find_kept(file: RawFile, cache: Cache) -> Found | None:
    """Return the file from `data/raw`, or from where its wrapping was moved to.

    Where no digest is known, what is in DVC's cache may be another dataset's of that name.
    """
    for place in (RAW_DIR, *_list_originals()):
        if place.exists():
            for found in search(place, file, []):
                if file.has_digest or not cache.holds(Path(found.place)):
                    return found
    return None


def is_stored(name: str, raw: bytes) -> bool:
    """Tell whether `data/raw` has this content under this name."""
    path = RAW_DIR / name
    return path.is_file() and path.stat().st_size == len(raw) and path.read_bytes() == raw


def list_unsaved(cache: Cache) -> list[Path]:
    """List what in `data/raw` nothing else is known to have."""
    return [path for path in list_entries() if not cache.holds(path)]


def clear(dataset: Dataset, cache: Cache) -> None:
    """Leave in `data/raw` only what stands for the dataset's files as they are stored.

    Their wrappings are moved to `data/originals`; what DVC's cache has is removed.

    Raises:
        ForeignFilesError: there is something else; nothing has been changed.
    """
    # Listed first: what a second `fetch` writes meanwhile is none of these.
    entries = list_entries()
    wrapped = _find_wrapped(dataset)
    others = [path for path in entries if path.name not in wrapped]
    foreign = [path for path in others if not cache.holds(path)]
    if foreign:
        names = ", ".join(str(path) for path in foreign)
        raise ForeignFilesError(
            f"{RAW_DIR}: expected files of {dataset.title} only, received {names}, which DVC's "
            "cache does not have: move it elsewhere, and run this again"
        )
    for path in others:
        _remove(path)
    stored = {file.name for file in dataset.files}
    for path in entries:
        if path.name in wrapped and (path.name not in stored or path.is_dir() or _is_packed(path)):
            print(f"{path}: unpacked, and moved to {_move_aside(path)}")


def _find_wrapped(dataset: Dataset) -> set[str]:
    """Return the names in `data/raw` in or below which a file of the dataset lies."""
    if not RAW_DIR.is_dir():
        return set()
    return {
        Path(found.place).relative_to(RAW_DIR).parts[0]
        for file in dataset.files
        for found in search(RAW_DIR, file, [])
    }


def _is_packed(path: Path) -> bool:
    with path.open("rb") as opened:
        return opened.read(len(GZIP_MAGIC)) == GZIP_MAGIC


def _list_originals() -> Iterator[Path]:
    if ORIGINALS_DIR.is_dir():
        yield from sorted(ORIGINALS_DIR.iterdir())


def _move_aside(path: Path) -> Path:
    """Move a path to a folder of its own number, so that no name is there twice."""
    taken = {folder.name for folder in _list_originals()}
    number = next(n for n in range(1, len(taken) + 2) if str(n) not in taken)
    target = ORIGINALS_DIR / str(number) / path.name
    target.parent.mkdir(parents=True)
    shutil.move(path, target)
    return target


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
