"""The splits between `decode` and the later stages, and the card that names their dataset."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from digits.data.datasets import CLASS_COUNT, DATASETS, IMAGE_SIDE, DatasetName
from digits.files.artifacts import ArtifactError, load_array, load_json, write_array, write_json

IMAGE_SHAPE = (IMAGE_SIDE, IMAGE_SIDE, 1)


@dataclass(frozen=True)
class Split:
    """Images float32 (n, 28, 28, 1) in [0, 1] and their labels uint8 (n,) in 0-9."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Card:
    """Which dataset the arrays beside it come from; it travels with them to every figure."""

    name: DatasetName
    title: str
    class_names: tuple[str, ...]


def write_split(folder: Path, split: Split) -> None:
    """Write a split as `images.npy` and `labels.npy`."""
    write_array(folder / "images.npy", split.images)
    write_array(folder / "labels.npy", split.labels)


def load_split(folder: Path) -> Split:
    """Load a split and check that a network can be trained or judged on it.

    Raises:
        ArtifactError: damaged files, other shapes, pixels outside [0, 1], labels outside 0-9.
    """
    images = load_array(folder / "images.npy", "float32", (None, *IMAGE_SHAPE))
    labels = load_array(folder / "labels.npy", "uint8", (len(images),))
    if len(images) == 0:
        raise ArtifactError(f"{folder}: expected images, received none")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # so written that NaN is refused too
        raise ArtifactError(f"{folder}: expected pixels in [0, 1], received {low} to {high}")
    check_labels(folder, labels)
    return Split(images, labels)


def check_labels(where: Path, labels: np.ndarray) -> None:
    """Refuse labels that are no class.

    Raises:
        ArtifactError: a label of 10 or more.
    """
    if labels.max() >= CLASS_COUNT:
        highest = CLASS_COUNT - 1
        raise ArtifactError(f"{where}: expected labels 0-{highest}, received {labels.max()}")


def write_card(path: Path, card: Card) -> None:
    """Write the card as JSON."""
    write_json(path, asdict(card))


def load_card(path: Path) -> Card:
    """Load the card that `decode` wrote.

    Raises:
        ArtifactError: missing or not such a card.
    """
    values = load_json(path)
    name, title, class_names = (values.get(key) for key in ("name", "title", "class_names"))
    if name not in list(DATASETS):
        raise ArtifactError(f"{path}: expected a name of {list(DATASETS)}, received {name!r}")
    if not isinstance(title, str):
        raise ArtifactError(f"{path}: expected a title, received {title!r}")
    if not isinstance(class_names, list) or not all(isinstance(it, str) for it in class_names):
        raise ArtifactError(f"{path}: expected class_names, texts, received {class_names!r}")
    if len(class_names) != CLASS_COUNT:
        raise ArtifactError(
            f"{path}: expected {CLASS_COUNT} class names, received {len(class_names)}"
        )
    return Card(name, title, tuple(class_names))
