"""Decode the raw IDX files into the splits: train, validation and test, as `.npy`."""

import numpy as np
from pydantic import Field
from sklearn.model_selection import train_test_split

from digits.data import idx
from digits.data.datasets import IMAGE_SIDE, RawFile, load_dataset
from digits.data.raw import unpack
from digits.data.splits import Card, Split, write_card, write_split
from digits.errors import DigitsError
from digits.files.artifacts import ArtifactError
from digits.files.params import Params, load_params
from digits.paths import CARD_PATH, RAW_DIR, TEST_DIR, TRAIN_DIR, VALIDATION_DIR
from digits.stage import run


class DecodeParams(Params):
    """How much of the training file is held out, and which part."""

    validation_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**32)


class DatasetError(DigitsError):
    """Well-formed IDX files that are not a set of 28x28 images and labels."""


def load_raw(file: RawFile) -> np.ndarray:
    """Load one published file of `data/raw`, checked against the dataset's size and digest."""
    path = RAW_DIR / file.gzip_name
    try:
        packed = path.read_bytes()
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: expected a file, received none: run fetch") from error
    try:
        return idx.decode(unpack(file, packed))
    except idx.IdxFormatError as error:
        raise DatasetError(f"{path}: {error}") from error


def check_dataset(split: str, images: np.ndarray, labels: np.ndarray, class_count: int) -> None:
    """Refuse arrays that are not uint8 (n, 28, 28) images with n labels of all classes.

    Raises:
        DatasetError: says which split, what was expected and what was received.
    """
    if images.dtype != np.uint8 or images.shape[1:] != (IMAGE_SIDE, IMAGE_SIDE):
        raise DatasetError(
            f"{split} images: expected uint8 (n, {IMAGE_SIDE}, {IMAGE_SIDE}), "
            f"received {images.dtype} {images.shape}"
        )
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise DatasetError(
            f"{split} labels: expected uint8 ({len(images)},), "
            f"received {labels.dtype} {labels.shape}"
        )
    found = sorted(set(labels.tolist()))
    if found != list(range(class_count)):
        raise DatasetError(f"{split} labels: expected all of 0-{class_count - 1}, received {found}")
    if images.min() == images.max():
        raise DatasetError(f"{split} images: expected pixels that differ, received a constant")


def scale_pixels(pixels: np.ndarray) -> np.ndarray:
    """Turn uint8 (n, 28, 28) into float32 (n, 28, 28, 1) in [0, 1]."""
    return np.divide(pixels, np.float32(255), dtype=np.float32)[..., np.newaxis]


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
    class_count = len(dataset.class_names)
    images, labels = load_raw(dataset.train_images), load_raw(dataset.train_labels)
    test_images, test_labels = load_raw(dataset.test_images), load_raw(dataset.test_labels)
    check_dataset("train", images, labels, class_count)
    check_dataset("test", test_images, test_labels, class_count)
    train, validation = split_validation(labels, params.validation_fraction, params.seed)
    splits = {
        TRAIN_DIR: Split(scale_pixels(images[train]), labels[train]),
        VALIDATION_DIR: Split(scale_pixels(images[validation]), labels[validation]),
        TEST_DIR: Split(scale_pixels(test_images), test_labels),
    }
    for folder, split in splits.items():
        write_split(folder, split)
    image_counts = {folder.name: len(split.labels) for folder, split in splits.items()}
    facts = dataset.model_dump(include={"title", "class_names", "disputed"})
    write_card(CARD_PATH, Card(name=name, image_counts=image_counts, **facts))
    counts = ", ".join(f"{count:,} {split}" for split, count in image_counts.items())
    print(f"{dataset.title}: {counts} images in {CARD_PATH.parent}")


if __name__ == "__main__":
    run(main)
