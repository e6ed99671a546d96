"""Pictures from bytes: photographs, scans, arrays of NumPy and IDX files, whatever they are called.

What a file is, its content decides.
"""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.data import idx
from digits.data.formats import name_format
from digits.data.splits import IMAGE_SIDE
from digits.errors import DigitsError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # no other decoder sees the bytes
FORMS = "a picture (PNG, JPEG, BMP, GIF, WebP, TIFF), .npy or IDX"
WORK_SIDE = 1000  # pixels; a longer picture is shrunk, which costs no digit and bounds the work
NPY = b"\x93NUMPY"
IDX = b"\0\0"
HEIF = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif")  # after four bytes of a length


class PictureError(DigitsError):
    """The bytes are no picture, or a damaged one, or one that is too large."""


@dataclass(frozen=True)
class Picture:
    """Pixels float32 (height, width, channels) in [0, 1], and which page or image of a file it is.

    `page` is empty where the file has one alone. `pitch` is how many pixels of the file, along a
    side, have become one here.
    """

    page: str
    pixels: np.ndarray
    pitch: float = 1.0


def read_pictures(raw: bytes) -> Iterator[Picture]:
    """Yield the pictures of a file, one after another: pages of a TIFF, images of an array.

    Raises:
        PictureError: says what was expected and what was received.
    """
    try:
        if raw.startswith(NPY):
            yield from _split_array(np.load(io.BytesIO(raw), allow_pickle=False))
        elif raw.startswith(IDX) and raw[4:12] not in HEIF:
            yield from _split_array(idx.decode(raw))
        else:
            yield from _read_pages(raw)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        received = name_format(raw) or f"{len(raw):,} bytes that are none"
        if raw[4:12] in HEIF:
            received = "an HEIC or AVIF picture: export it as JPEG"
        raise PictureError(f"expected {FORMS}, received {received}") from error
    except Exception as error:  # decoders raise whatever their damage leads them to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"expected {FORMS}, received a damaged one: {reason}") from error


def shrink(pixels: np.ndarray, side: int) -> np.ndarray:
    """Average float (height, width, channels), so that no side is longer than `side`."""
    scale = side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(scale * length)) for length in pixels.shape[:2])
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return small.reshape(height, width, -1)


# Pictures


def _read_pages(raw: bytes) -> Iterator[Picture]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata; Pillow itself refuses vast sizes
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            # Of an animation the first picture.
            count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            for number in range(count):
                if number:
                    image.seek(number)
                yield _read_page(image, f"page {number + 1}" if count > 1 else "")


def _read_page(image: Image.Image, name: str) -> Picture:
    longest = max(image.size)
    image.draft("RGB", (WORK_SIDE, WORK_SIDE))  # JPEG decodes to not many more, and much sooner
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "F" or upright.mode.startswith("I"):
        pixels = shrink(_scale(np.asarray(upright)[..., np.newaxis]), WORK_SIDE)
    else:
        colours = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        colours.thumbnail((WORK_SIDE, WORK_SIDE), Image.Resampling.BOX)
        pixels = _lay_on_paper(np.asarray(colours, np.float32) / 255)
    return Picture(name, pixels, longest / max(pixels.shape))


def _lay_on_paper(pixels: np.ndarray) -> np.ndarray:
    """Lay what is transparent on white paper, or on black if what is drawn on it is light."""
    colours, opacity = pixels[..., :3], pixels[..., 3:]
    if not opacity.size:
        return colours
    drawn = (colours * opacity).sum() / max(3 * float(opacity.sum()), 1e-6)
    return colours * opacity + float(drawn <= 0.5) * (1 - opacity)


# Arrays


def _split_array(array: np.ndarray) -> Iterator[Picture]:
    images = _scale(_arrange(array))
    for number, pixels in enumerate(images):
        small = shrink(pixels, WORK_SIDE)
        name = f"image {number}" if len(images) > 1 else ""
        yield Picture(name, small, max(pixels.shape) / max(small.shape))


def _arrange(array: np.ndarray) -> np.ndarray:
    """Turn an array into (n, height, width, channels), by its shape.

    Raises:
        PictureError: it has none that pictures have.
    """
    match array.shape if array.dtype.kind in "buif" and array.size else ():
        case (_, width) if width == IMAGE_SIDE**2:
            return array.reshape(-1, IMAGE_SIDE, IMAGE_SIDE, 1)
        case (_, _):
            return array[np.newaxis, ..., np.newaxis]
        case (_, _, 3 | 4):
            return array[np.newaxis, ..., :3]
        case (_, _, _):
            return array[..., np.newaxis]
        case (_, _, _, 1 | 3 | 4):
            return array[..., :3]
    raise PictureError(
        "expected images as numbers (height, width), (height, width, 3), (n, height, width), "
        f"(n, {IMAGE_SIDE**2}) or (n, height, width, 1 or 3), "
        f"received {array.dtype.name} {array.shape}"
    )


def _scale(pixels: np.ndarray) -> np.ndarray:
    """Turn pixels of any numeric type into float32 in [0, 1].

    Raises:
        PictureError: they are neither 0 to 1 nor 0 to 255, nor all that 16 bits hold.
    """
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= 65535):  # so written that NaN is refused, too
        raise PictureError(f"expected pixels 0 to 1 or 0 to 255, received {low} to {high}")
    top = next(top for top in (1, 255, 65535) if high <= top)
    return (pixels / np.float32(top)).astype(np.float32)
