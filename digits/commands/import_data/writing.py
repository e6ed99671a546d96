"""What `import` writes: four IDX files, a picture of some images, and the dataset file."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import ValidationError

from digits.commands.import_data.labels import Classes
from digits.commands.import_data.pairing import join_texts
from digits.config import describe_errors, load_params
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
SAMPLES = "samples.png"
MOST_SAMPLES, MOST_OF_CLASS = 240, 12
CELL, FONT_SIZE = 2 * IMAGE_SIDE + 8, 20  # pixels


@dataclass(frozen=True)
class Content:
    """Train images uint8 (n, 28, 28), their labels (n,), the same of test; and their classes."""

    arrays: Sequence[np.ndarray]
    classes: Classes
    facts: Mapping[str, Any]  # that a dataset file says of them


def add_to(known_name: str, name: str, own: Content) -> Content:
    """Put one's own images behind those of a known dataset, as a part called `name`.

    Raises:
        DigitsError: a class that the dataset does not have, or the name of one of its parts.
        UnreachableError: no mirror has it.
    """
    known = load_dataset(known_name, "--with")
    if name in (known_name, *known.count_parts("train")):
        raise DigitsError(f"--with {known_name}: expected a NAME of its own for the result")
    strange = [name for name in own.classes.names if name not in known.class_names]
    if strange:
        raise DigitsError(
            f"--with {known_name}: expected its classes, {', '.join(known.class_names)}, "
            f"received {join_texts(strange)}, too"
        )
    places = [known.class_names.index(name) for name in own.classes.names]
    renumbered = dict(zip(own.classes.values, places, strict=True))
    added = [
        np.array([renumbered[label] for label in array.tolist()], np.uint8)
        if array.ndim == 1
        else array
        for array in own.arrays
    ]
    if own.facts.get("transpose"):
        added = [array.swapaxes(1, 2) if array.ndim == 3 else array for array in added]
    former = _load_known(known)
    counted = [
        {"name": part, "train": len(arrays[0]), "test": len(arrays[2])}
        for part, arrays in ((known_name, former), (name, added))
    ]
    parts = [part.model_dump() for part in known.parts] or counted[:1]
    facts = {"licence": f"{own.facts['licence']}; {known.title}: {known.licence}"}
    disputed = {"disputed": known.disputed} if known.disputed else {}
    return Content(
        [np.concatenate(pair) for pair in zip(former, added, strict=True)],
        Classes([*range(len(known.class_names))], known.class_names),
        {"title": own.facts["title"], **facts, **disputed, "parts": [*parts, counted[1]]},
    )


def _load_known(dataset: Dataset) -> list[np.ndarray]:
    """Load the arrays of a known dataset, as `Content` has them, from wherever they are to be had.

    Raises:
        UnreachableError: no mirror has it.
    """
    waits = [load_params(f"fetch.{limit}_seconds", float) for limit in ("timeout", "deadline")]
    files = find_files(dataset, *waits)
    arrays = []
    for split in ("train", "test"):
        images, labels = (idx.view(files[file.name]) for file in dataset.pair(split))
        arrays += [
            normalize_images(split, images, transpose=dataset.transpose),
            normalize_labels(split, labels, len(images), dataset),
        ]
    return arrays


def write_dataset(name: str, content: Content, origin: str, *, replace: bool) -> tuple[Path, Path]:
    """Write the IDX files, the picture, and last the dataset file, which has their digests.

    Return the dataset file and the folder of the others.

    Raises:
        DigitsError: something is in the way of them, or no dataset file may say it.
    """
    folder, path = CONVERTED_DIR / name, datasets.DATASETS_DIR / f"{name}.yaml"
    described = {**content.facts, "class_names": content.classes.names, "mirrors": [str(folder)]}
    if content.classes.values != list(range(len(content.classes.values))):
        described["label_values"] = content.classes.values
    files = {}
    for (key, file), array in zip(FILE_NAMES.items(), content.arrays, strict=True):
        raw = files[folder / file] = idx.encode(array)
        digest = hashlib.sha256(raw).hexdigest()
        described[key] = {"name": file, "raw_size": len(raw), "raw_sha256": digest}
    try:
        Dataset.model_validate(described)
    except ValidationError as error:
        raise DigitsError(f"{name}: {describe_errors('', Dataset, error)}") from error
    # JSON in YAML: its texts are texts to every version of YAML.
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in described.items()]
    try:
        text = "\n".join([f"# {origin}", *lines, ""]).encode()
    except UnicodeEncodeError as error:  # the name of a folder that another system wrote
        received = error.object[error.start - 9 : error.end + 9]
        raise DigitsError(f"{name}: expected names in UTF-8, received {received!a}") from error
    files[folder / SAMPLES] = _draw_samples(content)
    taken = [str(file) for file in (path, *files) if file.exists()]
    if taken and not replace:
        raise DigitsError(f"{join_texts(taken)}: expected no such file: --replace it, or rename")
    for file_path, raw in files.items():
        write_bytes(file_path, raw)
    write_bytes(path, text)
    return path, folder


def _draw_samples(content: Content) -> bytes:
    """Draw a row for each class, as a PNG: its name, and its last training images."""
    images, labels = content.arrays[:2]
    if content.facts.get("transpose"):
        images = images.swapaxes(1, 2)
    names, font = content.classes.names, ImageFont.load_default(FONT_SIZE)
    count = max(1, min(MOST_OF_CLASS, MOST_SAMPLES // len(names)))
    left = 16 + int(max(font.getlength(name) for name in names))
    sheet = Image.new("L", (left + count * CELL, len(names) * CELL), 255)
    pen = ImageDraw.Draw(sheet)
    for row, (name, label) in enumerate(zip(names, content.classes.values, strict=True)):
        pen.text((8, (row + 0.5) * CELL), name, fill=0, font=font, anchor="lm")
        for column, place in enumerate(np.flatnonzero(labels == label)[-count:]):
            drawn = Image.fromarray(images[place]).resize(
                (CELL - 8, CELL - 8), Image.Resampling.NEAREST
            )
            sheet.paste(drawn, (left + column * CELL, row * CELL + 4))
    sheet.save(stream := io.BytesIO(), "png")
    return stream.getvalue()
