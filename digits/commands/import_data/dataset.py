"""What `import` writes: four IDX files, a picture of some images, and the dataset file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from digits.commands.import_data.labels import Classes
from digits.commands.import_data.naming import SourceError, join_texts
from digits.config import describe_errors, load_params
from digits.data import datasets, idx
from digits.data.datasets import Dataset, load_dataset
from digits.data.finding import find_files
from digits.data.preprocessing import normalize_images, normalize_labels
from digits.evaluation.plots_images import COLUMNS, draw_gallery
from digits.evaluation.plotting import write_figure
from digits.files import write_bytes, write_text

CONVERTED_DIR = Path("data/converted")
# What MNIST's files are called, by their keys in a dataset file.
FILE_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
SAMPLES = "samples.png"
MOST_SAMPLES = 120


@dataclass(frozen=True)
class Content:
    """Train images uint8 (n, 28, 28), their labels (n,), the same of test; and their classes."""

    arrays: Sequence[np.ndarray]
    classes: Classes
    facts: Mapping[str, Any]  # that a dataset file says of them


def load_known(dataset: Dataset) -> list[np.ndarray]:
    """Load the arrays of a known dataset, as `Content` has them, from wherever they are to be had.

    Raises:
        UnreachableError: no mirror has it.
    """
    waits = [load_params(f"fetch.{it}_seconds", float) for it in ("timeout", "deadline")]
    files = find_files(dataset, *waits)
    arrays = []
    for split in ("train", "test"):
        images, labels = (idx.view(files[file.name]) for file in dataset.pair(split))
        arrays += [
            normalize_images(split, images, transpose=dataset.transpose),
            normalize_labels(split, labels, len(images), dataset),
        ]
    return arrays


def add_to(known_name: str, name: str, own: Content) -> Content:
    """Put one's own images behind those of a known dataset, as a part called `name`.

    Raises:
        SourceError: a class that the dataset does not have, or the name of one of its parts.
        UnreachableError: no mirror has it.
    """
    known = load_dataset(known_name, "--with")
    if name in (known_name, *known.count_parts("train")):
        raise SourceError(f"--with {known_name}: expected a NAME of its own for the result")
    strange = [it for it in own.classes.names if it not in known.class_names]
    if strange:
        raise SourceError(
            f"--with {known_name}: expected its classes, {', '.join(known.class_names)}, "
            f"received {join_texts(strange)}, too"
        )
    places = [known.class_names.index(it) for it in own.classes.names]
    renumbered = dict(zip(own.classes.labels, places, strict=True))
    added = [
        np.array([renumbered[it] for it in array.tolist()], np.uint8) if array.ndim == 1 else array
        for array in own.arrays
    ]
    if own.facts.get("transpose"):
        added = [it.swapaxes(1, 2) if it.ndim == 3 else it for it in added]
    former = load_known(known)
    counted = [
        {"name": it, "train": len(arrays[0]), "test": len(arrays[2])}
        for it, arrays in ((known_name, former), (name, added))
    ]
    parts = [part.model_dump() for part in known.parts] or counted[:1]
    facts = {"licence": f"{own.facts['licence']}; {known.title}: {known.licence}"}
    disputed = {"disputed": known.disputed} if known.disputed else {}
    return Content(
        [np.concatenate(pair) for pair in zip(former, added, strict=True)],
        Classes([*range(len(known.class_names))], known.class_names),
        {"title": own.facts["title"], **facts, **disputed, "parts": [*parts, counted[1]]},
    )


def write_dataset(name: str, content: Content, folder: Path, origin: str, *, replace: bool) -> Path:
    """Write the IDX files, the picture, and last the dataset file, which has their digests.

    Raises:
        SourceError: something is in the way of them, or no dataset file may say it.
    """
    files = {
        FILE_NAMES[key]: idx.encode(array)
        for key, array in zip(FILE_NAMES, content.arrays, strict=True)
    }
    described = {**content.facts, **_describe_classes(content.classes), "mirrors": [str(folder)]}
    for key, file in FILE_NAMES.items():
        digest = hashlib.sha256(files[file]).hexdigest()
        described[key] = {"name": file, "raw_size": len(files[file]), "raw_sha256": digest}
    try:
        Dataset.model_validate(described)
    except ValidationError as error:
        raise SourceError(f"{name}: {describe_errors('', Dataset, error)}") from error
    path = datasets.DATASETS_DIR / f"{name}.yaml"
    if not replace:
        _check_free(path, folder, files)
    for file, raw in files.items():
        write_bytes(folder / file, raw)
    _draw_samples(folder / SAMPLES, content, described["title"])
    # JSON in YAML: its texts are texts to every version of YAML.
    lines = [f"{key}: {json.dumps(it, ensure_ascii=False)}" for key, it in described.items()]
    write_text(path, "\n".join([f"# {origin}", *lines, ""]))
    return path


def _describe_classes(classes: Classes) -> dict[str, Any]:
    """Return the names, and the labels unless they count from 0, as a dataset file says them."""
    first, labels = classes.labels[0], classes.labels
    if labels != list(range(first, first + len(labels))):
        return {"class_names": classes.names, "label_values": labels}
    return {"class_names": classes.names} | ({"label_values": first} if first else {})


def _check_free(path: Path, folder: Path, files: Mapping[str, bytes]) -> None:
    """Refuse to write over a dataset file, or into a folder that has anything else."""
    if path.exists():
        raise SourceError(f"{path}: expected no such file, received one: --replace it, or rename")
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    own = [it.name for it in inside if it.is_file() and it.read_bytes() == files.get(it.name)]
    own += [SAMPLES] if own else []
    others = [it.name for it in inside if it.name not in own]
    if others:
        raise SourceError(
            f"{folder}: expected an empty folder, received {join_texts(others)}: --replace writes "
            f"over {join_texts(files)}"
        )


def _draw_samples(path: Path, content: Content, title: str) -> None:
    """Draw the last training images of each class, those that were added, under their labels."""
    images, labels = content.arrays[:2]
    if content.facts.get("transpose"):
        images = images.swapaxes(1, 2)
    count = max(1, min(COLUMNS, MOST_SAMPLES // len(content.classes.names)))
    pairs = zip(content.classes.names, content.classes.labels, strict=True)
    places = [
        (name, it) for name, value in pairs for it in np.flatnonzero(labels == value)[-count:]
    ]
    shown = images[[it for _, it in places]]
    write_figure(path, draw_gallery(shown, [name for name, _ in places], title))
