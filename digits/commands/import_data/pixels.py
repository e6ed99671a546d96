"""Images of any numeric form to uint8 (n, 28, 28): nothing is guessed, and nothing is lost."""

import sys
from collections.abc import Iterable

import numpy as np

from digits.commands.import_data.naming import Named, SourceError
from digits.data.datasets import IMAGE_SIDE
from digits.imaging.segmentation import Found

PIXEL_COUNT = IMAGE_SIDE**2
PART_COUNT = 10_000  # images that are held as floats at a time
TOLERANCE = 1e-3  # of a scaled pixel: floats of 32 bits come within 1e-4 of the integer
BRIGHT = 0.6  # of the range of pixels: paper that is brighter is no background of MNIST's form
PICTURES = "save each image as a picture: those of any size are taken"


def convert_images(named: Named, count: int, scale: float | None) -> np.ndarray:
    """Turn the images of `count` labels, in any shape that is 28x28 and grey, into uint8.

    Raises:
        SourceError: another shape or type, or pixels that uint8 does not hold.
    """
    side, where, images = IMAGE_SIDE, named.name, named.array
    scale = scale if named.form == "array" else None  # else they are what they will be
    if len(images) != count and images.shape[-1] == count:  # as MATLAB has them
        images = np.moveaxis(images, -1, 0)
    shape = images.shape[1:]
    if images.dtype.kind not in "uif" or not len(images):
        shape = ()
    if shape in ((3, side, side), (4, side, side)):
        images, shape = np.moveaxis(images, 1, 3), (side, side, shape[0])
    if shape in ((side, side, 3), (side, side, 4)):
        images, shape = _take_grey(where, images), (side, side)
    if shape not in ((side, side), (PIXEL_COUNT,), (side, side, 1), (1, side, side)):
        raise SourceError(
            f"{where}: expected images as numbers (n, {side}, {side}), (n, {PIXEL_COUNT}) or "
            f"(n, {side}, {side}, 1), received {images.dtype.name} {images.shape}"
            f"{_advise(images.shape[1:])}"
        )
    if len(images) != count:
        raise SourceError(f"{where}: expected {count} images, as labels, received {len(images)}")
    return narrow(where, _cut(images), scale)


def to_bytes(found: Iterable[Found]) -> list[np.ndarray]:
    """Turn the digits found on a picture, ink in [0, 1], into uint8 (28, 28)."""
    return [np.rint(255 * digit.ink).astype(np.uint8) for digit in found]


def _advise(shape: tuple[int, ...]) -> str:
    """Say what to do with images of another size."""
    if shape[:2] == (32, 32) or shape in ((1024,), (1, 32, 32)):
        return f": cut the padding off, images[:, 2:30, 2:30], if it is that; or {PICTURES}"
    square = len(shape) > 1 or (shape and int(shape[0] ** 0.5) ** 2 == shape[0])
    return f": {PICTURES}" if square else ""


def _take_grey(where: str, images: np.ndarray) -> np.ndarray:
    """Return the first of three or four channels (n, 28, 28, channels), if three are equal."""
    for part in _cut(images):
        if not (part[..., :1] == part[..., 1:3]).all():
            raise SourceError(
                f"{where}: expected grey images, received colours {images.shape}: {PICTURES}"
            )
    return images[..., 0]


def _cut(images: np.ndarray) -> Iterable[np.ndarray]:
    return (images[start : start + PART_COUNT] for start in range(0, len(images), PART_COUNT))


def narrow(where: str, parts: Iterable[np.ndarray], scale: float | None) -> np.ndarray:
    """Turn parts of numeric images, 784 pixels each, into one uint8 (n, 28, 28).

    Raises:
        SourceError: no integers 0-255, a constant, or nothing above 1 and no scale given.
    """
    narrowed: list[np.ndarray] = []
    for part in parts:
        narrowed.append(_narrow_part(where, sum(map(len, narrowed)), part, scale))
    if not sum(map(len, narrowed)):
        raise SourceError(f"{where}: expected images, received none")
    images = np.concatenate(narrowed).reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
    low, high = images.min(), images.max()
    if low == high:
        raise SourceError(f"{where}: expected pixels that differ, received a constant, {low}")
    if high == 1 and scale is None:
        raise SourceError(
            f"{where}: expected pixels 0-255, received 0 to 1: --scale 255 makes 255 of 1, "
            "--scale 1 keeps them"
        )
    return images


def _narrow_part(where: str, first: int, part: np.ndarray, scale: float | None) -> np.ndarray:
    if part.dtype == np.uint8 and scale is None:
        return part
    values = part if scale is None else part * np.float64(scale)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        rounded = np.rint(values)
        near = np.abs(values - rounded) <= (0 if scale is None else TOLERANCE)
    good = near & (rounded >= 0) & (rounded <= 255)
    if not good.all():
        index = tuple(np.argwhere(~good)[0])
        expected = "integers 0-255" + ("" if scale is None else f" after --scale {scale:g}")
        raise SourceError(
            f"{where}: expected {expected}, received {part[index]} in image {first + index[0]}"
            f"{_advise_on_range(part) if scale is None else ''}"
        )
    return rounded.astype(np.uint8)


def _advise_on_range(part: np.ndarray) -> str:
    low, high = part.min(), part.max()
    if low >= 0 and high <= 1:
        return ": --scale 255 takes those of 0 to 1"
    if -1 <= low < 0 < high <= 1:
        return ": save (images + 1) / 2, and --scale 255 takes them"
    return ""


def make_ink_bright(images: np.ndarray) -> tuple[np.ndarray, bool]:
    """Invert uint8 (n, 28, 28) where paper is bright, as most of the border says; tell whether."""
    low, high = int(images.min()), int(images.max())
    border = np.concatenate([images[:, [0, -1]], images[:, :, [0, -1]].swapaxes(1, 2)], axis=1)
    if np.median(border) <= low + BRIGHT * (high - low):
        return images, False
    return high - images, True


def check_apart(train: np.ndarray, test: np.ndarray) -> None:
    """Refuse test images uint8 (n, 28, 28) that are the training images; warn of some that are.

    Raises:
        SourceError: all of them are.
    """
    known = {image.tobytes() for image in train}
    shared = sum(image.tobytes() in known for image in test)
    if shared == len(test):
        raise SourceError("test images: expected others than the training images, received none")
    if shared:
        print(
            f"WARNING: {shared:,} of {len(test):,} test images are training images, too: the test "
            "will flatter the model",
            file=sys.stderr,
        )
