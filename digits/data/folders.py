"""Find a dataset's file in a folder or a `.zip`, under the names and wrappings people have it in.

The names come in a fixed order and only say where to look: whether a file is the dataset's, its
content decides. Known are the published name and that of the gzip header, with a dot for a dash
(Kaggle's, too), each plain or `.gz`, alone or in a folder of its own name; the subfolders of
torchvision (`MNIST/raw`) and of EMNIST's archive (`gzip`).
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from digits.data.datasets import RawFile
from digits.data.download import MirrorError
from digits.data.raw import RawFileError, unpack

SUBFOLDERS = ("", "raw/", "*/raw/", "gzip/")
SHOWN = 6  # names of a folder that does not hold what is looked for


class FolderAbsentError(MirrorError):
    """A local folder is not there, which is fine: it is where a team's copy may be."""


@dataclass(frozen=True)
class Found:
    """A file's raw IDX bytes, and the place they were found in, as people would name it."""

    raw: bytes
    place: Path | str  # the file, the archive that holds it, or the address of a mirror
    member: str = ""

    def __str__(self) -> str:
        return f"{self.place} ({self.member})" if self.member else str(self.place)


def list_names(name: str) -> list[str]:
    """List the relative paths under which a published file may lie, the likeliest first."""
    dotted = re.sub(r"-(idx\d)", r".\1", name)
    variants = list(dict.fromkeys((name, dotted)))
    files = [f"{variant}{suffix}" for variant in variants for suffix in (".gz", "")]
    own_folders = [f"{variant}/{file}" for variant in variants for file in files]
    return files + own_folders


def find_file(place: Path, file: RawFile) -> Found:
    """Return the file from a folder or an archive.

    Raises:
        FolderAbsentError: there is no such place.
        MirrorError: the file is not in it; what is there instead, or why it was refused.
    """
    refused: list[str] = []
    for found in search(place, file, refused):
        return found
    if refused:
        raise MirrorError("; ".join(refused))
    raise MirrorError(f"no {file.name} in this folder, {describe_folder(place)}")


def search(place: Path, file: RawFile, refused: list[str]) -> Iterator[Found]:
    """Yield the file wherever a place has it; note why what bears its name was refused.

    Raises:
        FolderAbsentError: there is no such place.
        MirrorError: it cannot be looked into.
    """
    if not place.exists():
        raise FolderAbsentError("no such folder")
    try:
        archives = [place] if place.is_file() else sorted(place.glob("*.zip"))
        paths = [] if place.is_file() else list(_list_paths(place, file.name))
    except OSError as error:
        raise MirrorError(f"{error.strerror}") from error
    for path in paths:
        try:
            with path.open("rb") as opened:
                data = opened.read(file.largest_size + 1)
            yield Found(unpack(file, data), path)
        except OSError as error:
            refused.append(f"{path.relative_to(place)}: {error.strerror}")
        except RawFileError as error:
            refused.append(f"{path.relative_to(place)}: {error}")
    for archive in archives:
        yield from _search_archive(archive, file, refused)


def describe_folder(folder: Path) -> str:
    """Say what a folder holds."""
    names = sorted(
        f"{path.name}/" if path.is_dir() else path.name
        for path in folder.iterdir()
        if not path.name.startswith(".")
    )
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"which holds {', '.join(names[:SHOWN])}{more}" if names else "which is empty"


def _list_paths(folder: Path, name: str) -> Iterator[Path]:
    for subfolder in SUBFOLDERS:
        for relative in list_names(name):
            for path in sorted(folder.glob(subfolder + relative)):
                if path.is_file():  # no folder of that name, no pipe that nobody writes to
                    yield path


def _search_archive(path: Path, file: RawFile, refused: list[str]) -> Iterator[Found]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in _list_members(archive, file.name):
                try:
                    with archive.open(member) as opened:
                        data = opened.read(file.largest_size + 1)
                    yield Found(unpack(file, data), path, member)
                except RawFileError as error:
                    refused.append(f"{path.name}, {error}")
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # RuntimeError: a password is needed, or a compression that zipfile does not know.
        refused.append(f"{path.name}: {error or type(error).__name__}")


def _list_members(archive: zipfile.ZipFile, name: str) -> Iterator[str]:
    """List the members that bear one of the names, in any folder of the archive."""
    members = [member for member in archive.namelist() if not member.endswith("/")]
    for relative in list_names(name):
        wanted = PurePosixPath(relative).parts
        yield from (it for it in members if PurePosixPath(it).parts[-len(wanted) :] == wanted)
