"""Pictures from bytes: photographs, scans, arrays of NumPy and IDX files, whatever they are called.

What a file is, its content decides. Nothing is decoded before its size is known.
"""

import io
import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from digits.data import idx
from digits.data.datasets import IMAGE_SIDE
from digits.data.formats import name_format
from digits.errors import DigitsError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # no other decoder sees the bytes
FORMS = "a picture (PNG, JPEG, BMP, GIF, WebP, TIFF), .npy or IDX"
MOST_PIXELS = 2**27  # of one picture: more than any telephone makes
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
    if not raw:
        raise PictureError(f"expected {FORMS}, received an empty file")
    if raw[4:12] in HEIF:
        raise PictureError(f"expected {FORMS}, received an HEIC or AVIF picture: export it as JPEG")
    if raw.startswith(NPY):
        yield from _split_array(_load_npy(raw))
    elif raw.startswith(IDX):
        yield from _split_array(_load_idx(raw))
    else:
        yield from _read_pages(raw)


def shrink(pixels: np.ndarray, side: int) -> np.ndarray:
    """Average blocks of float (height, width, channels), so that no side is longer than `side`.

    What does not fill a block at the edge repeats the last pixels.
    """
    step = count_step(pixels.shape[:2], side)
    if step == 1:
        return pixels
    short = [-length % step for length in pixels.shape[:2]]
    whole = np.pad(pixels, ((0, short[0]), (0, short[1]), (0, 0)), mode="edge")
    height, width, channels = whole.shape
    return whole.reshape(height // step, step, width // step, step, channels).mean(axis=(1, 3))


def count_step(size: tuple[int, ...], side: int) -> int:
    """Return how many pixels, along a side, become one where no side may be longer."""
    return max(1, -(-max(size) // side))


# Pictures


def _read_pages(raw: bytes) -> Iterator[Picture]:
    count = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of sizes that are checked here
            with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
                pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
                # Of an animation the first picture.
                for page in itertools.islice(ImageSequence.Iterator(image), pages):
                    count += 1
                    yield _read_page(page, f"page {count}" if pages > 1 else "")
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(f"expected at most {MOST_PIXELS:,} pixels, received more") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"expected {FORMS}, received {_name(raw)}") from error
    except Exception as error:  # decoders raise whatever their damage leads them to
        where = f" in page {count}" if count > 1 else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(
            f"expected a whole {_name(raw).split(', ')[0].removeprefix('a ')}, "
            f"received a damaged one{where}: {reason}"
        ) from error


def _read_page(image: Image.Image, name: str) -> Picture:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise PictureError(
            f"expected at most {MOST_PIXELS:,} pixels, received {width:,} x {height:,}"
        )
    image.draft("RGB", (WORK_SIDE, WORK_SIDE))  # JPEG decodes to not many more, and much sooner
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "F" or upright.mode.startswith("I"):
        return _shrink_to_work(name, _scale(np.asarray(upright))[..., np.newaxis])
    colours = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    small = colours.reduce(count_step(colours.size, WORK_SIDE))
    pixels = _lay_on_paper(np.asarray(small, np.float32) / 255)
    return Picture(name, pixels, max(width, height) / max(small.size))


def _lay_on_paper(pixels: np.ndarray) -> np.ndarray:
    """Lay what is transparent on white paper, or on black if what is drawn on it is light."""
    colours, opacity = pixels[..., :3], pixels[..., 3:]
    if not opacity.size:
        return colours
    drawn = float((colours * opacity).mean(axis=2).sum() / max(float(opacity.sum()), 1e-6))
    paper = 0.0 if drawn > 0.5 else 1.0
    return colours * opacity + paper * (1 - opacity)


# Arrays


def _load_npy(raw: bytes) -> np.ndarray:
    try:
        return np.load(io.BytesIO(raw), allow_pickle=False)
    except Exception as error:  # NumPy parses a header as Python
        raise PictureError(
            f"expected a whole .npy file, received a damaged one: {error}"
        ) from error


def _load_idx(raw: bytes) -> np.ndarray:
    try:
        return idx.decode(raw)
    except idx.IdxFormatError as error:
        raise PictureError(f"expected {FORMS}, received {error}") from error


def _split_array(array: np.ndarray) -> Iterator[Picture]:
    pictures = _scale(_arrange(array))
    for number, pixels in enumerate(pictures):
        yield _shrink_to_work(f"image {number}" if len(pictures) > 1 else "", pixels)


def _shrink_to_work(page: str, pixels: np.ndarray) -> Picture:
    small = shrink(pixels, WORK_SIDE)
    return Picture(page, small, max(pixels.shape) / max(small.shape))


def _arrange(array: np.ndarray) -> np.ndarray:
    """Turn an array into (n, height, width, channels), by its shape.

    Raises:
        PictureError: it has none that pictures have.
    """
    shape = array.shape
    if array.dtype.kind not in "buif" or not array.size:
        shape = ()
    match shape:
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
    tops = (1, 65535) if pixels.dtype == np.uint16 else (1, 255, 65535)
    top = next(it for it in tops if high <= it)
    return (pixels / np.float32(top)).astype(np.float32)


def _name(raw: bytes) -> str:
    return name_format(raw) or f"{len(raw):,} bytes that are none"
