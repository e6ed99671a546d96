"""Decode the raw IDX files into the splits: train, validation and test, as `.npy`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import Field
from sklearn.model_selection import train_test_split

from digits.config import Section, load_params
from digits.data import idx
from digits.data.datasets import Dataset, RawFile, load_dataset
from digits.data.preprocessing import check_classes, normalize_images, normalize_labels
from digits.data.splits import Card, Part, cut_blocks, hold_out, write_card, write_split
from digits.errors import DigitsError
from digits.files import ArtifactError
from digits.paths import CARD_PATH, RAW_DIR, TEST_DIR, TRAIN_DIR, VALIDATION_DIR
from digits.stage import run


class DecodeParams(Section):
    """How much of the training file is held out, which part, and how often the rest is taken."""

    validation_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**32)
    added_repeats: int = Field(ge=0, le=1000)


def load_raw(file: RawFile) -> np.ndarray:
    """Open one file that `fetch` has checked, of any IDX type and shape; it stays on disk.

    Raises:
        ArtifactError: the file is missing.
        DigitsError: it is not in IDX format.
    """
    path = RAW_DIR / file.name
    if not path.is_file():
        raise ArtifactError(f"{path}: expected a file, received none: run fetch")
    try:
        return idx.view(np.memmap(path, mode="r"))
    except ValueError as error:
        raise DigitsError(f"{path}: expected an IDX file, {error}") from error


def write_scaled(folder: Path, pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> None:
    """Write the chosen rows of uint8 (n, 28, 28) as float32 (n, 28, 28, 1) in [0, 1].

    A block at a time: the whole need not fit into memory.
    """
    blocks = (pixels[block] for block in cut_blocks(rows))
    images = (np.divide(block, np.float32(255), dtype=np.float32) for block in blocks)
    write_split(folder, (block[..., np.newaxis] for block in images), labels[rows])


def load_arrays(split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Load the published images uint8 (n, 28, 28) and labels uint8 (n,) of `train` or `test`.

    Raises:
        ArtifactError: a file is missing.
        DigitsError: they are not what the dataset's file says.
    """
    image_file, label_file = dataset.pair(split)
    images = normalize_images(split, load_raw(image_file), transpose=dataset.transpose)
    labels = normalize_labels(split, load_raw(label_file), len(images), dataset)
    check_classes(split, labels, dataset.class_names)
    return images, labels


def split_validation(
    labels: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of train and of validation, each in file order, stratified by label.

    Raises:
        DigitsError: the fraction leaves a class without an image on one side.
    """
    try:
        train, validation = train_test_split(
            np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise DigitsError(f"decode.validation_fraction {fraction}: {error}") from error
    counts = len(np.unique(labels[train])), len(np.unique(labels[validation]))
    if min(counts) < len(np.unique(labels)):
        raise DigitsError(
            f"decode.validation_fraction {fraction}: expected every class on both sides, "
            f"received {counts[0]} classes in train and {counts[1]} in validation"
        )
    return np.sort(train), np.sort(validation)


def count_parts(name: str, split: str, dataset: Dataset, labels: np.ndarray) -> dict[str, int]:
    """Count the images that each part has in the file; a dataset that is not joined is one part.

    Raises:
        DigitsError: together they have more or fewer images than the file.
    """
    counts = dataset.count_parts(split) or {name: len(labels)}
    total = sum(counts.values())
    if total != len(labels):
        raise DigitsError(
            f"{split} labels: expected {total}, as many as the dataset's parts have, received "
            f"{len(labels)}"
        )
    return counts


def choose_rows(
    labels: np.ndarray, counts: Mapping[str, int], params: DecodeParams
) -> dict[str, dict[str, np.ndarray]]:
    """Choose which images, of each part, are for train and for validation.

    The first part is divided as it would be alone, so that a model of it can be compared. Of what
    was added even the rarest class is in both, and train has its images more than once.

    Raises:
        DigitsError: the fraction leaves a class of the first part without an image on one side.
    """
    rows: dict[str, dict[str, np.ndarray]] = {"train": {}, "validation": {}}
    start = 0
    for name, count in counts.items():
        divide, repeats = (hold_out, params.added_repeats) if start else (split_validation, 1)
        own = labels[start : start + count]
        train, validation = divide(own, params.validation_fraction, params.seed)
        rows["train"][name] = start + np.tile(train, repeats)
        rows["validation"][name] = start + validation
        start += count
    return rows


def main() -> None:
    name = load_params("dataset", str)
    params = load_params("decode", DecodeParams)
    dataset = load_dataset(name)
    images, labels = load_arrays("train", dataset)
    test_images, test_labels = load_arrays("test", dataset)
    rows = choose_rows(labels, count_parts(name, "train", dataset, labels), params)
    train, validation = (
        np.concatenate([*rows[split].values()]) for split in ("train", "validation")
    )
    write_scaled(TRAIN_DIR, images, labels, train)
    write_scaled(VALIDATION_DIR, images, labels, validation)
    write_scaled(TEST_DIR, test_images, test_labels, np.arange(len(test_labels)))
    image_counts = {"train": len(train), "validation": len(validation), "test": len(test_labels)}
    parts = [
        Part(name=part, test=count, **{split: len(chosen[part]) for split, chosen in rows.items()})
        for part, count in count_parts(name, "test", dataset, test_labels).items()
    ]
    facts = dataset.model_dump(include={"title", "class_names", "disputed"})
    facts["parts"] = parts if dataset.parts else []
    write_card(CARD_PATH, Card(name=name, image_counts=image_counts, **facts))
    counts = ", ".join(f"{count:,} {split}" for split, count in image_counts.items())
    print(f"{dataset.title}: {counts} images in {CARD_PATH.parent}")


if __name__ == "__main__":
    run(main)
