"""Facts of the datasets: consistent with each other, with the embedded digits, with real files."""

import json
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from layouts import FACTS

from digits.config import ConfigError
from digits.data.datasets import Dataset, load_dataset
from digits.data.optdigits import read_optdigits
from digits.data.raw import unpack


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the file of a dataset says, and make its folder the current one."""
    monkeypatch.chdir(tmp_path)
    Path("datasets").mkdir()
    return FACTS | {"class_names": ["fehu", "uruz"], "mirrors": ["here"]}


def load(facts: dict[str, Any]) -> Dataset:
    Path("datasets/runes.yaml").write_text(json.dumps(facts))
    return load_dataset("runes")


@pytest.mark.checkout
@pytest.mark.parametrize("name", [path.stem for path in (ROOT / "datasets").glob("*.yaml")])
def test_shipped_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the checkout, whatever a user has added: each is what it must be."""
    monkeypatch.chdir(ROOT)
    dataset = load_dataset(name)
    assert len({file.name for file in dataset.files}) == 4
    for split in ("train", "test"):
        images, labels = dataset.pair(split)
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


def test_embedded_digits_have_the_digests_of_their_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    dataset = load_dataset("optdigits")
    files = read_optdigits(dataset)
    for file in dataset.files:
        unpack(file, files[file.name])  # refuses another size or digest
