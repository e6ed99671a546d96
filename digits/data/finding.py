"""Find a dataset's files by their content, in any folder or archive, under any name."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from digits.data import raw_store
from digits.data.archives import DAMAGED, File, list_files
from digits.data.datasets import Dataset, RawFile, is_local
from digits.data.download import MirrorError, read_url, time_limit
from digits.data.optdigits import read_optdigits
from digits.data.raw import GZIP_MAGIC, RawFileError, unpack
from digits.errors import DigitsError
from digits.paths import ORIGINALS_DIR, RAW_DIR

# How browsers, wget and desktops rename a copy: `NAME (1).gz`, `NAME.gz.1`.
COPY = r"(?:[ ._-]*(?:\(?\d+\)?|copy)){0,2}"


class UnreachableError(DigitsError):
    """A file was not found anywhere; `make repro` knows this failure by its exit status."""

    exit_status = os.EX_UNAVAILABLE


def find_files(
    dataset: Dataset, timeout_seconds: float, deadline_seconds: float
) -> dict[str, bytes]:
    """Return the dataset's raw IDX bytes by file name; local files are taken first.

    Raises:
        UnreachableError: a file was not found; the message has the reason of each mirror.
    """
    if dataset.source == "scikit-learn":
        return read_optdigits(dataset)
    notes: list[str] = []
    files = _look_here(dataset.files, deadline_seconds, notes)
    for folder in (Path(mirror).expanduser() for mirror in dataset.mirrors if is_local(mirror)):
        missing, reasons = _list_missing(dataset.files, files), list[str]()
        files |= search([folder], missing, deadline_seconds, reasons)
        for reason in reasons:
            print(f"WARNING: {reason}", file=sys.stderr)
        absence = "has no such file" if folder.exists() else "no such folder"
        notes += reasons or [f"{folder}: {absence}"]
    addresses = [mirror for mirror in dataset.mirrors if not is_local(mirror)]
    for file in _list_missing(dataset.files, files):
        files[file.name] = _download(file, addresses, timeout_seconds, deadline_seconds, notes)
    return {file.name: files[file.name] for file in dataset.files}


def _list_missing(files: Sequence[RawFile], found: dict[str, bytes]) -> list[RawFile]:
    return [file for file in files if file.name not in found]


def _look_here(
    files: Sequence[RawFile], deadline_seconds: float, notes: list[str]
) -> dict[str, bytes]:
    """Search `data/raw`, files that were moved out of it, and DVC's cache."""
    known = [file for file in files if file.has_digest]
    found = search([RAW_DIR], known, deadline_seconds, notes)
    if missing := _list_missing(known, found):
        cached = raw_store.list_cached({file.raw_size for file in missing})
        found |= search([ORIGINALS_DIR, *cached], missing, deadline_seconds, [])
    if named := [file for file in files if not file.has_digest]:
        # Files that are in DVC's cache may belong to another dataset and have the same name.
        found |= search(raw_store.list_unsaved(), named, deadline_seconds, notes)
    return found


def search(
    places: Iterable[Path], files: Sequence[RawFile], deadline_seconds: float, notes: list[str]
) -> dict[str, bytes]:
    """Return the raw bytes, by name, of those files that are at one of the paths.

    Paths may be missing. What cannot be read, or is not what its name says, is noted. A file
    without a digest is known by its name alone: of two that differ, none is taken.
    """
    found: dict[str, tuple[str, bytes]] = {}
    unclear = set()
    try:
        with time_limit(deadline_seconds):
            for candidate in (file for place in places for file in list_files(place, notes)):
                wanted = [file for file in files if not (file.has_digest and file.name in found)]
                if not wanted:
                    break
                for file, raw in _recognize(candidate, wanted, notes):
                    place, first = found.setdefault(file.name, (candidate.place, raw))
                    if raw != first:
                        notes.append(f"{file.name}: {place} and {candidate.place} differ")
                        unclear.add(file.name)
    except MirrorError as error:
        notes.append(f"{', '.join(map(str, places))}: {error}")
    for name in unclear:
        del found[name]
    for name, (place, _) in found.items():
        print(f"{name}: {place}")
    return {name: raw for name, (_, raw) in found.items()}


def _recognize(
    candidate: File, files: Sequence[RawFile], notes: list[str]
) -> Iterator[tuple[RawFile, bytes]]:
    """Yield those of the files that the candidate is, with its raw bytes.

    Note why a candidate with the right name is not the file.
    """
    is_packed = candidate.head.startswith(GZIP_MAGIC)
    named = [file for file in files if _has_name(candidate.name, file)]
    sizes = (None, candidate.size)
    known = [file for file in files if file.has_digest and (is_packed or file.raw_size in sizes)]
    if not named + known:
        return
    try:
        data = candidate.opened.read(max(file.largest_size for file in named + known) + 1)
    except DAMAGED as error:
        notes.append(f"{candidate.place}: {error or type(error).__name__}")
        return
    # The last four bytes of gzip are the unpacked size.
    size = int.from_bytes(data[-4:], "little") if is_packed else len(data)
    for file in files:
        if file in named or (file in known and file.raw_size in (None, size)):
            try:
                yield file, unpack(file, data)
            except RawFileError as error:
                if file in named:
                    notes.append(f"{candidate.place}: {error}")


def _has_name(name: str, file: RawFile) -> bool:
    """Compare names regardless of case, `.idx` for `-idx`, `.gz`, and marks of a copy."""
    name, expected = (one.lower().replace(".idx", "-idx") for one in (name, file.name))
    return re.fullmatch(rf"{re.escape(expected)}{COPY}(?:\.gz)?{COPY}", name) is not None


def _download(
    file: RawFile, mirrors: list[str], timeout: float, deadline: float, notes: list[str]
) -> bytes:
    """Return a file from the first https mirror that delivers it; those that fail move to the end.

    Raises:
        UnreachableError: all fail.
    """
    reasons = []
    for mirror in list(mirrors):
        url = f"{mirror.rstrip('/')}/{file.name}.gz"
        try:
            raw = unpack(file, read_url(url, file.largest_size, timeout, deadline))
        except (MirrorError, RawFileError) as error:
            reasons.append(f"{mirror}: {error}")
            print(f"WARNING: {reasons[-1]}", file=sys.stderr)
            mirrors.remove(mirror)
            mirrors.append(mirror)
        else:
            print(f"{file.name}: {url}")
            return raw
    listed = [*notes, *reasons] or ["none is listed"]
    raise UnreachableError("\n  ".join([f"no mirror gave {file.name}", *listed]))
