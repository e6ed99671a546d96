"""Find the digits on pictures, as `predict` does."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from digits.data.archives import File
from digits.data.formats import name_format
from digits.data.splits import IMAGE_SIDE
from digits.imaging.pages import find_pages_in

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


class Scan(NamedTuple):
    """A picture in a file: its digits uint8 (n, 28, 28), or why there are none."""

    file: str
    digits: np.ndarray
    error: str


def is_picture(file: File) -> bool:
    return file.name.lower().endswith(SUFFIXES) or name_format(file.head).endswith(" image")


def scan_pictures(file: str, raw: bytes) -> Iterator[Scan]:
    """Find the digits on the pictures of a file."""
    for page in find_pages_in(file, raw):
        digits = np.empty((len(page.found), IMAGE_SIDE, IMAGE_SIDE), np.uint8)
        for number, found in enumerate(page.found):
            digits[number] = np.rint(255 * found.ink)
        yield Scan(page.file, digits, page.error)
