"""Find the labels of pictures, and their splits, in folders, file names or a table beside them.

Without `--label`, a table beside the pictures has the labels, or else folders called by a number
or a letter. Folders of other names may be anything, such as who wrote: `--label folder` takes them,
`--label 0` the first part of each file's name.
"""

import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np

from digits.commands.import_data.pairing import SPLITS, Named, find_split, join_texts
from digits.commands.import_data.pictures import SUFFIXES, Scan
from digits.commands.import_data.tables import Table
from digits.errors import DigitsError

PLAIN = re.compile(r"\d|[1-9]\d|[A-Za-z]")  # a folder that is a label; an index is longer
ARCHIVE = re.compile(r"(\.(zip|tar|tgz|gz|bz2|xz))+/", re.IGNORECASE)
SUFFIX = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})$", re.IGNORECASE)
FOLDER = "folder"
Splits = Sequence[str | None]


def name_pictures(
    scans: Sequence[Scan], tables: Sequence[Table], label: str | None, *, skip_bad: bool
) -> list[Named]:
    """Return the digits of all pictures and their labels, by split.

    Raises:
        DigitsError: it is not clear which label a picture has, or some cannot be read.
    """
    labelled = _label_files([*dict.fromkeys(scan.file for scan in scans)], tables, label)
    failed = [scan for scan in scans if scan.error]
    for scan in failed:
        said = "WARNING" if skip_bad else "ERROR"
        print(f"{said}: {scan.file}: {scan.error}", file=sys.stderr)
    if failed and not skip_bad:
        raise DigitsError(
            f"{len(failed)} pictures cannot be read, reasons above: --skip-bad leaves them out"
        )
    arrays = []
    for split in dict.fromkeys(split for split, _ in labelled.values()):
        own = [scan for scan in scans if labelled[scan.file][0] == split]
        images = np.concatenate([scan.digits for scan in own])
        texts = [labelled[scan.file][1] for scan in own for _ in scan.digits]
        where = f"pictures, {split or 'all'}"
        arrays.append(Named(f"{where} images", images, split))
        arrays.append(Named(f"{where} labels", np.array(texts), split))
    return arrays


def _label_files(
    names: Sequence[str], tables: Sequence[Table], label: str | None
) -> dict[str, tuple[str | None, str]]:
    """Return the split and the label of each picture.

    Raises:
        DigitsError: nothing is clearly the label, or two things are.
    """
    folders, splits = _find_splits(names)
    levels = list(zip(*folders, strict=False))
    if label == FOLDER:
        labels = _choose_level(levels)
    elif label and label.isdecimal():
        labels = _read_names(names, int(label))
    else:
        labelled = _read_tables(names, splits, tables, label)
        labels = () if label else _find_plain_level(levels)
        if labelled:
            _check_agreement(labelled, dict(zip(names, labels, strict=False)), tables)
            return labelled
    if not labels:
        raise DigitsError(
            # Where all others are in folders of classes, the one that is not is to be named.
            f"{min(names, key=lambda name: name.count('/'))}: expected labels by a folder for each "
            "class, in a labels.csv, or by an option: --label 0 takes the first part of each file "
            f"name, such as 7_0001.png, --label {FOLDER} the names of the folders"
        )
    return dict(zip(names, zip(splits, labels, strict=True), strict=True))


def _find_splits(names: Sequence[str]) -> tuple[list[list[str]], Splits]:
    """Find what says train and test, a folder or else the file's name.

    Return the other folders of each picture, and its split.
    """
    # A picture that is a source itself lies in "".
    folders = [ARCHIVE.sub("/", name).split("/")[:-1] or [""] for name in names]
    # A folder around all pictures says nothing, but `train` if no folder in it says more.
    while len({folder[0] for folder in folders}) == 1 and min(map(len, folders)) > 1:
        if find_split(folders[0][0]) and not all(find_split(folder[1]) for folder in folders):
            break
        folders = [folder[1:] for folder in folders]
    for level in (0, 1):  # train/7 and 7/train
        splits = [find_split(folder[level]) if len(folder) > level else None for folder in folders]
        if all(splits):
            # All of that name: some unpack train.zip to train/train.
            rest = [[name for name in folder if name != folder[level]] for folder in folders]
            return rest, splits
    tops = sorted({folder[0] for folder in folders})
    if any(map(find_split, tops)):
        raise DigitsError(
            f"SOURCE: expected folders for train and test, or one for each class, received "
            f"{join_texts(tops)}: --test FOLDER says which is for the test"
        )
    stems = (PurePosixPath(name).stem for name in names)
    splits = [*itertools.takewhile(bool, map(find_split, stems))]  # ends at the first without one
    return folders, splits if len(splits) == len(names) else [None] * len(names)


def _find_plain_level(levels: Sequence[Sequence[str]]) -> Sequence[str]:
    """Return the level of folders that are called by numbers or letters; none if there is none.

    Raises:
        DigitsError: two levels are.
    """
    plain = [
        level for level in levels if len(set(level)) > 1 and all(map(PLAIN.fullmatch, set(level)))
    ]
    if len(plain) > 1:
        received = " and of ".join(join_texts(sorted(set(level))) for level in plain)
        raise DigitsError(
            f"SOURCE: expected one level of folders for classes, received {received}: --label "
            "names a table's column, or a part of file names"
        )
    return plain[0] if plain else ()


def _choose_level(levels: Sequence[Sequence[str]]) -> Sequence[str]:
    """Return the level of folders that are the classes: of numbers or letters, or the first.

    Raises:
        DigitsError: two levels are of numbers or letters.
    """
    varied = [level for level in levels if len(set(level)) > 1]
    return _find_plain_level(levels) or (varied or levels or [()])[0]


def _read_names(names: Sequence[str], place: int) -> Sequence[str]:
    """Return the part of each file name that is at this place: 7 and 0001 are those of 7_0001."""
    parts = [re.findall("[A-Za-z]+|[0-9]+", PurePosixPath(name).stem) for name in names]
    return [part[place] for part in parts] if place < min(map(len, parts)) else ()


def _read_tables(
    names: Sequence[str], splits: Splits, tables: Sequence[Table], label: str | None
) -> dict[str, tuple[str | None, str]]:
    """Look the labels up in tables beside the pictures, by file name; none if no table has them.

    A row is about the picture whose path ends as it says. A row that has two labels has none.
    Tables that have less than half of the pictures are about something else.
    """
    endings = {name: _list_endings(name) for name in names}
    known = {ending for listed in endings.values() for ending in listed}
    found: dict[tuple[str | None, str], str] = {}
    for table in tables:
        for file, text, said in table.list_files(lambda path: _cut_suffix(path) in known, label):
            key = (find_split(said), _cut_suffix(file))
            if found.setdefault(key, text) != text:
                found[key] = ""
    labelled: dict[str, tuple[str | None, str]] = {}
    for name, split in zip(names, splits, strict=True):
        told = [split, None] if split else [None, *SPLITS]
        for key in ((one, ending) for ending in endings[name] for one in told):
            if found.get(key):
                labelled.setdefault(name, (split or key[0], found[key]))
    if 2 * len(labelled) < len(names):
        return {}
    missing = [name for name in names if name not in labelled]
    if missing:
        tried = join_texts(table.name for table in tables)
        raise DigitsError(f"{missing[0]}: expected a row of its own in {tried}")
    return labelled


def _cut_suffix(path: str) -> str:
    """Return `a/b/1` of `./a/b/1.png`, as any system writes it."""
    return SUFFIX.sub("", PureWindowsPath(path).as_posix().lstrip("/"))


def _list_endings(path: str) -> list[str]:
    """Return `a/b/1`, `b/1` and `1` of `a/b/1.png`."""
    parts = _cut_suffix(path).split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _check_agreement(
    labelled: dict[str, tuple[str | None, str]], in_folders: dict[str, str], tables: Sequence[Table]
) -> None:
    """Refuse labels of tables that folders of numbers or letters contradict."""
    for name, folder in in_folders.items():
        if folder != labelled[name][1]:
            raise DigitsError(
                f"{name}: expected one label, received {folder} by its folder, "
                f"{labelled[name][1]} by {join_texts(table.name for table in tables)}: --label "
                f"names the table's column, --label {FOLDER} takes the folder's"
            )
