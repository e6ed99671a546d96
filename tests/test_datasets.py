"""Facts of the datasets: consistent with each other, with the embedded digits, with real files."""

import gzip
import json
from collections import Counter
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imports import ROOT
from sklearn.datasets import load_digits

from digits.config import ConfigError
from digits.data import idx
from digits.data.datasets import Dataset, RawFile, load_dataset
from digits.data.optdigits import choose_test, enlarge, read_optdigits
from digits.data.raw import unpack

# Where a team keeps its copy: the first mirror of datasets/mnist.yaml.
MNIST_DIR = ROOT.parent / "shared" / "mnist"


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the file of a dataset says, and make its folder the current one."""
    monkeypatch.chdir(tmp_path)
    Path("datasets").mkdir()
    files = ("train_images", "train_labels", "test_images", "test_labels")
    return {
        "title": "Runes",
        "licence": "none",
        "class_names": ["fehu", "uruz"],
        "mirrors": ["here"],
        **{name: {"name": name} for name in files},
    }


def load(facts: dict[str, Any]) -> Dataset:
    Path("datasets/runes.yaml").write_text(json.dumps(facts))
    return load_dataset("runes")


@pytest.mark.checkout
class TestShippedFiles:
    """Those of the checkout, whatever a user has added: each is what it must be, none is named."""

    PATHS = sorted((ROOT / "datasets").glob("*.yaml"))

    @pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
    def test_dataset(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        dataset = load_dataset(path.stem)
        assert len({file.name for file in dataset.files}) == 4
        for images, labels in (
            (dataset.train_images, dataset.train_labels),
            (dataset.test_images, dataset.test_labels),
        ):
            if images.raw_size and labels.raw_size:
                assert divmod(images.raw_size - 16, 28 * 28) == (labels.raw_size - 8, 0)

    def test_no_digest_was_pasted_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        digests = Counter(
            digest
            for path in self.PATHS
            for file in load_dataset(path.stem).files
            for digest in (file.gzip_sha256, file.raw_sha256)
            if digest
        )
        assert max(digests.values(), default=1) == 1


def test_smallest_file(facts: dict[str, Any]) -> None:
    dataset = load(facts)
    names = ["train_images", "train_labels", "test_images", "test_labels"]
    assert [file.name for file in dataset.files] == names
    assert dataset.labels == [0, 1]
    assert (dataset.source, dataset.disputed) == ("mirrors", [])
    assert not any(file.has_digest for file in dataset.files)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "x"}, "titel: unknown key .did you mean 'title'"),
        ({"title": "a\x1b[2J"}, "title: expected one line without control characters"),
        ({"class_names": ["a"]}, "class_names: .*at least 2 items"),
        ({"class_names": ["a", "a"]}, "class_names: expected entries that differ"),
        ({"mirrors": ["http://example.org/"]}, "mirrors.0: .*https:// address"),
        ({"mirrors": ["https://"]}, "mirrors.0: .*https:// address"),
        ({"mirrors": ["file:///srv/mnist/"]}, "mirrors.0: .*https:// address"),
        ({"mirrors": ["https://user:secret@example.org/"]}, "mirrors.0: .*without credentials"),
        ({"mirrors": ["https://example.org/?a=b"]}, "mirrors.0: .*without .*query"),
        ({"train_images": {"name": "../x"}}, "train_images.name: "),
        ({"train_images": {"name": "x", "raw_sha256": "b"}}, "train_images.raw_sha256: "),
        ({"train_images": {"name": "x", "raw_size": 1 << 40}}, "train_images.raw_size: "),
        ({"label_values": [3]}, ".*as many label_values as class_names, 2, not 1"),
        ({"label_values": [3, 3]}, ".*entries that differ"),
    ],
    ids=str,
)
def test_refusal(changes: dict[str, Any], message: str, facts: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"\Adatasets/runes\.yaml: {message}.*\Z") as raised:
        load(facts | changes)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["Runes", "", "../runes", "runes.yaml"])
def test_unknown_name(name: str, facts: dict[str, Any]) -> None:
    load(facts)
    with pytest.raises(ConfigError, match="expected a file of datasets/, one of runes, rec"):
        load_dataset(name)


@pytest.mark.parametrize(
    ("values", "labels"), [(1, [1, 2]), (-3, [-3, -2]), ([7, 5], [7, 5])], ids=str
)
def test_labels(values: object, labels: list[int], facts: dict[str, Any]) -> None:
    assert load(facts | {"label_values": values}).labels == labels


def test_largest_size_leaves_room_for_any_packing() -> None:
    raw = np.random.default_rng(0).bytes(100_000)
    file = RawFile(name="images", raw_size=len(raw))
    assert len(gzip.compress(raw, 0)) < file.largest_size < 2 * len(raw)


def enlarge_slowly(counts: list[list[int]]) -> list[list[int]]:
    """Enlarge an 8x8 image to 28x28 as the textbook says, pixel by pixel, in exact fractions."""

    def sample(row: Fraction, column: Fraction) -> Fraction:
        total = Fraction(0)
        for i in (floor(row), floor(row) + 1):
            for j in (floor(column), floor(column) + 1):
                weight = (1 - abs(row - i)) * (1 - abs(column - j))
                total += weight * counts[min(max(i, 0), 7)][min(max(j, 0), 7)]
        return total

    image = [[0] * 28 for _ in range(28)]
    for y in range(24):
        for x in range(24):
            # Pixel centres lie at halves: those of the output at a third of the input's distance.
            value = sample(
                Fraction(2 * y + 1, 6) - Fraction(1, 2), Fraction(2 * x + 1, 6) - Fraction(1, 2)
            )
            image[y + 2][x + 2] = floor(value * 255 / 16 + Fraction(1, 2))
    return image


def test_embedded_digits_have_the_digests_of_their_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    dataset = load_dataset("optdigits")
    files = read_optdigits(dataset)
    for file in dataset.files:
        unpack(file, files[file.name])  # refuses another size or digest
    _, labels, images, test_labels = (idx.decode(files[file.name]) for file in dataset.files)
    assert images.shape == (364, 28, 28)
    both = np.concatenate([labels, test_labels])
    assert np.bincount(both).tolist() == np.bincount(load_digits().target).tolist()


def test_embedded_digits_are_enlarged_as_the_textbook_says() -> None:
    corner = np.zeros((1, 8, 8), np.int64)
    corner[0, 0, 7] = 16
    drawn = np.random.default_rng(0).integers(0, 17, (3, 8, 8))
    for counts in (load_digits().images[:3].astype(np.int64), drawn, corner):
        assert enlarge(counts).tolist() == [enlarge_slowly(image) for image in counts.tolist()]


def test_every_fifth_embedded_digit_is_a_test_image() -> None:
    labels = np.array([3, 1, 3, 3, 1, 3, 3, 3, 1, 3, 3, 3, 3, 1, 1, 1], np.uint8)
    assert np.flatnonzero(choose_test(labels)).tolist() == [0, 1, 7, 15]


COUNTS = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


@pytest.mark.skipif(not MNIST_DIR.is_dir(), reason="no copy of MNIST in ../shared/mnist")
@pytest.mark.parametrize(
    ("split", "mean", "deviation"), [("train", 0.13066, 0.30811), ("test", 0.13251, 0.31048)]
)
def test_mnist_is_the_published_one(
    split: str, mean: float, deviation: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    images, labels = (
        idx.decode(unpack(file, (MNIST_DIR / f"{file.name}.gz").read_bytes()))
        for file in load_dataset("mnist").pair(split)
    )
    assert np.bincount(labels).tolist() == COUNTS[split]
    average = images.sum(dtype=np.int64) / images.size
    square = np.square(images, dtype=np.uint16).sum(dtype=np.int64) / images.size
    assert average / 255 == pytest.approx(mean, abs=5e-6)
    assert np.sqrt(square - average**2) / 255 == pytest.approx(deviation, abs=5e-6)
