"""The embedded dataset: scikit-learn's 1,797 real digits, written as MNIST's four IDX files.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998 (CC BY 4.0): 8x8 counts
of 0-16 ink pixels, written by 13 people. All arithmetic is in integers, so the files have the same
bytes on every machine and their digests are facts like any other dataset's.
"""

import numpy as np

from digits.data import idx
from digits.data.datasets import Dataset

SCALE = 3  # 8x8 to 24x24; with a border of 2 the 28x28 of MNIST
BORDER = 2
MAX_COUNT = 16  # ink pixels in a 4x4 block of the original scan
TEST_EVERY = 5  # of each digit, every fifth image is a test image


def read_optdigits(dataset: Dataset) -> dict[str, bytes]:
    """Return the dataset's raw IDX bytes by file name, ready for `data/raw`."""
    # Its import takes a second, which fetching another dataset need not wait for.
    from sklearn.datasets import load_digits  # noqa: PLC0415

    digits = load_digits()
    images = enlarge(digits.images.astype(np.int64))
    labels = digits.target.astype(np.uint8)
    test = choose_test(labels)
    arrays = {
        dataset.train_images.name: images[~test],
        dataset.train_labels.name: labels[~test],
        dataset.test_images.name: images[test],
        dataset.test_labels.name: labels[test],
    }
    return {name: idx.encode(array) for name, array in arrays.items()}


def enlarge(counts: np.ndarray) -> np.ndarray:
    """Turn integer (n, 8, 8) counts in [0, 16] into uint8 (n, 28, 28), bilinear, with a border."""
    side = counts.shape[1]
    # Output pixel 3i lies a third of a pixel before the centre of input pixel i, 3i + 2 after it.
    places = (np.arange(SCALE * side) - 1) / SCALE
    weights = [np.interp(places, range(side), unit) for unit in np.eye(side)]
    integers = np.rint(SCALE * np.array(weights)).astype(np.int64)  # (8, 24)
    scaled = integers.T @ counts @ integers  # times SCALE squared
    pixels = (scaled * 255 + MAX_COUNT * SCALE**2 // 2) // (MAX_COUNT * SCALE**2)
    margin = (BORDER, BORDER)
    return np.pad(pixels, ((0, 0), margin, margin)).astype(np.uint8)


def choose_test(labels: np.ndarray) -> np.ndarray:
    """Return a bool mask that takes every fifth image of each class, counted in file order."""
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        test[np.flatnonzero(labels == label)[::TEST_EVERY]] = True
    return test
