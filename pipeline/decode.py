"""Decode the raw IDX files into the splits: train, validation and test, as `.npy`."""

import sys
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
from pydantic import Field
from sklearn.model_selection import train_test_split

from digits.data import idx
from digits.data.datasets import IMAGE_SIDE, Dataset, RawFile, load_dataset
from digits.data.raw import check_content
from digits.data.splits import Card, write_card, write_split
from digits.errors import DigitsError
from digits.files.artifacts import ArtifactError
from digits.files.params import Params, load_params
from digits.paths import CARD_PATH, RAW_DIR, TEST_DIR, TRAIN_DIR, VALIDATION_DIR
from digits.stage import run

PART_COUNT = 10_000  # images that are scaled at a time


class DecodeParams(Params):
    """How much of the training file is held out, and which part."""

    validation_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**32)


class DatasetError(DigitsError):
    """Files that are not a set of 28x28 images and labels."""


def load_raw(file: RawFile) -> np.ndarray:
    """Open one file of `data/raw`, of any IDX type and shape, without reading it into memory.

    Raises:
        ArtifactError: there is none.
        RawFileError: it is not the dataset's, by size or SHA-256.
        DatasetError: it is not in IDX format.
    """
    path = RAW_DIR / file.name
    try:
        with path.open("rb") as opened:
            data = mmap(opened.fileno(), 0, access=ACCESS_READ)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: expected a file, received none: run fetch") from error
    except ValueError as error:  # there is nothing to map
        raise DatasetError(f"{path}: expected an IDX file, received 0 bytes") from error
    try:
        check_content(file, data)
        return idx.view(data)
    except idx.IdxFormatError as error:
        raise DatasetError(f"{path}: {error}") from error


def tidy_images(split: str, images: np.ndarray, *, transpose: bool) -> np.ndarray:
    """Bring integer images of one channel into the form uint8 (n, 28, 28), if nothing is lost.

    Raises:
        DatasetError: another size, values outside 0 to 255, no integers, or a constant.
    """
    side = IMAGE_SIDE
    shape = images.shape
    if shape[1:] in ((side * side,), (side, side, 1), (1, side, side)):
        images = images.reshape(-1, side, side)
    if images.dtype.kind not in "ui" or images.shape[1:] != (side, side) or not len(images):
        raise DatasetError(
            f"{split} images: expected integers (n, {side}, {side}), "
            f"received {images.dtype.name} {shape}"
        )
    low, high = int(images.min()), int(images.max())
    if low < 0 or high > 255:
        raise DatasetError(f"{split} images: expected pixels 0-255, received {low} to {high}")
    if low == high:
        raise DatasetError(f"{split} images: expected pixels that differ, received a constant")
    images = images.astype(np.uint8, copy=False)
    return images.swapaxes(1, 2) if transpose else images


def tidy_labels(split: str, labels: np.ndarray, count: int, dataset: Dataset) -> np.ndarray:
    """Turn the labels of the file into uint8 (n,), from 0, in the order of the class names.

    Raises:
        DatasetError: another number than images, several columns of which none is chosen, no
            integers, a label of no class.
    """
    shape, column = labels.shape, dataset.label_column
    if labels.ndim == 2 and (column is not None or labels.shape[1] == 1):
        if column is not None and column >= labels.shape[1]:
            raise DatasetError(f"{split} labels: expected a column {column}, received {shape}")
        labels = labels[:, column or 0]
    if labels.dtype.kind not in "ui" or labels.shape != (count,):
        hint = ": label_column says which" if len(shape) == 2 and shape[0] == count else ""
        raise DatasetError(
            f"{split} labels: expected integers ({count},), received {labels.dtype.name} "
            f"{shape}{hint}"
        )
    found = np.unique(labels)
    known = np.array(dataset.labels)
    strange = np.setdiff1d(found, known).tolist()
    if strange:
        raise DatasetError(
            f"{split} labels: expected {describe_values(dataset.labels)}, as label_values and "
            f"class_names of the dataset say, received {describe_values(strange)}, too"
        )
    order = np.argsort(known)
    return order[np.searchsorted(known, labels, sorter=order)].astype(np.uint8)


def describe_values(values: list[int]) -> str:
    """Write integers in few words: the first and the last of many that follow each other."""
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]}-{values[-1]}"
    shown = ", ".join(map(str, values[:12]))
    return f"{shown} and {len(values) - 12} more" if len(values) > 12 else shown


def check_classes(split: str, labels: np.ndarray, class_names: list[str]) -> None:
    """Refuse classes without an image to train on; warn of those that cannot be tested.

    Raises:
        DatasetError: says which.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    absent = [class_names[index] for index in np.flatnonzero(counts == 0)]
    if not absent:
        return
    message = f"{split} labels: expected all classes, received no image of {', '.join(absent)}"
    if split == "train":
        raise DatasetError(message)
    print(f"WARNING: {message}: these have no scores", file=sys.stderr)


def scale_pixels(pixels: np.ndarray) -> np.ndarray:
    """Turn uint8 (n, 28, 28) into float32 (n, 28, 28, 1) in [0, 1]."""
    return np.divide(pixels, np.float32(255), dtype=np.float32)[..., np.newaxis]


def write_scaled(folder: Path, pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> None:
    """Write the chosen rows as a split, a part at a time: memory holds one part only."""
    parts = np.array_split(rows, max(len(rows) // PART_COUNT, 1))
    images = (scale_pixels(pixels[part]) for part in parts)
    write_split(folder, images, labels[rows])


def load_arrays(split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Load the published images uint8 (n, 28, 28) and labels uint8 (n,) of `train` or `test`.

    Raises:
        ArtifactError: a file is missing.
        DatasetError: they are no such dataset.
    """
    image_file, label_file = dataset.pair(split)
    images = tidy_images(split, load_raw(image_file), transpose=dataset.transpose)
    labels = tidy_labels(split, load_raw(label_file), len(images), dataset)
    check_classes(split, labels, dataset.class_names)
    return images, labels


def split_validation(
    labels: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of train and of validation, each in file order, stratified by label.

    Raises:
        DatasetError: the fraction leaves a class without an image on one side.
    """
    try:
        train, validation = train_test_split(
            np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise DatasetError(f"decode.validation_fraction {fraction}: {error}") from error
    counts = len(np.unique(labels[train])), len(np.unique(labels[validation]))
    if min(counts) < len(np.unique(labels)):
        raise DatasetError(
            f"decode.validation_fraction {fraction}: expected every class on both sides, "
            f"received {counts[0]} classes in train and {counts[1]} in validation"
        )
    return np.sort(train), np.sort(validation)


def main() -> None:
    name = load_params("dataset", str)
    params = load_params("decode", DecodeParams)
    dataset = load_dataset(name)
    images, labels = load_arrays("train", dataset)
    test_images, test_labels = load_arrays("test", dataset)
    train, validation = split_validation(labels, params.validation_fraction, params.seed)
    write_scaled(TRAIN_DIR, images, labels, train)
    write_scaled(VALIDATION_DIR, images, labels, validation)
    write_scaled(TEST_DIR, test_images, test_labels, np.arange(len(test_labels)))
    image_counts = {"train": len(train), "validation": len(validation), "test": len(test_labels)}
    facts = dataset.model_dump(include={"title", "class_names", "disputed"})
    write_card(CARD_PATH, Card(name=name, image_counts=image_counts, **facts))
    counts = ", ".join(f"{count:,} {split}" for split, count in image_counts.items())
    print(f"{dataset.title}: {counts} images in {CARD_PATH.parent}")


if __name__ == "__main__":
    run(main)
