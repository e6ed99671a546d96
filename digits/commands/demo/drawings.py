"""Answer the requests of the demo's page: read a picture, keep a drawing under its label."""

import base64
import hashlib
import io
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits.commands.demo.nearest import Nearest
from digits.deployment.classifier import Classifier
from digits.errors import DigitsError
from digits.files import write_bytes
from digits.imaging.pictures import Picture, read_pictures
from digits.imaging.segmentation import Found, find_digits, read_digits
from digits.imaging.splitting import Judge

MOST_DIGITS = 30  # on a picture: each is drawn with its nearest
BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
NAME_LENGTH = 16  # hexadecimal digits

Answer = Callable[[bytes], dict[str, Any]]  # of a request's body


@dataclass(frozen=True)
class Reader:
    """Reads pictures, one at a time: threads share LiteRT's model and Python's warning filters."""

    classifier: Classifier
    nearest: Nearest | None  # without training images there are none
    folder: Path  # of kept drawings
    turn: threading.Lock = field(default_factory=threading.Lock)

    def list_answers(self) -> dict[str, Answer]:
        """Return the function that answers each path."""
        classes = self.classifier.class_names
        facts = {"classes": classes, "has_nearest": self.nearest is not None}
        keepers = [partial(self.keep, number=number) for number in range(len(classes))]
        kept = {f"/keep/{number}": keeper for number, keeper in enumerate(keepers)}
        return {"/facts": lambda _: facts, "/read": self.read, **kept}

    def read(self, raw: bytes) -> dict[str, Any]:
        """Return the digits on a picture, and all that the page shows of each.

        Raises:
            DigitsError: no PNG or JPEG, or too much of it.
        """
        with self.turn:
            picture = decode(raw)
            found = find(picture, self.classifier.judge)
            if not found:
                return {"digits": []}
            probabilities = read_digits(found, self.classifier.predict)
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

        The name is a digest of its pixels: a drawing kept again is one file, under its last label.

        Raises:
            DigitsError: no PNG or JPEG, too much of it, or not one digit.
        """
        with self.turn:
            picture = decode(raw)
            count = len(find(picture))
            if count != 1:
                raise DigitsError(f"expected one digit to keep, received {count}")
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
        DigitsError: the content is neither, is damaged, or has too many pixels.
    """
    if not raw.startswith(BEGINNINGS):
        raise DigitsError("expected a PNG or JPEG picture, received something else")
    return next(read_pictures(raw))


def find(picture: Picture, judge: Judge | None = None) -> list[Found]:
    """Return the digits on a picture.

    Raises:
        DigitsError: it is no page of digits, or has too many of them.
    """
    found = find_digits(picture.pixels, judge)
    if len(found) > MOST_DIGITS:
        raise DigitsError(f"expected at most {MOST_DIGITS} digits, received {len(found)}")
    return found


def name_folders(class_names: Sequence[str]) -> list[str]:
    """Return a folder's name for each class: `../x` leads nowhere else."""
    return [re.sub(r"[^\w -]", "_", name) for name in class_names]


def _place(found: Found, shape: tuple[int, ...]) -> list[float]:
    """Return left, top, right and bottom as fractions of the picture's width and height."""
    height, width = shape[:2]
    rows, columns = found.rows, found.columns
    return [columns.start / width, rows.start / height, columns.stop / width, rows.stop / height]


def _encode(pixels: np.ndarray) -> str:
    return base64.b64encode(pixels.tobytes()).decode()
