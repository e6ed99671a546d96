"""Ask a dataset's mirrors, local folders and https addresses, for its files."""

import os
import sys
from pathlib import Path

from digits.data.datasets import Dataset, RawFile, is_local
from digits.data.download import MirrorError, read_url, time_limit
from digits.data.folders import FolderAbsentError, Found, find_file
from digits.data.kept import Cache, find_kept
from digits.data.raw import RawFileError, unpack
from digits.errors import DigitsError


class UnreachableError(DigitsError):
    """No mirror gave a good file. The exit status lets `make repro` tell this from the rest."""

    exit_status = os.EX_UNAVAILABLE


class Mirrors:
    """Mirrors that are asked in turn, and why those failed that were asked in vain."""

    def __init__(self, mirrors: list[str], timeout_seconds: float, deadline_seconds: float) -> None:
        self._mirrors = mirrors
        self._timeout = timeout_seconds
        self._deadline = deadline_seconds
        self._failures: dict[str, str] = {}

    def find_file(self, file: RawFile) -> Found:
        """Return the file from the first mirror whose copy is the dataset's.

        Raises:
            UnreachableError: no mirror's copy is; the message gives each one's reason.
        """
        # A mirror that failed before is asked last: its silence is not waited for again.
        for mirror in sorted(self._mirrors, key=self._failures.__contains__):
            try:
                with time_limit(self._deadline):
                    return self._ask(mirror, file)
            except FolderAbsentError as error:
                self._failures[mirror] = str(error)
            except (MirrorError, RawFileError) as error:
                self._failures[mirror] = str(error)
                print(f"WARNING: {mirror}: {error}", file=sys.stderr)
        reasons = [f"{mirror}: {self._failures[mirror]}" for mirror in self._mirrors]
        listed = "\n  ".join(reasons or ["none is listed"])
        raise UnreachableError(f"no mirror gave {file.name}\n  {listed}")

    def _ask(self, mirror: str, file: RawFile) -> Found:
        """Return the file from one mirror.

        Raises:
            MirrorError: it has no such file, or gives none in time.
            RawFileError: it gives another one.
        """
        if is_local(mirror):
            return find_file(Path(mirror).expanduser(), file)
        url = f"{mirror.rstrip('/')}/{file.name}.gz"
        data = read_url(url, file.largest_size, self._timeout, self._deadline)
        return Found(unpack(file, data), mirror)


def find_files(dataset: Dataset, mirrors: Mirrors, cache: Cache) -> dict[str, bytes]:
    """Return the dataset's raw IDX bytes by file name; those that are here need no mirror.

    Raises:
        UnreachableError: no mirror gives one of them.
    """
    files = {}
    for file in dataset.files:
        found = find_kept(file, cache) or cache.find_file(file) or mirrors.find_file(file)
        print(f"{file.name}: {found}")
        files[file.name] = found.raw
    return files
