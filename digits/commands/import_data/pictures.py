"""Pictures of digits, labelled by folders, file names or a table; segmented as by `predict`."""

import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from digits.commands.import_data.pairing import (
    LABEL_WORDS,
    SPLITS,
    Named,
    find_split,
    join_texts,
    name_split,
    warn_of_left_out,
)
from digits.commands.import_data.tables import Table
from digits.data.archives import File
from digits.data.formats import name_format
from digits.data.splits import BLOCK, IMAGE_SIDE
from digits.errors import DigitsError
from digits.imaging.pictures import FORMATS, PictureError, read_pictures
from digits.imaging.segmentation import find_digits, find_whole

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
PLAIN = re.compile(r"\d|[1-9]\d|[A-Za-z]")  # a label in a file's name; an index is longer
ARCHIVE = re.compile(r"(\.(zip|tar|tgz|gz|bz2|xz))+/", re.IGNORECASE)
SUFFIX = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})$", re.IGNORECASE)
NO_DIGITS = np.empty((0, IMAGE_SIDE, IMAGE_SIDE), np.uint8)


@dataclass
class Page:
    """A picture in a file: its digits uint8 (n, 28, 28), or why there are none."""

    file: str
    digits: np.ndarray
    error: str = ""
    is_raw: bool = False  # `digits` is the whole picture, segmented later together with others


def is_picture(file: File) -> bool:
    return file.name.lower().endswith(SUFFIXES) or name_format(file.head).endswith(" image")


def read_pages(file: str, raw: bytes) -> Iterator[Page]:
    """Read the pictures of a file; a plain one of MNIST's size is left to `find_digits_on`."""
    grey = _read_grey(raw)
    if grey is not None:
        yield Page(file, grey[np.newaxis], is_raw=True)
        return
    try:
        for picture in read_pictures(raw):
            yield _find_digits(Page(file, NO_DIGITS), picture.pixels)
    except PictureError as error:
        yield Page(file, NO_DIGITS, str(error))


def _read_grey(raw: bytes) -> np.ndarray | None:
    """Read a plain 28x28 grey picture fast; None for any other, which `read_pictures` reads."""
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            is_plain = image.mode == "L" and image.size == (IMAGE_SIDE, IMAGE_SIDE)
            return np.asarray(image) if is_plain and not image.info else None
    except Exception:  # noqa: BLE001 - decoders raise anything; `read_pictures` says what
        return None


def _find_digits(page: Page, pixels: np.ndarray) -> Page:
    try:
        found = [np.rint(255 * digit.ink).astype(np.uint8) for digit in find_digits(pixels)]
    except PictureError as error:
        page.error = str(error)
    else:
        page.digits = np.array(found) if found else NO_DIGITS
        page.error = "" if found else "expected ink, received a blank picture"
    return page


def find_digits_on(pages: Sequence[Page]) -> Sequence[Page]:
    """Find the digits on all pictures that are still raw."""
    raw = [page for page in pages if page.is_raw]
    for batch in (raw[start : start + BLOCK] for start in range(0, len(raw), BLOCK)):
        grey = np.stack([page.digits[0] for page in batch], axis=-1) / np.float32(255)
        inks, are_whole = find_whole(grey)
        whole = np.rint(255 * np.moveaxis(inks, -1, 0)).astype(np.uint8)
        for number, page in enumerate(batch):
            if are_whole[number]:
                page.digits = whole[number : number + 1]
            else:
                _find_digits(page, grey[..., number, np.newaxis])
    return pages


def name_pictures(
    pages: Sequence[Page], tables: Sequence[Table], label: str | None, *, skip_bad: bool
) -> list[Named]:
    """Return the digits of all pictures and their labels, by split.

    Raises:
        DigitsError: it is not clear which label a picture has, or some cannot be read.
    """
    labelled = _label_files(list(dict.fromkeys(page.file for page in pages)), tables, label)
    warn_of_left_out(name for name, (_, text) in labelled.items() if not text)
    failed = [page for page in pages if page.error]
    for page in failed:
        said = "WARNING" if skip_bad else "ERROR"
        print(f"{said}: {page.file}: {page.error}", file=sys.stderr)
    if failed and not skip_bad:
        raise DigitsError(
            f"{len(failed)} pictures cannot be read, reasons above: --skip-bad leaves them out"
        )
    found: dict[str | None, list[tuple[np.ndarray, str]]] = {}
    for page in pages:
        split, text = labelled[page.file]
        if text and len(page.digits):
            found.setdefault(split, []).append((page.digits, text))
    arrays = []
    for split, parts in found.items():
        images = np.concatenate([digits for digits, _ in parts])
        texts = np.repeat([text for _, text in parts], [len(digits) for digits, _ in parts])
        for key, array in (("images", images), ("labels", texts)):
            arrays.append(Named(f"pictures, {split or 'all'} {key}", array, split))
    return arrays


Labelled = dict[str, tuple[str | None, str]]  # split and label by the name of a picture


def _label_files(names: Sequence[str], tables: Sequence[Table], label: str | None) -> Labelled:
    """Return the split and the label of each picture; the label is empty if it is left out."""
    # A picture that is a source itself lies in "".
    places = [ARCHIVE.sub("/", name).split("/")[:-1] or [""] for name in names]
    folders, splits = _find_splits(places)
    if labelled := _read_tables(names, splits, tables, label):
        return labelled
    classes = [folder[0] if folder else "" for folder in folders]
    if len(set(classes)) == 1:
        is_inside = all(name.count("/") > 1 for name in names)  # of a folder that is no source
        classes = _read_names(names, label) or (classes if all(classes) and is_inside else [])
        if not classes:
            raise DigitsError(
                f"{names[0]}: expected labels by a folder for each class, in a labels.csv, or in "
                "all file names at one place, such as 7_0001.png, received none that is clear: "
                "--label 0 takes the first part of each name"
            )
    return dict(zip(names, zip(splits, classes, strict=True), strict=True))


def _find_splits(folders: list[list[str]]) -> tuple[list[list[str]], list[str | None]]:
    """Find the folder level of train and test; return the folders below it, and the splits."""
    while len({folder[0] for folder in folders}) == 1 and min(map(len, folders)) > 1:
        if find_split(folders[0][0]) and not all(find_split(folder[1]) for folder in folders):
            break
        folders = [folder[1:] for folder in folders]
    for level in (0, 1):
        splits = [find_split(folder[level]) if len(folder) > level else None for folder in folders]
        if all(splits):
            known = set(splits)
            splits = [name_split(split, known) for split in splits]
            return [folder[:level] + folder[level + 1 :] for folder in folders], splits
    names = sorted({folder[0] for folder in folders})
    if any(map(find_split, names)):
        raise DigitsError(
            f"SOURCE: expected folders for train and test, or one for each class, received "
            f"{join_texts(names)}: --test FOLDER says which is for the test"
        )
    return folders, [None] * len(folders)


def _read_names(names: Sequence[str], label: str | None) -> list[str]:
    """Return the labels that file names have at one place, `7_0001.png`; none if it is not clear.

    They follow a word such as label; or one part alone of all names can be a label.
    """
    parts = [re.findall("[A-Za-z]+|[0-9]+", PurePosixPath(name).stem) for name in names]
    width = min(map(len, parts))
    if label is not None:
        return (
            [part[int(label)] for part in parts] if label.isdecimal() and int(label) < width else []
        )
    columns = [[part[place] for part in parts] for place in range(width)]
    clear = [place for place in range(width) if _can_be_labels(columns[place])]
    said = [number for number in clear if number and columns[number - 1][0].lower() in LABEL_WORDS]
    chosen = said or clear
    return columns[chosen[0]] if len(chosen) == 1 else []


def _can_be_labels(texts: Sequence[str]) -> bool:
    classes = set(texts)
    return all(map(PLAIN.fullmatch, classes)) and 2 <= len(classes) <= len(texts) / 2


def _read_tables(
    names: Sequence[str], splits: Sequence[str | None], tables: Sequence[Table], label: str | None
) -> Labelled:
    """Look the labels up in tables beside the pictures, by file name; none if no table has them.

    A picture is found by the end of its path. An end that has two labels finds none. Tables that
    have less than half of the pictures are about something else.
    """
    known = {tail for name in names for tail in _list_tails(name)}
    found: dict[tuple[str | None, str], str] = {}
    for table in tables:
        for file, text, said in table.list_files(
            lambda path: _list_tails(path)[-1] in known, label
        ):
            for key in ((find_split(said), tail) for tail in _list_tails(file)):
                if found.setdefault(key, text) != text:
                    found[key] = ""
    labelled: Labelled = {}
    for name, split in zip(names, splits, strict=True) if found else ():
        own = [split, None] if split else [None, *SPLITS]
        for key in ((one, tail) for tail in _list_tails(name) for one in own):
            if found.get(key):
                labelled.setdefault(name, (split or key[0], found[key]))
    if 2 * len(labelled) < len(names):
        return {}
    missing = [name for name in names if name not in labelled]
    if missing:
        tried = join_texts(table.name for table in tables)
        raise DigitsError(f"{missing[0]}: expected a row of its own in {tried}")
    return labelled


def _list_tails(path: str) -> list[str]:
    """Return `a/b/1`, `b/1` and `1` of `a/b/1.png`."""
    parts = re.split(r"[/\\]", SUFFIX.sub("", path))
    return ["/".join(parts[start:]) for start in range(len(parts))]
