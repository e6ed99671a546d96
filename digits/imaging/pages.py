"""Files to pages: the pictures of each with the digits found on them, or why there are none."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from digits.imaging.pictures import PictureError, read_pictures
from digits.imaging.segmentation import Found, find_digits, read_digits
from digits.imaging.splitting import Judge

STANDARD_INPUT = Path("-")
MOST_BYTES = 2**30  # of a file: a film among the photographs is not read into memory


@dataclass(frozen=True)
class Page:
    """A picture of a file, and the digits found on it; or why there are none.

    `pitch` is how many pixels of the file are one of `pixels` and of where the digits were found.
    """

    file: str
    page: str = ""
    found: Sequence[Found] = ()
    pitch: float = 1.0
    error: str = ""
    pixels: np.ndarray | None = None

    @property
    def name(self) -> str:
        return f"{self.file}, {self.page}" if self.page else self.file


class Reading(NamedTuple):
    """A page, and the probabilities of the classes for each of its digits, float32 (n, k)."""

    page: Page
    probabilities: np.ndarray


def find_pages(path: Path, judge: Judge | None = None, *, keep_pixels: bool) -> Iterator[Page]:
    """Yield the pages of a file with the digits found on them."""
    name = str(path) if str(path).isprintable() else ascii(str(path))  # from another system
    try:
        for picture in read_pictures(_read_bytes(path)):
            found: list[Found] = []
            error = "expected ink, received a blank picture"
            try:
                found = find_digits(picture.pixels, judge)
            except PictureError as refusal:
                error = str(refusal)
            pixels = picture.pixels if keep_pixels else None
            yield Page(name, picture.page, found, picture.pitch, "" if found else error, pixels)
    except PictureError as refusal:
        yield Page(name, error=str(refusal))
    except OSError as refusal:
        yield Page(name, error=refusal.strerror or str(refusal))


def read_pages(pages: Sequence[Page], predict: Judge) -> list[Reading]:
    """Read all pages' digits at once."""
    digits = [found for page in pages for found in page.found]
    probabilities = read_digits(digits, predict) if digits else np.empty((0, 0), np.float32)
    ends = np.cumsum([len(page.found) for page in pages])
    parts = np.split(probabilities, ends[:-1])
    return [Reading(page, part) for page, part in zip(pages, parts, strict=True)]


def _read_bytes(path: Path) -> bytes:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    if path.stat().st_size > MOST_BYTES:
        raise PictureError(f"expected at most {MOST_BYTES:,} bytes, received more")
    return path.read_bytes()
