"""Facts of the datasets: consistent with each other, with the embedded digits, with real files."""

import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from sklearn.datasets import load_digits

from digits.data import idx
from digits.data.datasets import CLASS_COUNT, DATASETS, DatasetName, RawFile
from digits.data.optdigits import choose_test, enlarge, read_optdigits
from digits.data.raw import unpack

# Where a team keeps its copy: the first mirror of params.yaml.
MNIST_DIR = Path(__file__).parent.parent.parent / "shared" / "mnist"

FILES = [
    pytest.param(name, file, id=f"{name}-{file.name}")
    for name, dataset in DATASETS.items()
    for file in dataset.files
]


class TestFacts:
    def test_every_name_has_its_facts(self) -> None:
        assert tuple(DATASETS) == get_args(DatasetName)

    @pytest.mark.parametrize("name", DATASETS)
    def test_dataset(self, name: DatasetName) -> None:
        dataset = DATASETS[name]
        assert len(set(dataset.class_names)) == len(dataset.class_names) == CLASS_COUNT
        assert [file.gzip_name for file in dataset.files] == [
            "train-images-idx3-ubyte.gz",
            "train-labels-idx1-ubyte.gz",
            "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz",
        ]

    @pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist"])
    def test_size_of_60000_and_10000_images(self, name: DatasetName) -> None:
        sizes = [file.raw_size for file in DATASETS[name].files]
        assert sizes == [47_040_016, 60_008, 7_840_016, 10_008]

    @pytest.mark.parametrize("name", DATASETS)
    def test_as_many_labels_as_images(self, name: DatasetName) -> None:
        dataset = DATASETS[name]
        for images, labels in (
            (dataset.train_images, dataset.train_labels),
            (dataset.test_images, dataset.test_labels),
        ):
            assert divmod(images.raw_size - 16, 28 * 28) == (labels.raw_size - 8, 0)

    @pytest.mark.parametrize(("name", "file"), FILES)
    def test_digests(self, name: DatasetName, file: RawFile) -> None:
        digests = [digest for digest in (file.gzip_sha256, file.raw_sha256) if digest]
        assert digests, f"{name}: a file that no digest vouches for"
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)

    def test_no_digest_was_pasted_twice(self) -> None:
        digests = Counter(
            digest
            for dataset in DATASETS.values()
            for file in dataset.files
            for digest in (file.gzip_sha256, file.raw_sha256)
            if digest
        )
        assert max(digests.values()) == 1

    @pytest.mark.parametrize(("name", "file"), FILES)
    def test_published_size(self, name: DatasetName, file: RawFile) -> None:
        assert (file.gzip_size is None) == (file.gzip_sha256 is None) == (name == "optdigits")
        assert file.gzip_size is None or file.gzip_size < file.raw_size

    def test_largest_size(self) -> None:
        file = RawFile("images", raw_size=9, gzip_size=5, gzip_sha256="a", raw_sha256="b")
        assert file.largest_size == 9
        assert replace(file, raw_sha256=None).largest_size == 5
        assert replace(file, gzip_size=None, gzip_sha256=None).largest_size == 9
        assert replace(file, gzip_size=12).largest_size == 12


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


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return read_optdigits()


class TestOptdigits:
    def test_files_have_the_digests_of_the_table(self, files: dict[str, bytes]) -> None:
        facts = DATASETS["optdigits"]
        assert list(files) == [file.gzip_name for file in facts.files]
        for file in facts.files:
            unpack(file, files[file.gzip_name])  # refuses another size or digest

    def test_files_are_what_scikit_learn_carries(self, files: dict[str, bytes]) -> None:
        facts = DATASETS["optdigits"]
        images, labels, test_images, test_labels = (
            idx.decode(unpack(file, files[file.gzip_name])) for file in facts.files
        )
        assert images.shape == (1433, 28, 28)
        assert test_images.shape == (364, 28, 28)
        digits = load_digits()
        both = np.concatenate([labels, test_labels])
        assert np.bincount(both).tolist() == np.bincount(digits.target).tolist()
        total = images.sum(dtype=np.int64) + test_images.sum(dtype=np.int64)
        # Each count has the weight of nine pixels, at the edges too; the rest is rounding.
        assert total == pytest.approx(digits.images.sum() * 9 * 255 / 16, rel=1e-3)

    def test_repeat_gives_the_same_bytes(self, files: dict[str, bytes]) -> None:
        assert read_optdigits() == files

    @pytest.mark.parametrize("kind", ["real", "random", "corner"])
    def test_enlarge(self, kind: str) -> None:
        corner = np.zeros((1, 8, 8), np.int64)
        corner[0, 0, 7] = 16
        counts = {
            "real": load_digits().images[:3].astype(np.int64),
            "random": np.random.default_rng(0).integers(0, 17, (3, 8, 8)),
            "corner": corner,
        }[kind]
        images = enlarge(counts)
        assert images.dtype == np.uint8
        assert images.tolist() == [enlarge_slowly(image) for image in counts.tolist()]

    @pytest.mark.parametrize(("count", "pixel"), [(0, 0), (8, 128), (16, 255)])
    def test_enlarge_constant(self, count: int, pixel: int) -> None:
        image = enlarge(np.full((1, 8, 8), count))[0]
        assert (image[2:26, 2:26] == pixel).all()
        assert image.sum() == pixel * 24 * 24

    def test_choose_test(self) -> None:
        labels = np.array([3, 1, 3, 3, 1, 3, 3, 3, 1, 3, 3, 3, 3, 1, 1, 1], np.uint8)
        assert np.flatnonzero(choose_test(labels)).tolist() == [0, 1, 7, 15]


@pytest.mark.skipif(not MNIST_DIR.is_dir(), reason="no copy of MNIST in ../shared/mnist")
class TestMnist:
    @pytest.mark.parametrize(
        ("split", "counts", "mean", "deviation"),
        [
            (
                "train",
                [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
                0.13066,
                0.30811,
            ),
            ("test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], 0.13251, 0.31048),
        ],
        ids=["train", "test"],
    )
    def test_content(self, split: str, counts: list[int], mean: float, deviation: float) -> None:
        images, labels = (self.load(f"{split}_{part}") for part in ("images", "labels"))
        assert np.bincount(labels).tolist() == counts
        assert images.shape == (sum(counts), 28, 28)
        average = images.sum(dtype=np.int64) / images.size
        square = np.square(images, dtype=np.uint16).sum(dtype=np.int64) / images.size
        assert average / 255 == pytest.approx(mean, abs=5e-6)
        assert np.sqrt(square - average**2) / 255 == pytest.approx(deviation, abs=5e-6)
        border = np.ones((28, 28), bool)
        border[1:-1, 1:-1] = False
        assert images[:, border].any()

    @staticmethod
    def load(part: str) -> np.ndarray:
        file: RawFile = getattr(DATASETS["mnist"], part)
        return idx.decode(unpack(file, (MNIST_DIR / file.gzip_name).read_bytes()))
