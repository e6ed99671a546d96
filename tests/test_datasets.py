"""Facts of the datasets: consistent with each other, with the embedded digits, with real files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imports import ROOT
from sklearn.datasets import load_digits

from digits.config import ConfigError
from digits.data import idx
from digits.data.datasets import Dataset, load_dataset
from digits.data.optdigits import read_optdigits
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": "a\x1b[2J"}, "title: expected one line without control characters"),
        ({"class_names": ["a", "a"]}, "class_names: expected entries that differ"),
        ({"mirrors": ["http://example.org/"]}, "mirrors.0: .*https:// address"),
        ({"mirrors": ["https://user:secret@example.org/"]}, "mirrors.0: .*without credentials"),
        ({"train_images": {"name": "../x"}}, "train_images.name: "),
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
