"""What the page of `demo` asks for: a picture read, a drawing kept under its right label.

Nothing is decoded before its size is known. What is refused is said in words of our own: none of
the picture's, and none of an exception's.
"""

import base64
import hashlib
import io
import re
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits.commands.classifier import Classifier
from digits.commands.nearest import Nearest
from digits.data.photographs import Found, find_digits
from digits.data.pictures import Picture, PictureError, read_pictures
from digits.errors import DigitsError
from digits.files.artifacts import write_bytes

MOST_PIXELS = 2**26  # of a picture; telephones make 50 million
MOST_DIGITS = 30  # on a picture: each is drawn with its nearest
BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
FORMATS = ("PNG", "JPEG")
NAME_LENGTH = 16  # hexadecimal digits


class RefusedError(DigitsError):
    """A picture that is not read or kept; the page shows the message."""


@dataclass(frozen=True)
class Reader:
    """What reads pictures, one at a time: LiteRT and Python's warnings are one for all threads."""

    classifier: Classifier
    nearest: Nearest | None  # without training images there are none
    folder: Path  # of kept drawings
    turn: threading.Lock = field(default_factory=threading.Lock)

    def read(self, raw: bytes) -> dict[str, Any]:
        """Return the digits on a picture, and all that the page shows of each.

        Raises:
            RefusedError: no PNG or JPEG, or too much of it.
        """
        with self.turn:
            picture = decode(raw)
            found = _find(picture)
            if not found:
                return {"digits": []}
            probabilities = self.classifier.predict(np.stack([it.ink for it in found]))
            shape = picture.pixels.shape
            return {
                "digits": [
                    {
                        "box": _place(one, shape),
                        "seen": _encode((255 * one.ink).round().astype(np.uint8)),
                        "probabilities": [round(float(p), 6) for p in given],
                        "nearest": self._find_nearest(one.ink),
                    }
                    for one, given in zip(found, probabilities, strict=True)
                ]
            }

    def keep(self, raw: bytes, number: int) -> dict[str, Any]:
        """Write a picture of one digit below the folder of its class, under a name of our own.

        The name is a digest of its pixels: a drawing kept anew is one file, under its last label.

        Raises:
            RefusedError: no PNG or JPEG, too much of it, or not one digit.
        """
        with self.turn:
            picture = decode(raw)
            count = len(_find(picture))
            if count != 1:
                raise RefusedError(f"expected one digit to keep, received {count}")
            kept = io.BytesIO()
            Image.fromarray((255 * picture.pixels).round().astype(np.uint8)).save(kept, "PNG")
            name = f"{hashlib.sha256(kept.getvalue()).hexdigest()[:NAME_LENGTH]}.png"
            names = name_folders(self.classifier.class_names)
            write_bytes(self.folder / names[number] / name, kept.getvalue())
            for other in set(names) - {names[number]}:
                (self.folder / other / name).unlink(missing_ok=True)
            return {"folder": f"{self.folder}/{names[number]}"}

    def _find_nearest(self, ink: np.ndarray) -> list[dict[str, Any]]:
        found = self.nearest.find(ink) if self.nearest else []
        return [{"class": label, "pixels": _encode(pixels)} for label, pixels in found]


def decode(raw: bytes) -> Picture:
    """Return the picture of a PNG or JPEG.

    Raises:
        RefusedError: it is neither, damaged, or of too many pixels.
    """
    if not raw.startswith(BEGINNINGS):
        raise RefusedError("expected a PNG or JPEG picture, received something else")
    if _count_pixels(raw) > MOST_PIXELS:
        raise RefusedError(f"expected at most {MOST_PIXELS:,} pixels, received more")
    try:
        return next(read_pictures(raw))
    except PictureError as error:
        raise RefusedError("expected a whole picture, received a damaged one") from error


def _count_pixels(raw: bytes) -> int:
    """Return what the header says; 0 if there is none, and more than enough for a bomb."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
                return image.size[0] * image.size[1]
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return MOST_PIXELS + 1
        except Exception:  # noqa: BLE001 - whatever a damaged header leads to; reading it says so
            return 0


def name_folders(class_names: Sequence[str]) -> list[str]:
    """Return a folder's name for each class: names of datasets lead nowhere else."""
    return [re.sub(r"[^\w -]", "_", name) for name in class_names]


def _find(picture: Picture) -> list[Found]:
    try:
        found = find_digits(picture.pixels)
    except PictureError as error:
        raise RefusedError("expected digits on paper, received specks") from error
    if len(found) > MOST_DIGITS:
        raise RefusedError(f"expected at most {MOST_DIGITS} digits, received {len(found)}")
    return found


def _place(found: Found, shape: tuple[int, ...]) -> list[float]:
    """Return left, top, right and bottom as shares of the picture's width and height."""
    height, width = shape[:2]
    rows, columns = found.rows, found.columns
    return [columns.start / width, rows.start / height, columns.stop / width, rows.stop / height]


def _encode(pixels: np.ndarray) -> str:
    return base64.b64encode(pixels.tobytes()).decode()
