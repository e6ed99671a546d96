"""Find by their names which arrays are train or test, images or labels, and pair them."""

import functools
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from digits.data.splits import IMAGE_SIDE
from digits.errors import DigitsError

SPLITS = {
    "train": "train|training|trn",
    "test": "test|testing|tst|t10k",
    "validation": "val|valid|validation|dev",
}
# What is written together with them: xtrain, trainset, test2.
WITH = r"[xy]?({})([xy]|set|data|images?|imgs?|labels?)?\d*"
IMAGE_WORDS = {"image", "images", "imgs", "x", "data", "pixels"}
LABEL_WORDS = {"label", "labels", "class", "classes", "target", "targets", "y", "digit", "digits"}
LEAST_PIXELS = 64  # numbers in a row that is an image; a label that is one-hot has fewer
SAY_TEST = "--test SOURCE... says which are the test files"
KAGGLE = "the labels of Kaggle's test.csv are not public; import train.csv alone"


@dataclass(frozen=True, eq=False)
class Named:
    """An array, where it lies (`mnist.npz, x_train`), and the split that this says, if any."""

    name: str
    array: np.ndarray
    split: str | None

    @property
    def holds_images(self) -> bool:
        shape = self.array.shape
        is_wide = len(shape) == 2 and shape[0] > 1 and shape[1] >= LEAST_PIXELS
        return len(shape) > 2 or is_wide or (len(shape) == 2 and shape[0] == IMAGE_SIDE**2)

    def __str__(self) -> str:
        return f"{self.name} {self.array.shape}"


def split_words(name: str) -> list[str]:
    """Return the words of a name in lower case: `xTrain_2` has x, train and 2."""
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


@functools.cache
def find_split(name: str) -> str | None:
    """Return `train`, `test` or `validation`, as the innermost part of a path has it; or none.

    A key in a file (`mnist.npz, x_train`) is its innermost part.
    """
    for level in reversed(re.split("[/,]", name)):
        words = split_words(level)
        found = [
            split
            for split, spellings in SPLITS.items()
            if any(re.fullmatch(WITH.format(spellings), word) for word in words)
        ]
        if len(found) == 1:
            return found[0]
    return None


def pair(arrays: Sequence[Named]) -> list[tuple[Named, Named]]:
    """Pair images with their labels: to train and to test, or all where no name says a split.

    Raises:
        DigitsError: the names leave it open.
    """
    splits = {array.split for array in arrays if array.holds_images}
    if "test" not in splits:
        arrays = [
            replace(array, split="test") if array.split == "validation" else array
            for array in arrays
        ]
        splits = {array.split for array in arrays if array.holds_images}
    kept = sorted(splits - {"validation"}, key=str, reverse=True)  # train before test
    if not kept or (None in kept and len(kept) > 1):
        raise DigitsError(
            "SOURCE: expected images and labels, their names with train or test, received "
            f"{join_texts(arrays)}: {SAY_TEST}"
        )
    pairs = [_pair(split, [array for array in arrays if array.split == split]) for split in kept]
    paired = {id(array) for pair in pairs for array in pair}
    warn_of_left_out(array.name for array in arrays if id(array) not in paired)
    return pairs


def _pair(split: str | None, arrays: Sequence[Named]) -> tuple[Named, Named]:
    images = _choose([array for array in arrays if array.holds_images], IMAGE_WORDS)
    labels = _choose([array for array in arrays if not array.holds_images], LABEL_WORDS)
    if len(images) == 1 and len(labels) == 1:
        return images[0], labels[0]
    raise DigitsError(
        f"SOURCE: expected one array of images and one of labels{f' to {split}' if split else ''}, "
        f"received {join_texts(arrays)}: {SAY_TEST if labels else KAGGLE}"
    )


def _choose(arrays: list[Named], words: set[str]) -> list[Named]:
    """Choose the one array that its name fits, or the first if all are equal.

    Equal are a `.gz` and its unpacked file, side by side.
    """
    said = [array for array in arrays if words & set(split_words(re.split("[/,]", array.name)[-1]))]
    chosen = said if len(said) == 1 else arrays
    are_equal = all(np.array_equal(array.array, chosen[0].array) for array in chosen)
    return chosen[:1] if are_equal else chosen


def warn_of_left_out(names: Iterable[object]) -> None:
    left_out = list(names)
    if left_out:
        print(f"WARNING: left out {join_texts(left_out)}", file=sys.stderr)


def join_texts(values: Iterable[object]) -> str:
    """Join the first 12 values in one line, and say how many more there are."""
    texts = [str(value) for value in values]
    shown = ", ".join(text if text.isprintable() else ascii(text) for text in texts[:12])
    return f"{shown} and {len(texts) - 12} more" if len(texts) > 12 else shown or "none"
