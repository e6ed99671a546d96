"""Pictures of digits: folders, file names or a `labels.csv` say which; `predict` finds the same."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from digits.commands.import_data.entries import Entry, refusing
from digits.commands.import_data.naming import (
    LABEL_WORDS,
    SPLITS,
    Named,
    SourceError,
    find_split,
    join_texts,
    name_split,
    warn_of_left_out,
)
from digits.commands.import_data.pixels import to_bytes
from digits.imaging.pages import find_pages

PLAIN = re.compile(r"\d|[1-9]\d|[A-Za-z]")  # a label in a file's name; an index is longer
SPLIT_COLUMNS = {"split", "set", "subset", "usage"}  # of a table of labels
Picture = tuple[Entry, str | None, str]  # with split and label


def read_pictures(entries: Sequence[Entry], label: str | None, *, skip_bad: bool) -> list[Named]:
    """Read the digits on all pictures, uint8 (n, 28, 28), and their labels, by split.

    Raises:
        SourceError: it is not clear which label a picture has, or some cannot be read.
    """
    images: dict[str | None, list[np.ndarray]] = {}
    labels: dict[str | None, list[str]] = {}
    failures = []
    for entry, split, text in tqdm(
        _label_pictures(entries, label), unit="file", leave=False, disable=None, delay=1
    ):
        for page in find_pages(entry.path, keep_pixels=False):
            images.setdefault(split, []).extend(to_bytes(page.found))
            labels.setdefault(split, []).extend([text] * len(page.found))
            failures += [f"{entry.name}: {page.error}"] if page.error else []
    for failure in failures:
        print(f"{'WARNING' if skip_bad else 'ERROR'}: {failure}", file=sys.stderr)
    if failures and not skip_bad:
        raise SourceError(
            f"{len(failures)} pictures cannot be read, reasons above: --skip-bad leaves them out"
        )
    return [
        Named(f"pictures, {split or 'all'} {key}", np.array(values), split, "pictures")
        for split in images
        for key, values in (("images", images[split]), ("labels", labels[split]))
    ]


def _label_pictures(entries: Sequence[Entry], label: str | None) -> list[Picture]:
    """Return each picture with its split and its label: as a table, a folder or its name says."""
    tables = [it for it in entries if it.name.lower().endswith((".csv", ".tsv"))]
    pictures = [it for it in entries if it.is_picture]
    folders, splits = _find_splits([it.name.split("/")[:-1] for it in pictures])
    if labelled := _read_labels(tables, list(zip(pictures, splits, strict=True)), label):
        return labelled
    classes = [it[0] if it else "" for it in folders]
    is_inside = all(it.name.count("/") > 1 for it in pictures)  # of a folder that is no source
    if len(set(classes)) == 1:
        names = [it.name for it in pictures]
        classes = _read_names(names, label) or (classes if all(classes) and is_inside else [])
        if not classes:
            raise SourceError(
                f"{names[0]}: expected labels by a folder for each class, in a labels.csv, or in "
                "all file names at one place, such as 7_0001.png, received none that is clear: "
                "--label 0 takes the first part of each name"
            )
    labelled = [
        (entry, split, text)
        for entry, split, text in zip(pictures, splits, classes, strict=True)
        if text
    ]
    # What lies among the pictures of a class should be one.
    known = {entry.path.parent: (split, text) for entry, split, text in labelled if is_inside}
    among = [it for it in entries if not it.is_picture and it.path.parent in known]
    used = {it.path for it in among} | {entry.path for entry, _, _ in labelled}
    warn_of_left_out(it.name for it in entries if it.path not in used)
    return sorted([*labelled, *((it, *known[it.path.parent]) for it in among)])


def _find_splits(folders: list[list[str]]) -> tuple[list[list[str]], list[str | None]]:
    """Take the level of train and test out of the folders of each file, and those above it."""
    while len({it[0] for it in folders}) == 1 and min(map(len, folders)) > 1:
        if find_split(folders[0][0]) and not all(find_split(it[1]) for it in folders):
            break
        folders = [it[1:] for it in folders]
    for level in (0, 1):
        splits = [find_split(it[level]) if len(it) > level else None for it in folders]
        if all(splits):
            known = set(splits)
            splits = [name_split(it, known) for it in splits]
            return [it[:level] + it[level + 1 :] for it in folders], splits
    names = sorted({it[0] for it in folders})
    if any(map(find_split, names)):
        raise SourceError(
            f"SOURCE: expected folders for train and test, or one for each class, received "
            f"{join_texts(names)}: --test FOLDER says which is for the test"
        )
    return folders, [None] * len(folders)


def _read_names(names: Sequence[str], label: str | None) -> list[str]:
    """Return the labels that file names have at one place, `7_0001.png`; none if it is not clear.

    They follow a word such as label; or one part alone of all names can be a label.
    """
    parts = [re.findall("[A-Za-z]+|[0-9]+", Path(it).stem) for it in names]
    width = min(map(len, parts))
    if label is not None:
        return [it[int(label)] for it in parts] if label.isdecimal() and int(label) < width else []
    columns = [[part[place] for part in parts] for place in range(width)]
    clear = [place for place in range(width) if _can_be_labels(columns[place])]
    said = [it for it in clear if it and columns[it - 1][0].lower() in LABEL_WORDS]
    chosen = said or clear
    return columns[chosen[0]] if len(chosen) == 1 else []


def _can_be_labels(texts: Sequence[str]) -> bool:
    classes = set(texts)
    return all(map(PLAIN.fullmatch, classes)) and 2 <= len(classes) <= len(texts) / 2


def _read_labels(
    tables: Sequence[Entry], pictures: Sequence[tuple[Entry, str | None]], label: str | None
) -> list[Picture]:
    """Look the labels up in tables beside the pictures, by file name; none if no table has them."""
    found: dict[tuple[str | None, str], str] = {}
    stems = {entry.path.stem for entry, _ in pictures}
    for table in tables:
        split = find_split(table.name)
        with refusing(table.name, table.path):
            cells = pd.read_csv(table.path, dtype=str, sep=None, engine="python", na_filter=False)
        files = next((it for it in cells if stems & {Path(c).stem for c in cells[it]}), None)
        others = [it for it in cells if it != files]
        known = [it for it in others if it == label or str(it).lower() in LABEL_WORDS]
        if files is None or len(known or others) != 1:
            continue
        told = next((it for it in others if str(it).lower() in SPLIT_COLUMNS), None)
        for row in cells.to_dict("records"):
            said = find_split(row[told]) if told else split
            found[said, Path(row[files]).stem] = row[(known or others)[0]]
    labelled: list[Picture] = []
    for entry, split in pictures if found else ():
        own = [split, None] if split else [None, *SPLITS]
        where = next((it for it in own if (it, entry.path.stem) in found), "")
        if where == "" and entry.is_picture:
            raise SourceError(
                f"{entry.name}: expected a row in {join_texts(it.name for it in tables)}"
            )
        if where != "":
            labelled.append((entry, split or where, found[where, entry.path.stem]))
    return labelled
