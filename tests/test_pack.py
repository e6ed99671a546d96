"""`pack`: pictures of one's own digits, a subfolder a class, become a dataset of the stages."""

import shutil
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_photographs import photograph, write
from test_stages import make_project

from digits.commands import pack
from digits.commands.convert import FILE_NAMES, ConvertError
from digits.commands.pack import PackError
from digits.data import idx
from digits.data.datasets import load_dataset
from digits.data.handwriting import centre
from digits.data.splits import load_card
from digits.errors import DigitsError
from digits.paths import CARD_PATH
from pipeline import decode, fetch

DIGITS = "347"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with pictures in `mine`: a sheet and a single of each digit."""
    monkeypatch.chdir(tmp_path)
    for digit in DIGITS:
        write_sheet(Path("mine") / digit / "sheet.jpg", 3 * digit, 3 * digit)
        write_sheet(Path("mine") / digit / "deeper/single.png", digit)
    return tmp_path


def write_sheet(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ink = write(*lines)
    # No two digits of a page are the same, as no two are that a hand writes.
    noise = np.random.default_rng(list(str(path).encode())).normal(0, 0.02, ink.shape)
    picture = photograph((ink + noise).clip(0, 1))
    Image.fromarray((255 * picture).astype(np.uint8)).save(path)


def run(*arguments: str) -> None:
    parser = ArgumentParser()
    pack.add_arguments(parser)
    pack.main(parser.parse_args(list(arguments)))


def read_arrays(name: str) -> list[np.ndarray]:
    folder = Path("data/converted") / name
    return [idx.decode((folder / file).read_bytes()) for file in FILE_NAMES.values()]


def test_sheets_and_singles_become_a_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    run("mine")
    dataset = load_dataset("mine")
    assert dataset.class_names == list(DIGITS)
    images, labels, test_images, test_labels = read_arrays("mine")
    assert np.bincount(labels).tolist() == [6] * 3
    assert np.bincount(test_labels).tolist() == [1] * 3
    assert len(test_images) == 3
    for image, label in zip(images, labels, strict=True):
        letter = centre(write(DIGITS[label])).ravel()
        assert np.corrcoef(image.ravel(), letter)[0, 1] > 0.85
    printed = capsys.readouterr().out
    assert "7: 6 + 1" in printed
    assert printed.endswith("dvc exp run -S dataset=mine\n")


def test_same_pictures_give_the_same_bytes() -> None:
    run("mine", "--folder", "one", "--name", "one")
    run("mine", "--folder", "two", "--name", "two")
    for name in FILE_NAMES.values():
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    run("mine", "--folder", "three", "--name", "three", "--seed", "1")
    name = FILE_NAMES["test_images"]
    assert Path("three", name).read_bytes() != Path("one", name).read_bytes()


def test_stages_take_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("mine", "--title", "My hand", "--folder", str(project / "packed"))
    monkeypatch.chdir(make_project(project / "project", dataset="mine"))
    shutil.copytree(project / "datasets", "datasets")
    fetch.main()
    decode.main()
    assert load_card(CARD_PATH).title == "My hand"
    assert len(np.load("data/decoded/test/labels.npy")) == 3


def test_classes_are_in_order_of_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("10", "9", "b", "a"):
        write_sheet(Path("some") / name / "sheet.png", "123")
    run("some")
    assert load_dataset("some").class_names == ["9", "10", "a", "b"]
    assert "9: 2 + 1, 10: 2 + 1" in capsys.readouterr().out


def test_bad_pictures_are_listed_and_left_out_only_if_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine/3/notes.txt").write_text("not a picture")
    Image.new("L", (90, 90), 255).save("mine/4/blank.png")
    with pytest.raises(PackError, match="2 pictures cannot be read"):
        run("mine")
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[:2] for line in said] == [
        ["ERROR", " mine/3/notes.txt"],
        ["ERROR", " mine/4/blank.png"],
    ]
    assert not Path("datasets").exists()
    assert not Path("data").exists()
    run("mine", "--skip-bad")
    assert capsys.readouterr().err.count("WARNING: mine/") == 2
    assert len(read_arrays("mine")[0]) == 18


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["missing"], "expected a folder, received none"),
        (["mine/3"], "received deeper"),
        (["mine", "--name", "a b"], "NAME: expected letters"),
        (["mine", "--test-fraction", "1"], "expected between 0 and 1"),
        (["mine", "--folder", "https://example.org/x"], "expected a local folder"),
    ],
)
def test_what_makes_no_dataset_is_refused(arguments: list[str], expected: str) -> None:
    with pytest.raises(DigitsError, match=expected):
        run(*arguments)
    assert not Path("datasets").exists()


def test_class_with_one_digit_is_refused() -> None:
    write_sheet(Path("few/1/one.png"), "1")
    write_sheet(Path("few/2/two.png"), "22")
    with pytest.raises(PackError, match="1: expected two digits or more"):
        run("few")


def test_nothing_is_written_over_unless_told() -> None:
    run("mine")
    before = Path("datasets/mine.yaml").read_text()
    write_sheet(Path("mine/3/more.png"), "33")
    with pytest.raises(ConvertError, match="--replace"):
        run("mine")
    assert Path("datasets/mine.yaml").read_text() == before
    run("mine", "--replace")
    assert Path("datasets/mine.yaml").read_text() != before
