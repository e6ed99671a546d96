"""The splits between `decode` and the later stages, and the card that names their dataset."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from digits.config import Section, describe_errors
from digits.files import (
    ArtifactError,
    load_array,
    load_json,
    write_array,
    write_array_in_parts,
    write_json,
)

IMAGE_SIDE = 28  # pixels
IMAGE_SHAPE = (IMAGE_SIDE, IMAGE_SIDE, 1)
BLOCK = 10_000  # images that are in memory at a time
ROUNDING = 1e-3  # largest error of the sum of an image's probabilities, also in bfloat16


@dataclass(frozen=True)
class Split:
    """Images float32 (n, 28, 28, 1) in [0, 1] and their labels uint8 (n,), from 0.

    Images that were loaded are mapped: they stay on disk, and memory need not hold them.
    """

    images: np.ndarray
    labels: np.ndarray


class Part(Section):
    """How many images of each split a part of a joined dataset has."""

    name: str
    train: int
    validation: int
    test: int


class Card(Section):
    """The dataset that the arrays beside it come from: its name is in every figure."""

    name: str
    title: str
    class_names: list[str]
    image_counts: dict[str, int]  # by split
    # Of a joined dataset: in a split, the images of one part come after those of the other.
    parts: list[Part] = Field(default=[])
    # Test images whose labels human reviewers found doubtful.
    disputed: list[int] = Field(default=[])

    @property
    def class_count(self) -> int:
        return len(self.class_names)

    def slice_parts(self, split: str) -> dict[str, slice]:
        """Return where in a split the images of each part are; a dataset may be a single part."""
        if not self.parts:
            return {self.name: slice(None)}
        counts = [getattr(part, split) for part in self.parts]
        ends = np.cumsum(counts).tolist()
        return {
            part.name: slice(end - count, end)
            for part, count, end in zip(self.parts, counts, ends, strict=True)
        }


def cut_blocks(rows: np.ndarray) -> list[np.ndarray]:
    """Cut an array (n, ...) into blocks of rows, each of which fits into memory."""
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]


def write_split(folder: Path, images: Iterable[np.ndarray], labels: np.ndarray) -> None:
    """Write the images, given in parts, and the labels of all as `images.npy` and `labels.npy`."""
    write_array_in_parts(folder / "images.npy", len(labels), images)
    write_array(folder / "labels.npy", labels)


def load_split(folder: Path, class_count: int) -> Split:
    """Load a split and check that a network can be trained or evaluated on it.

    Raises:
        ArtifactError: damaged files, other shapes, pixels outside [0, 1], labels of no class.
    """
    images = load_array(folder / "images.npy", "float32", (None, *IMAGE_SHAPE), mapped=True)
    labels = load_array(folder / "labels.npy", "uint8", (len(images),))
    if len(images) == 0:
        raise ArtifactError(f"{folder}: expected images, received none")
    ranges = np.array([(block.min(), block.max()) for block in cut_blocks(images)])
    low, high = ranges[:, 0].min(), ranges[:, 1].max()
    if not (low >= 0 and high <= 1):  # so written that NaN is refused too
        raise ArtifactError(f"{folder}: expected pixels in [0, 1], received {low} to {high}")
    check_labels(folder, labels, class_count)
    return Split(images, labels)


def hold_out(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the images that are kept and of those that are held out, in order.

    Of each class the fraction, rounded, is held out, but one at least; and one at least is kept.
    """
    draws = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        places = draws.permutation(np.flatnonzero(labels == label))
        count = min(max(round(fraction * len(places)), 1), len(places) - 1)
        held[places[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def check_labels(where: Path, labels: np.ndarray, class_count: int) -> None:
    """Raise ArtifactError for a label that is not a class."""
    if labels.max() >= class_count:
        highest = class_count - 1
        raise ArtifactError(f"{where}: expected labels 0-{highest}, received {labels.max()}")


def check_probabilities(where: object, probabilities: np.ndarray) -> None:
    """Raise ArtifactError unless the rows of float (n, k) are finite, not negative and sum to 1."""
    if not np.isfinite(probabilities).all():
        raise ArtifactError(f"{where}: expected finite probabilities, received NaN or infinity")
    sums = probabilities.sum(axis=1)
    if probabilities.min() < 0 or np.abs(sums - 1).max() > ROUNDING:
        raise ArtifactError(
            f"{where}: expected probabilities that sum to 1 (softmax), received values from "
            f"{probabilities.min():g} and sums from {sums.min():g} to {sums.max():g}"
        )


def write_card(path: Path, card: Card) -> None:
    write_json(path, card.model_dump())


def load_card(path: Path) -> Card:
    """Load the card that `decode` wrote.

    Raises:
        ArtifactError: missing or not such a card.
    """
    try:
        return Card(**load_json(path))
    except ValidationError as error:
        raise ArtifactError(f"{path}: {describe_errors('', Card, error)}") from error
