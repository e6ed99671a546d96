"""Shared fixtures: a dataset small enough to be made again for every test."""

import gc
import gzip
import hashlib
import json
import os
import signal
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guard import guarding
from layouts import BROUGHT, Contents, change_facts, unpack_all
from projects import Project, make_once, retrain, train_project

from digits.data import datasets, idx, raw_store
from digits.data.splits import IMAGE_SIDE

# A shell's background job ignores Ctrl-C, and so would every process that these tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A make that a test starts is no part of the `make test` above it; as one it would print folders.
for variable in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(variable, None)

TRAIN_COUNT, TEST_COUNT = 150, 50
DIGIT_NAMES = list("0123456789")


def draw_images(count: int, seed: int, class_count: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Draw uint8 (count, 28, 28) images that show their labels, (count,): a bar a class, noise."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(count) % class_count).astype(np.uint8)
    images = generator.integers(0, 100, (count, IMAGE_SIDE, IMAGE_SIDE))
    width = max(20 // class_count, 1)
    top = (IMAGE_SIDE - width * class_count) // 2
    for image, label in zip(images, labels, strict=True):
        image[top + width * label : top + width * (label + 1), 4:24] = 255
    return images.astype(np.uint8), labels


def publish(folder: Path, name: str, array: np.ndarray) -> dict[str, Any]:
    """Write the array as the published file `name`.gz and return its facts."""
    raw = idx.encode(array)
    (folder / f"{name}.gz").write_bytes(gzip.compress(raw, mtime=0))
    return {"name": name, "raw_size": len(raw), "raw_sha256": hashlib.sha256(raw).hexdigest()}


def publish_dataset(folder: Path, class_names: Sequence[str]) -> dict[str, Any]:
    """Write four `.gz` files into the folder; return what a file of `datasets/` says of them."""
    facts: dict[str, Any] = {"title": "Synthetic", "licence": "none", "mirrors": [str(folder)]}
    facts["class_names"] = list(class_names)
    counts = {"train": (TRAIN_COUNT, 0, "train"), "test": (TEST_COUNT, 1, "t10k")}
    for split, (count, seed, prefix) in counts.items():
        images, labels = draw_images(count, seed, len(class_names))
        facts[f"{split}_images"] = publish(folder, f"{prefix}-images-idx3-ubyte", images)
        facts[f"{split}_labels"] = publish(folder, f"{prefix}-labels-idx1-ubyte", labels)
    return facts


def publish_mnist(project: Project) -> Path:
    """Let small files, which no mirror has, pass for a project's MNIST; return their folder."""
    made = project.folder.with_name("made")
    made.mkdir()
    facts = publish_dataset(made, DIGIT_NAMES) | {"mirrors": []}
    (project.folder / "datasets/mnist.yaml").write_text(json.dumps(facts))
    project.commit("small files")
    return made


def pytest_collection_finish() -> None:
    """Let garbage collection pass over all that has been imported: Keras asks for it a lot."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with guarding(item):
        return (yield)


@pytest.fixture(autouse=True, scope="session")
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run all tests in an empty folder: no relative path leads to the checkout's files."""
    os.chdir(tmp_path_factory.mktemp("nowhere"))


@pytest.fixture
def synthetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with four `.gz` files that pass for MNIST's until the test ends."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    facts = publish_dataset(mirror, DIGIT_NAMES) | {"disputed": [3, 14]}
    monkeypatch.setattr(datasets, "DATASETS_DIR", tmp_path / "datasets")
    monkeypatch.setattr(raw_store, "find_cache_dir", lambda: None)  # DVC takes a second to say that
    datasets.DATASETS_DIR.mkdir()
    (datasets.DATASETS_DIR / "mnist.yaml").write_text(json.dumps(facts))
    return mirror


@pytest.fixture
def contents(synthetic: Path) -> Contents:
    """Return what these four files hold, by name."""
    return unpack_all(synthetic)


@pytest.fixture
def bare_project(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 (the files of `dataset: mnist`)
    """Make a folder without data the current one; the dataset has one mirror, a folder."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    change_facts(mirrors=[str(BROUGHT)])


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose pipeline has run: to be copied and cloned, never changed."""
    return Project(make_once(tmp_path_factory, "trained", train_project))


@pytest.fixture(scope="session")
def retrained(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a copy that has trained once more, three epochs, and committed: nor is this changed.

    Its cache has both runs: at `HEAD~1` is what `trained` has at `HEAD`.
    """
    return Project(
        make_once(tmp_path_factory, "retrained", lambda folder: retrain(trained.copy(folder)))
    )


@pytest.fixture(scope="module")
def two_runs(retrained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a copy of that for the tests of a file, which leave its commits as they are."""
    return retrained.copy(tmp_path_factory.mktemp("two_runs") / "project")
