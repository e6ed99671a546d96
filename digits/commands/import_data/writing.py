"""What `import` writes: four IDX files, a picture of some images, and the dataset file."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digits.commands.import_data.conversion import Images
from digits.commands.import_data.pairing import join_texts
from digits.config import load_params
from digits.data import datasets, idx
from digits.data.datasets import Dataset, load_dataset
from digits.data.finding import find_files
from digits.data.preprocessing import normalize_images, normalize_labels
from digits.data.splits import IMAGE_SIDE
from digits.errors import DigitsError
from digits.files import write_bytes

CONVERTED_DIR = Path("data/converted")
# What MNIST's files are called, by their keys in a dataset file.
FILE_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
LICENCE = "unknown: ask whoever made it"
SAMPLES = "samples.png"
MOST_SAMPLES, MOST_OF_CLASS = 240, 12
CELL, FONT_SIZE = 2 * IMAGE_SIDE + 8, 20  # pixels


@dataclass(frozen=True)
class Content:
    """Images to train and to test, the number of each class by name, and more facts of them."""

    train: Images
    test: Images
    classes: Mapping[str, int]
    facts: Mapping[str, Any]  # as a dataset file says them

    def describe(self) -> str:
        """Say how many images there are of each class, and the range of their pixels."""
        pixels, labels = self.train
        counts = (
            f"{name}: {(labels == label).sum():,} + {(self.test.labels == label).sum():,}"
            for name, label in self.classes.items()
        )
        return (
            f"{len(pixels):,} training and {len(self.test.pixels):,} test images, pixels "
            f"{pixels.min()} to {pixels.max()}, ink bright\n{len(self.classes)} classes, training "
            f"and test images of each: {join_texts(counts)}"
        )


def add_to(known_name: str, name: str, own: Content) -> Content:
    """Put one's own images behind those of a known dataset, as a part called `name`.

    Raises:
        DigitsError: a class that the dataset does not have, or the name of one of its parts.
        UnreachableError: no mirror has it.
    """
    known = load_dataset(known_name, "--with")
    if name in (known_name, *known.count_parts("train")):
        raise DigitsError(f"--with {known_name}: expected a NAME of its own for the result")
    strange = [name for name in own.classes if name not in known.class_names]
    if strange:
        raise DigitsError(
            f"--with {known_name}: expected its classes, {', '.join(known.class_names)}, "
            f"received {join_texts(strange)}, too"
        )
    places = {label: known.class_names.index(name) for name, label in own.classes.items()}
    joined, counts = list[Images](), list[tuple[int, int]]()
    splits = zip(_load_known(known), (own.train, own.test), strict=True)
    for (pixels, labels), (more, numbers) in splits:
        added = more.swapaxes(1, 2) if own.facts.get("transpose") else more
        renumbered = np.array([places[label] for label in numbers.tolist()], np.uint8)
        joined.append(Images(np.concatenate([pixels, added]), np.append(labels, renumbered)))
        counts.append((len(pixels), len(added)))
    first, last = (
        {"name": part, "train": train, "test": test}
        for part, train, test in zip((known_name, name), *counts, strict=True)
    )
    parts = [part.model_dump() for part in known.parts] or [first]
    facts: dict[str, Any] = {"licence": f"{LICENCE}; {known.title}: {known.licence}"}
    facts |= {"disputed": known.disputed} if known.disputed else {}
    classes = {name: place for place, name in enumerate(known.class_names)}
    train, test = joined
    return Content(train, test, classes, facts | {"parts": [*parts, last]})


def _load_known(dataset: Dataset) -> list[Images]:
    """Load the images of a known dataset, from wherever they are available.

    Raises:
        UnreachableError: no mirror has it.
    """
    waits = [load_params(f"fetch.{limit}_seconds", float) for limit in ("timeout", "deadline")]
    files = find_files(dataset, *waits)
    known = []
    for split in ("train", "test"):
        images, labels = (idx.view(files[file.name]) for file in dataset.pair(split))
        pixels = normalize_images(split, images, transpose=dataset.transpose)
        known.append(Images(pixels, normalize_labels(split, labels, len(images), dataset)))
    return known


def write_dataset(name: str, content: Content, origin: str, *, replace: bool) -> tuple[Path, Path]:
    """Write the IDX files, a picture of some images, and last the dataset file.

    Return the paths of the dataset file and of the picture.

    Raises:
        DigitsError: something is in the way of them, or no dataset file may say it.
    """
    folder, path = CONVERTED_DIR / name, datasets.DATASETS_DIR / f"{name}.yaml"
    described = {"title": name, "licence": LICENCE, **content.facts}
    described |= {"class_names": [*content.classes], "mirrors": [str(folder)]}
    if (labels := [*content.classes.values()]) != [*range(len(labels))]:
        described["label_values"] = labels
    files = {}
    for (key, file), array in zip(FILE_NAMES.items(), (*content.train, *content.test), strict=True):
        raw = files[folder / file] = idx.encode(array)
        digest = hashlib.sha256(raw).hexdigest()
        described[key] = {"name": file, "raw_size": len(raw), "raw_sha256": digest}
    facts = _write_facts(name, described, origin)
    files |= {folder / SAMPLES: _draw_samples(content), path: facts}
    taken = [str(file) for file in files if file.exists()]
    if taken and not replace:
        raise DigitsError(f"{join_texts(taken)}: expected no such file: --replace it, or rename")
    for file_path, raw in files.items():
        write_bytes(file_path, raw)
    return path, folder / SAMPLES


def _write_facts(name: str, facts: dict[str, Any], origin: str) -> bytes:
    """Write a dataset file as JSON in YAML: its texts are texts to every version of YAML."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()]
    try:
        return "\n".join([f"# {origin}", *lines, ""]).encode()
    except UnicodeEncodeError as error:  # the name of a folder that another system wrote
        received = error.object[error.start - 9 : error.end + 9]
        raise DigitsError(f"{name}: expected names in UTF-8, received {received!a}") from error


def _draw_samples(content: Content) -> bytes:
    """Draw a row for each class, as a PNG: its name, and its last training images."""
    images, labels = content.train
    if content.facts.get("transpose"):
        images = images.swapaxes(1, 2)
    names, font = [*content.classes], ImageFont.load_default(FONT_SIZE)
    count = max(1, min(MOST_OF_CLASS, MOST_SAMPLES // len(names)))
    left = 16 + int(max(font.getlength(name) for name in names))
    sheet = Image.new("L", (left + count * CELL, len(names) * CELL), 255)
    pen = ImageDraw.Draw(sheet)
    for row, (name, label) in enumerate(content.classes.items()):
        pen.text((8, (row + 0.5) * CELL), name, fill=0, font=font, anchor="lm")
        for column, place in enumerate(np.flatnonzero(labels == label)[-count:]):
            drawn = Image.fromarray(images[place]).resize(
                (CELL - 8, CELL - 8), Image.Resampling.NEAREST
            )
            sheet.paste(drawn, (left + column * CELL, row * CELL + 4))
    sheet.save(stream := io.BytesIO(), "png")
    return stream.getvalue()
