"""Shared fixtures: a dataset small enough to be made anew for every test."""

import gzip
import hashlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from projects import Project, train_project

from digits.data import idx
from digits.data.datasets import CLASS_COUNT, DATASETS, DIGIT_NAMES, IMAGE_SIDE, Dataset, RawFile

# A shell's background job ignores Ctrl-C, and so would every process that these tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A make that a test starts is no part of the `make test` above it; as one it would print folders.
for variable in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(variable, None)

TRAIN_COUNT, TEST_COUNT = 150, 50


def draw_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw uint8 (count, 28, 28) images that show their labels, (count,): a bar a class, noise."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(count) % CLASS_COUNT).astype(np.uint8)
    images = generator.integers(0, 100, (count, IMAGE_SIDE, IMAGE_SIDE))
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4 : 2 * label + 6, 4:24] = 255
    return images.astype(np.uint8), labels


def publish(folder: Path, name: str, array: np.ndarray) -> RawFile:
    """Write the array as the published file `name`.gz and return its facts."""
    raw = idx.encode(array)
    packed = gzip.compress(raw, mtime=0)
    (folder / f"{name}.gz").write_bytes(packed)
    digests = (hashlib.sha256(data).hexdigest() for data in (packed, raw))
    return RawFile(name, len(raw), len(packed), *digests)


@pytest.fixture
def synthetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with four `.gz` files that pass for MNIST's until the test ends."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    files = []
    for prefix, count, seed in (("train", TRAIN_COUNT, 0), ("t10k", TEST_COUNT, 1)):
        images, labels = draw_images(count, seed)
        files.append(publish(folder, f"{prefix}-images-idx3-ubyte", images))
        files.append(publish(folder, f"{prefix}-labels-idx1-ubyte", labels))
    train_images, train_labels, test_images, test_labels = files
    facts = Dataset(
        "Synthetic", DIGIT_NAMES, train_images, train_labels, test_images, test_labels, (3, 14)
    )
    monkeypatch.setitem(DATASETS, "mnist", facts)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose pipeline has run: to be copied and cloned, never changed."""
    return train_project(tmp_path_factory.mktemp("trained") / "project")
