"""`data/raw`: the dataset's files, and whatever people have put there.

DVC does not empty it before it runs `fetch` (`persist`), and only files that are in DVC's cache as
well are deleted here: a person may have no other copy.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from itertools import count
from pathlib import Path

from digits.files import atomic_write
from digits.paths import ORIGINALS_DIR, RAW_DIR


def find_cache_dir() -> Path | None:
    """Return the folder of DVC's objects, named by their MD5; None outside of a DVC project."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return Path(done.stdout.strip()) / "files/md5" if done.returncode == 0 else None


def list_cached(sizes: Collection[int | None]) -> list[Path]:
    """List the objects in DVC's cache that have one of these sizes."""
    cache = find_cache_dir() if sizes else None
    objects = sorted(cache.glob("??/*")) if cache else []
    return [path for path in objects if path.stat().st_size in sizes]


def list_unsaved() -> list[Path]:
    """List what is in `data/raw` and not in DVC's cache."""
    entries = _list_entries()
    cache = find_cache_dir() if entries else None  # DVC takes a second to start
    return [path for path in entries if not _is_saved(path, cache)]


def store_files(files: Mapping[str, bytes]) -> None:
    """Write the files by name, each atomically, and move everything else to `data/originals`.

    What is in DVC's cache is deleted instead.
    """
    others = [path for path in _list_entries() if not _is_stored(path, files)]
    cache = find_cache_dir() if others else None
    for name, raw in files.items():
        path = RAW_DIR / name
        if not _is_stored(path, files):
            with atomic_write(path) as file:
                file.write(raw)
                _make_room(path, cache)
    for path in others:
        if path.name not in files:  # last: the files may have been read from it
            _make_room(path, cache)


def _list_entries() -> list[Path]:
    """List what is in `data/raw`, except temporary files of an interrupted run."""
    paths = RAW_DIR.iterdir() if RAW_DIR.is_dir() else ()
    return sorted(path for path in paths if path.suffix != ".tmp")


def _is_stored(path: Path, files: Mapping[str, bytes]) -> bool:
    raw = files.get(path.name)
    if raw is None or not path.is_file() or path.stat().st_size != len(raw):
        return False
    return path.read_bytes() == raw


def _is_saved(path: Path, cache: Path | None) -> bool:
    if cache is None or not path.is_file():
        return False
    with path.open("rb") as opened:
        name = hashlib.file_digest(opened, "md5").hexdigest()
    return (cache / name[:2] / name[2:]).is_file()


def _make_room(path: Path, cache: Path | None) -> None:
    if not os.path.lexists(path):
        return
    if _is_saved(path, cache):
        path.unlink()
        return
    numbered = (ORIGINALS_DIR / str(number) / path.name for number in count(1))
    target = next(free for free in numbered if not os.path.lexists(free))
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"{path}: moved to {shutil.move(path, target)}")
