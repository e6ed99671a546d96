"""Find the labels of pictures, and their splits, in a table beside them, folders or file names.

Taken is the first that there is: a table that lists the pictures, folders called by a number or a
letter, such a part of all file names, folders of any name. What contradicts it is refused, and
`--label` says what is right: a table's column, a part of file names, or the folders.
"""

import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from digits.commands.import_data.pairing import (
    LABEL_WORDS,
    SPLITS,
    Named,
    find_split,
    join_texts,
    warn_of_left_out,
)
from digits.commands.import_data.pictures import SUFFIXES, Scan
from digits.commands.import_data.tables import Row, Table
from digits.errors import DigitsError

PLAIN = re.compile(r"\d|[1-9]\d|[A-Za-z]")  # a label in a name; an index is longer
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
    scans = [scan for scan in scans if scan.file in labelled]
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
    labelled = {} if label == FOLDER else _read_tables(names, splits, tables, label)
    in_folders = _read_folders(folders) if label in (None, FOLDER) else ()
    if labelled:
        if label is None and _are_plain(in_folders):
            _check_agreement(labelled, dict(zip(names, in_folders, strict=True)), tables)
        return labelled
    if any(folders) and not all(folders):  # pictures in `train`, beside the folders of classes
        inside = [name for name, folder in zip(names, folders, strict=True) if folder]
        warn_of_left_out(sorted({*names} - {*inside}))
        return _label_files(inside, tables, label)
    labels = _choose_labels(names, in_folders, label)
    if not labels:
        raise DigitsError(
            f"{names[0]}: expected labels by a folder for each class, in a labels.csv, or in all "
            "file names at one place, such as 7_0001.png, received none that is clear: --label 0 "
            f"takes the first part of each name, --label {FOLDER} the folders"
        )
    return dict(zip(names, zip(splits, labels, strict=True), strict=True))


def _check_agreement(
    labelled: Mapping[str, tuple[str | None, str]],
    in_folders: Mapping[str, str],
    tables: Sequence[Table],
) -> None:
    """Refuse labels of tables that folders of numbers or letters contradict."""
    for name, folder in in_folders.items():
        if folder != labelled[name][1]:
            raise DigitsError(
                f"{name}: expected one label, received {folder} by its folder, "
                f"{labelled[name][1]} by {join_texts(table.name for table in tables)}: --label "
                f"names the table's column, --label {FOLDER} takes the folder's"
            )


def _choose_labels(
    names: Sequence[str], in_folders: Sequence[str], label: str | None
) -> Sequence[str]:
    """Choose folders of numbers or letters, else what file names have, else the folders."""
    if label == FOLDER or (label is None and _are_plain(in_folders)):
        return in_folders
    in_names = _read_names(names, label)
    if label:
        return in_names
    are_many = len(set(in_folders)) > 1
    if in_names:
        return () if are_many else in_names  # the folders may be writers, or the classes
    is_inside = all(name.count("/") > 1 for name in names)  # of a folder that is no source
    return in_folders if are_many or is_inside else ()


def _find_splits(names: Sequence[str]) -> tuple[list[list[str]], Splits]:
    """Find what says train and test, a folder or else the file's name.

    Return the other folders of each picture, and its split.
    """
    # A picture that is a source itself lies in "".
    folders = [ARCHIVE.sub("/", name).split("/")[:-1] or [""] for name in names]
    # A folder around all pictures says nothing; but `train` does, unless folders in it say more.
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


def _read_folders(folders: Sequence[Sequence[str]]) -> Sequence[str]:
    """Return the labels that folders have: the level of numbers or letters, or the first.

    Raises:
        DigitsError: two levels are of numbers or letters.
    """
    levels = list(zip(*folders, strict=False))
    plain = [level for level in levels if _are_plain(level)]
    if len(plain) > 1:
        received = " and of ".join(join_texts(sorted(set(level))) for level in plain)
        raise DigitsError(
            f"SOURCE: expected one level of folders for classes, received {received}: --label "
            "names a table's column, or a part of file names"
        )
    varied = [level for level in levels if len(set(level)) > 1]
    return (plain or varied or levels or [()])[0]


def _are_plain(texts: Sequence[str]) -> bool:
    """Tell numbers and letters, which are the labels of characters, from all other names."""
    found = set(texts)
    return len(found) > 1 and all(map(PLAIN.fullmatch, found))


def _read_names(names: Sequence[str], label: str | None) -> Sequence[str]:
    """Return the labels that file names have at one place, `7_0001.png`; none if it is not clear.

    They follow a word such as label; or one part alone of all names can be a label.
    """
    folders = [name.rpartition("/")[0] for name in names]
    parts = [re.findall("[A-Za-z]+|[0-9]+", PurePosixPath(name).stem) for name in names]
    columns = list(zip(*parts, strict=False))
    if label is not None:
        is_place = label.isdecimal() and int(label) < len(columns)
        return columns[int(label)] if is_place else ()
    clear = [
        place
        for place, texts in enumerate(columns)
        # An index is in a folder once.
        if _are_plain(texts) and 2 * len(set(zip(folders, texts, strict=True))) <= len(texts)
    ]
    before = ["", *(texts[0] for texts in columns)]
    said = [place for place in clear if before[place].lower() in LABEL_WORDS | {"num"}]
    # In w3_0012 the 3 is a writer's number.
    alone = [
        place for place in clear if not place or before[place] + columns[place][0] not in names[0]
    ]
    chosen = said or alone
    return columns[chosen[0]] if len(chosen) == 1 else ()


def _read_tables(
    names: Sequence[str], splits: Splits, tables: Sequence[Table], label: str | None
) -> dict[str, tuple[str | None, str]]:
    """Look the labels up in tables beside the pictures, by file name; none if no table has them.

    A row is found by its split and the end of its path. An end that rows of two labels have finds
    none, and a row is about one picture. Tables that have less than half of the pictures are about
    something else.
    """
    known = {tail for name in names for tail in _list_tails(name)}
    rows: dict[tuple[str | None, str], Row] = {}
    for table in tables:
        for row in table.list_files(lambda path: _list_tails(path)[-1] in known, label):
            for tail in _list_tails(row.file):
                key = (find_split(row.place), tail)
                if rows.setdefault(key, row).label != row.label:
                    rows[key] = Row("", "", "")
    labelled: dict[str, tuple[str | None, str]] = {}
    owners: dict[Row, str] = {}
    for name, split in zip(names, splits, strict=True):
        own = [split, None] if split else [None, *SPLITS]
        keys = ((one, tail) for tail in _list_tails(name) for one in own)
        said = next((key for key in keys if key in rows and rows[key].label), None)
        if said and owners.setdefault(rows[said], name) == name:
            labelled[name] = (split or said[0], rows[said].label)
    if 2 * len(labelled) < len(names):
        return {}
    missing = [name for name in names if name not in labelled]
    if missing:
        tried = join_texts(table.name for table in tables)
        raise DigitsError(f"{missing[0]}: expected a row of its own in {tried}")
    return labelled


def _list_tails(path: str) -> list[str]:
    """Return `a/b/1`, `b/1` and `1` of `a/b/1.png`."""
    parts = SUFFIX.sub("", path).replace("\\", "/").split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]
