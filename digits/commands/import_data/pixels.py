"""Convert images of any numeric type to uint8 (n, 28, 28), without loss or guess."""

import sys

import numpy as np

from digits.commands.import_data.pairing import Named
from digits.data.splits import IMAGE_SIDE, cut_blocks
from digits.errors import DigitsError

PIXEL_COUNT = IMAGE_SIDE**2
TOLERANCE = 1e-3  # of a scaled pixel: floats of 32 bits come within 1e-4 of the integer
BRIGHT = 0.6  # of the range of pixels: paper that is brighter is no background of MNIST's form
OTHER_SIZE = (
    "cut padding off, of 32x32 by images[:, 2:30, 2:30]; or save each image as a picture: those "
    "of any size are taken"
)
OTHER_RANGE = "--scale 255 takes those of 0 to 1; of -1 to 1, save (images + 1) / 2 first"


def convert_images(named: Named, count: int, scale: float | None) -> np.ndarray:
    """Turn the images of `count` labels, in any shape that is 28x28 and grey, into uint8.

    Raises:
        DigitsError: another shape or type, or pixels that uint8 does not hold.
    """
    side, where, images = IMAGE_SIDE, named.name, named.array
    if len(images) != count and images.shape[-1] == count:  # as MATLAB has them
        images = np.moveaxis(images, -1, 0)
    if images.ndim == 4 and images.shape[1] in (3, 4):
        images = np.moveaxis(images, 1, 3)
    if images.shape[1:3] == (side, side) and images.shape[3:] in ((3,), (4,)):
        if any((part[..., :1] != part[..., 1:3]).any() for part in cut_blocks(images)):
            raise DigitsError(
                f"{where}: expected grey images, received colours {images.shape}: {OTHER_SIZE}"
            )
        images = images[..., 0]
    shapes = ((side, side), (PIXEL_COUNT,), (side, side, 1), (1, side, side))
    if images.shape[1:] not in shapes or images.dtype.kind not in "uif" or not len(images):
        advice = f": {OTHER_SIZE}" if images.shape[1:] not in shapes else ""
        raise DigitsError(
            f"{where}: expected images as numbers (n, {side}, {side}), (n, {PIXEL_COUNT}) or "
            f"(n, {side}, {side}, 1), received {images.dtype.name} {images.shape}{advice}"
        )
    if len(images) != count:
        raise DigitsError(f"{where}: expected {count} images, as labels, received {len(images)}")
    return _narrow(where, images, scale)


def _narrow(where: str, numbers: np.ndarray, scale: float | None) -> np.ndarray:
    """Turn images of 784 numbers each into uint8 (n, 28, 28).

    Raises:
        DigitsError: no integers 0-255, a constant, or nothing above 1 and no scale given.
    """
    narrowed: list[np.ndarray] = []
    for part in cut_blocks(numbers):
        if part.dtype == np.uint8 and scale is None:
            narrowed.append(part)
            continue
        values = part if scale is None else part * np.float64(scale)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            rounded = np.rint(values)
            is_near = np.abs(values - rounded) <= (0 if scale is None else TOLERANCE)
        is_good = is_near & (rounded >= 0) & (rounded <= 255)
        if not is_good.all():
            index = tuple(np.argwhere(~is_good)[0])
            expected = "integers 0-255" + ("" if scale is None else f" after --scale {scale:g}")
            advice = f": {OTHER_RANGE}" if scale is None and np.abs(part).max() <= 1 else ""
            raise DigitsError(
                f"{where}: expected {expected}, received {part[index]} in image "
                f"{sum(map(len, narrowed)) + index[0]}{advice}"
            )
        narrowed.append(rounded.astype(np.uint8))
    images = np.concatenate(narrowed).reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
    low, high = images.min(), images.max()
    if low == high:
        raise DigitsError(f"{where}: expected pixels that differ, received a constant, {low}")
    if high == 1 and scale is None:
        raise DigitsError(
            f"{where}: expected pixels 0-255, received 0 to 1: --scale 255 makes 255 of 1, "
            "--scale 1 keeps them"
        )
    return images


def make_ink_bright(images: np.ndarray) -> tuple[np.ndarray, bool]:
    """Invert uint8 (n, 28, 28) if the paper, the median of the border, is bright; tell whether."""
    low, high = int(images.min()), int(images.max())
    border = np.concatenate([images[:, [0, -1]], images[:, :, [0, -1]].swapaxes(1, 2)], axis=1)
    if np.median(border) <= low + BRIGHT * (high - low):
        return images, False
    return high - images, True


def warn_of_shared(train: np.ndarray, test: np.ndarray) -> None:
    """Count the test images uint8 (n, 28, 28) that are training images, too."""
    known = {image.tobytes() for image in train}
    shared = sum(image.tobytes() in known for image in test)
    if shared:
        print(
            f"WARNING: {shared:,} of {len(test):,} test images are training images, too: the test "
            "will flatter the model",
            file=sys.stderr,
        )
