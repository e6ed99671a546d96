"""Find the digits on pictures, as `predict` does."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from digits.data.archives import File
from digits.data.formats import name_format
from digits.data.splits import BLOCK, IMAGE_SIDE
from digits.imaging.pictures import FORMATS, PictureError, read_pictures
from digits.imaging.segmentation import find_digits, find_whole

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
NO_DIGITS = np.empty((0, IMAGE_SIDE, IMAGE_SIDE), np.uint8)


@dataclass
class Scan:
    """A picture in a file: its digits uint8 (n, 28, 28), or why there are none."""

    file: str
    digits: np.ndarray
    error: str = ""
    is_raw: bool = False  # `digits` is the whole picture, until all such are segmented together


def is_picture(file: File) -> bool:
    return file.name.lower().endswith(SUFFIXES) or name_format(file.head).endswith(" image")


def read_scans(file: str, raw: bytes) -> Iterator[Scan]:
    """Read the pictures of a file; a plain one of MNIST's size is left to `find_digits_on`."""
    grey = _read_grey(raw)
    if grey is not None:
        yield Scan(file, grey[np.newaxis], is_raw=True)
        return
    try:
        for picture in read_pictures(raw):
            yield _scan(file, picture.pixels)
    except PictureError as error:
        yield Scan(file, NO_DIGITS, str(error))


def _read_grey(raw: bytes) -> np.ndarray | None:
    """Read a plain 28x28 grey picture fast; None for any other, which `read_pictures` reads."""
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            is_plain = image.mode == "L" and image.size == (IMAGE_SIDE, IMAGE_SIDE)
            return np.asarray(image) if is_plain and not image.info else None
    except Exception:  # noqa: BLE001 - decoders raise anything; `read_pictures` says what
        return None


def _scan(file: str, pixels: np.ndarray) -> Scan:
    try:
        found = [np.rint(255 * digit.ink).astype(np.uint8) for digit in find_digits(pixels)]
    except PictureError as error:
        return Scan(file, NO_DIGITS, str(error))
    if not found:
        return Scan(file, NO_DIGITS, "expected ink, received a blank picture")
    return Scan(file, np.array(found))


def find_digits_on(scans: Sequence[Scan]) -> list[Scan]:
    """Find the digits on all pictures that are still raw."""
    found = list(scans)
    raw = [place for place, scan in enumerate(found) if scan.is_raw]
    for places in (raw[start : start + BLOCK] for start in range(0, len(raw), BLOCK)):
        grey = np.stack([found[place].digits[0] for place in places], axis=-1) / np.float32(255)
        inks, are_whole = find_whole(grey)
        digits = np.rint(255 * np.moveaxis(inks, -1, 0)).astype(np.uint8)
        for number, place in enumerate(places):
            if are_whole[number]:
                found[place] = Scan(found[place].file, digits[number : number + 1])
            else:
                found[place] = _scan(found[place].file, grey[..., number, np.newaxis])
    return found
