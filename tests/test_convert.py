"""`python -m digits convert`: every form gives the same bytes, what must be guessed is refused."""

import io
import json
import zipfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import draw_images
from test_stages import make_project

from digits.commands import convert
from digits.data import idx
from digits.data.datasets import Dataset, load_dataset
from digits.errors import DigitsError
from pipeline import decode, fetch

TRAIN, TEST = draw_images(30, 0, 3), draw_images(12, 1, 3)
ARRAYS = (*TRAIN, *TEST)
MANY = np.repeat(TRAIN[0], 9, axis=0)[:257], np.arange(257)  # a class for each image
RARE = (np.arange(30) > 27).astype(int)  # two of thirty
NAMES = tuple(convert.FILE_NAMES.values())
COLUMNS = ["label", *(f"pixel{number}" for number in range(784))]
FOLDER = Path("data/converted/runes")
DATASET = Path("datasets/runes.yaml")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parse(*arguments: str, name: str = "runes") -> Namespace:
    parser = ArgumentParser()
    convert.add_arguments(parser)
    return parser.parse_args([name, *arguments])


def run(*arguments: str) -> Dataset:
    convert.main(parse(*arguments))
    return load_dataset("runes")


def read_arrays(folder: Path = FOLDER) -> list[np.ndarray]:
    return [idx.decode((folder / name).read_bytes()) for name in NAMES]


# The forms


def write_table(path: str, images: np.ndarray, labels: Any, *, header: bool = True) -> str:
    table = pd.DataFrame(images.reshape(len(images), -1), columns=COLUMNS[1 : 1 + images[0].size])
    table.insert(0, "label", labels)
    table.to_csv(path, index=False, header=header)
    return path


def write_tables(*, header: bool = True) -> list[str]:
    write_table("train.csv", *TRAIN, header=header)
    return ["train.csv", write_table("test.csv", *TEST, header=header)]


def write_archive(*arrays: Any, names: str = "x_train y_train x_test y_test") -> list[str]:
    np.savez("it.npz", **dict(zip(names.split(), arrays, strict=True)))
    return ["it.npz"]


def write_arrays(*arrays: Any) -> list[str]:
    for number, array in enumerate(arrays):
        np.save(f"{number}.npy", array)
    return [f"{number}.npy" for number in range(len(arrays))]


def change(
    images: Callable[[np.ndarray], Any] = np.copy, labels: Callable[[np.ndarray], Any] = np.copy
) -> tuple[Any, ...]:
    """Return the four arrays, changed."""
    return images(TRAIN[0]), labels(TRAIN[1]), images(TEST[0]), labels(TEST[1])


def write_odd_table() -> list[str]:
    """Write tables as other programs do: a mark, floats, the label last and under its own name."""
    paths = write_tables()
    for path in paths:
        table = pd.read_csv(path).astype(float)
        table = table[[*COLUMNS[1:], "label"]].rename(columns={"label": "Digit"})
        table.to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\r\n")
    return [*paths, "--label", "Digit"]


GOOD: dict[str, Callable[[], list[str]]] = {
    "tables": write_tables,
    "tables-without-header": lambda: [*write_tables(header=False), "--label", "0"],
    "tables-of-another-program": write_odd_table,
    "archive": lambda: write_archive(*ARRAYS),
    "archive-of-other-names": lambda: write_archive(
        *ARRAYS, names="train_images train_labels test_images test_labels"
    ),
    "arrays": lambda: write_arrays(*ARRAYS),
    "rows": lambda: write_arrays(*change(lambda it: it.reshape(-1, 784))),
    "channels-last": lambda: write_arrays(*change(lambda it: it[..., np.newaxis])),
    "channels-first": lambda: write_arrays(*change(lambda it: it[:, np.newaxis])),
    "int64": lambda: write_arrays(*change(np.int64, np.int64)),
    "big-endian": lambda: write_arrays(*change(lambda it: it.astype(">i2"))),
    "fortran-order": lambda: write_arrays(*change(np.asfortranarray)),
    "floats": lambda: write_arrays(*change(np.float64, np.float32)),
    "label-column": lambda: write_arrays(*change(labels=lambda it: it[:, np.newaxis])),
    "label-texts": lambda: write_arrays(*change(labels=lambda it: it.astype(str))),
    "scaled": lambda: [*write_arrays(*change(lambda it: it / 255)), "--scale", "255"],
    "scaled-float32": lambda: [
        *write_arrays(*change(lambda it: it / np.float32(255))),
        *("--scale", "255"),
    ],
}


@pytest.mark.parametrize("form", GOOD)
def test_every_form_gives_the_same_files(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.commands.sources.PART_COUNT", 7)  # several parts, one cut short
    dataset = run(*GOOD[form]())
    assert [(FOLDER / name).read_bytes() for name in NAMES] == [*map(idx.encode, ARRAYS)]
    assert dataset.class_names == ["0", "1", "2"]
    assert dataset.label_values == 0
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(NAMES)


EXPECTED_FILE = """\
# Converted from it.npz
title: runes
licence: 'unknown: ask whoever made it'
class_names:
- "0"
- "1"
- "2"
mirrors:
- data/converted/runes
train_images:
  name: train-images-idx3-ubyte
  raw_size: 23536
  raw_sha256: """


def test_what_is_written_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    run(*write_archive(*ARRAYS))
    assert DATASET.read_text().startswith(EXPECTED_FILE)
    assert capsys.readouterr().out.splitlines() == [
        "Converted from it.npz: 30 training images, 12 test images",
        "3 classes: 0, 1, 2",
        (
            "datasets/runes.yaml and four IDX files in data/converted/runes: written. "
            "The next command:"
        ),
        "dvc exp run -S dataset=runes",
    ]


def test_arrays_that_are_left_out_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    names = "x_train y_train x_test y_test x_val y_val"
    run(*write_archive(*ARRAYS, *TEST, names=names))
    assert capsys.readouterr().err == "WARNING: it.npz: left out x_val, y_val\n"


def test_options_are_what_the_dataset_file_says() -> None:
    words = [
        "--title",
        "Runes: old",
        "--licence",
        "my own; CC BY 4.0",
        "--class-names",
        "fe,ur,1e3",
    ]
    dataset = run(*write_archive(*ARRAYS), *words, "--folder", "runes")
    assert dataset.title == "Runes: old"
    assert dataset.licence == "my own; CC BY 4.0"
    assert dataset.class_names == ["fe", "ur", "1e3"]
    assert dataset.mirrors == ["runes"]
    assert len(read_arrays(Path("runes"))) == 4
    assert not FOLDER.exists()


def test_test_images_that_are_training_images_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = np.append(TEST[1], TRAIN[1][:3])
    run(*write_arrays(*TRAIN, np.append(TEST[0], TRAIN[0][:3], axis=0), labels))
    said = "WARNING: 3 of 15 test images are training images, too: the test will flatter the model"
    assert capsys.readouterr().err == said + "\n"


def test_transpose_is_said_in_the_dataset_file() -> None:
    assert run(*write_archive(*ARRAYS), "--transpose").transpose
    assert not run(*write_archive(*ARRAYS), "--replace").transpose


# Labels


@pytest.mark.parametrize(
    ("values", "dtype", "label_values"),
    [
        ((1, 2, 3), np.uint8, 1),
        ((2, 5, 7), np.uint8, [2, 5, 7]),
        ((0, 1, 3), np.uint8, [0, 1, 3]),
        ((-1, 0, 1), np.int32, -1),
        ((254, 255, 256), np.int32, 254),
        ((0, 2**31 - 1, 5), np.int32, [0, 5, 2**31 - 1]),
    ],
)
def test_integer_labels_stay_what_they_are(
    values: tuple[int, ...], dtype: type, label_values: object
) -> None:
    arrays = change(labels=lambda labels: np.array(values)[labels])
    dataset = run(*write_arrays(*arrays))
    labels = read_arrays()[1]
    assert labels.dtype == dtype
    assert labels.tolist() == arrays[1].tolist()
    assert dataset.label_values == label_values
    assert dataset.class_names == [str(value) for value in sorted(values)]


def test_texts_are_classes_in_alphabetical_order(capsys: pytest.CaptureFixture[str]) -> None:
    names = np.array(["ür", "NA", "07"])  # a word, what pandas takes for nothing, a number
    write_table("train.csv", TRAIN[0], names[TRAIN[1]])
    write_table("test.csv", TEST[0], names[TEST[1]])
    dataset = run("train.csv", "test.csv")
    assert dataset.class_names == ["07", "NA", "ür"]
    assert dataset.label_values == 0
    labels = read_arrays()[1]
    assert labels.dtype == np.uint8
    assert np.array(dataset.class_names)[labels].tolist() == names[TRAIN[1]].tolist()
    assert "3 classes: 07, NA, ür: the texts of the labels, sorted\n" in capsys.readouterr().out


@pytest.mark.parametrize("names", [["yes", "no", "~"], ["0x1F", "0o17", "1_0"], ["à", "#", "- b"]])
def test_class_names_are_texts_in_any_yaml(names: list[str]) -> None:
    assert run(*write_archive(*ARRAYS), "--class-names", ",".join(names)).class_names == names


# One table


def write_one() -> list[str]:
    return [write_table("train.csv", *TRAIN), "--test-fraction", "0.2"]


@pytest.mark.parametrize("seed", ["0", "1", "2"])  # one alone may have the counts by chance
def test_test_images_of_one_table_are_stratified(seed: str) -> None:
    run(*write_one(), "--seed", seed)
    images, labels, test_images, test_labels = read_arrays()
    assert np.bincount(labels).tolist() == [8, 8, 8]
    assert np.bincount(test_labels).tolist() == [2, 2, 2]
    joined = [*map(bytes, images), *map(bytes, test_images)]
    pairs = dict(zip(joined, [*labels, *test_labels], strict=True))
    assert pairs == dict(zip(map(bytes, TRAIN[0]), TRAIN[1], strict=True))
    first = f"# Converted from train.csv; 0.2 of it are the test images, seed {seed}\n"
    assert DATASET.read_text().startswith(first)


def test_seed_chooses_the_test_images() -> None:
    chosen = []
    for seed in ("0", "0", "1"):
        run(*write_one(), "--seed", seed, "--replace")
        chosen.append(read_arrays()[2].tobytes())
    assert chosen[0] == chosen[1] != chosen[2]


# Refusals


def spoil(value: float, dtype: Any = np.float64) -> tuple[Any, ...]:
    """Return the four arrays with one other pixel in training image 17."""
    images = TRAIN[0].astype(dtype)
    images[17, 3, 4] = value
    return images, *ARRAYS[1:]


def edit_table(edit: Callable[[str], str]) -> list[str]:
    paths = write_tables()
    path = Path(paths[0])
    path.write_text(edit(path.read_text()))
    return paths


def edit_row(old: str, new: str, count: int = 1) -> list[str]:
    """Return tables whose second line has another beginning or end."""
    return edit_table(lambda text: text.replace(old, new, count))


def write_kaggle_test() -> list[str]:
    paths = write_tables()
    pd.read_csv(paths[1]).drop(columns="label").to_csv(paths[1], index=False)
    return paths


def write_file(name: str, data: bytes) -> list[str]:
    Path(name).write_bytes(data)
    return [name]


def write_pickle() -> list[str]:
    np.savez("it.npz", x_train=np.array([{}], dtype=object), y_train=0, x_test=0, y_test=0)
    return ["it.npz"]


def pack(member: str, data: bytes) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr(member, data)
    return buffer.getvalue()


def shuffle_columns() -> list[str]:
    paths = write_tables()
    table = pd.read_csv(paths[0])
    table[["label", *reversed(COLUMNS[1:])]].to_csv(paths[0], index=False)
    return paths


FORMS = "one or two .csv (train, test), one .npz, or four .npy (train images, train labels, test "
IMAGES = "expected images as numbers (n, 28, 28), (n, 784) or (n, 28, 28, 1), received"
ONE_HOT = ": if they are one-hot, save labels.argmax(axis=1)"
BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    # Sources
    "no-file": (lambda: ["no.npz"], "no.npz: expected a file, received none"),
    "folder": (lambda: ["."], ".: expected a file, received none"),
    "three-arrays": (
        lambda: write_arrays(*ARRAYS)[:3],
        f"SOURCE: expected {FORMS}images, test labels), received 0.npy, 1.npy, 2.npy",
    ),
    "other-form": (lambda: write_file("it.mat", b"MATLAB"), f"SOURCE: expected {FORMS}"),
    "twice": (
        lambda: [*write_tables()[:1], "./train.csv"],
        "SOURCE: expected each file once, received train.csv, train.csv",
    ),
    "one-table": (
        lambda: write_tables()[:1],
        (
            "SOURCE: expected two tables, train and test, received only train.csv: "
            "--test-fraction 0.2 makes a fifth of it the test images"
        ),
    ),
    # Tables
    "kaggle-test": (
        write_kaggle_test,
        (
            "test.csv: expected a column 'label', received 784 columns without labels: those of "
            "Kaggle's test.csv are not public; convert train.csv alone, with --test-fraction 0.2"
        ),
    ),
    "no-header": (
        lambda: write_tables(header=False),
        (
            "train.csv: expected a header, received numbers in the first row: --label says which "
            "column has the labels, such as --label 0 for the first"
        ),
    ),
    "no-such-column": (
        lambda: [*write_tables(header=False), "--label", "785"],
        "train.csv: expected a header, received numbers in the first row",
    ),
    "other-label": (
        lambda: edit_row("label", "Label"),
        (
            "train.csv: expected a column 'label', received Label, pixel0, pixel1, pixel2, pixel3, "
            "pixel4, pixel5, pixel6, pixel7, pixel8, pixel9, pixel10 and 773 more: --label names "
            "it (did you mean 'Label'?)"
        ),
    ),
    "27x27": (
        lambda: [write_table("a.csv", TRAIN[0][:, 1:, 1:], TRAIN[1]), "--test-fraction", "0.2"],
        "a.csv: expected 'label' and 784 other columns, received 730 columns of 730 names: label",
    ),
    "column-twice": (
        lambda: edit_row("pixel6,", "pixel5,"),
        "train.csv: expected 'label' and 784 other columns, received 785 columns of 784 names",
    ),
    "columns-shuffled": (
        shuffle_columns,
        "train.csv: expected pixel columns in order, received pixel783, pixel782",
    ),
    "semicolons": (
        lambda: edit_table(lambda text: text.replace(",", ";")),
        "train.csv: expected a column 'label', received label;pixel0",
    ),
    "text-for-a-pixel": (
        lambda: edit_row(",255,", ",x,"),
        "train.csv: expected a CSV table, received could not convert string to float: 'x'",
    ),
    "empty-pixel": (
        lambda: edit_row(",255,", ",,"),
        "train.csv: expected integers 0-255, received nan in image 0",
    ),
    "cut-short": (
        lambda: edit_table(lambda text: text[:-9]),
        "train.csv: expected integers 0-255, received nan in image 29",
    ),
    "longer-row": (
        lambda: edit_table(lambda text: f"{text}0{',0' * 785}\n"),
        (
            "train.csv: expected a CSV table, received Error tokenizing data. C error: Expected "
            "785 fields in line 32, saw 786"
        ),
    ),
    "longer-rows": (
        lambda: edit_table(lambda text: text.replace("\n", ",0\n").replace(",0\n", "\n", 1)),
        "train.csv: expected a CSV table, received Length of header or names does not match",
    ),
    "no-label": (
        lambda: edit_table(lambda text: f"{text}{',0' * 784}\n"),
        "train.csv, labels: expected an integer of 32 bits or a text, received none for image 30",
    ),
    "no-rows": (
        lambda: edit_table(lambda text: text.partition("\n")[0] + "\n"),
        "train.csv: expected images, received none",
    ),
    "empty-file": (
        lambda: [*write_file("a.csv", b""), "--test-fraction", "0.2"],
        "a.csv: expected a CSV table, received No columns to parse from file",
    ),
    "packed": (
        lambda: [*write_file("a.csv", pack("a.csv", b"label")), "--test-fraction", "0.2"],
        "a.csv: expected a CSV table, received a zip archive (.zip or .npz)",
    ),
    # Archives and arrays
    "other-names": (
        lambda: write_archive(*ARRAYS, names="a b c d"),
        (
            "it.npz: expected x_train, y_train, x_test, y_test or train_images, train_labels, "
            "test_images, test_labels, received a, b, c, d"
        ),
    ),
    "pickle": (write_pickle, "it.npz: expected an .npz archive, received Object arrays cannot be"),
    "no-archive": (
        lambda: write_file("it.npz", b"<html>"),
        "it.npz: expected an .npz archive, received an HTML page",
    ),
    "empty-archive": (
        lambda: write_file("it.npz", b""),
        "it.npz: expected an .npz archive, received No data left in file",
    ),
    "archive-cut-short": (
        lambda: write_file("it.npz", Path(*write_archive(*ARRAYS)).read_bytes()[:5000]),
        "it.npz: expected an .npz archive, received ",
    ),
    "member-cut-short": (
        lambda: write_file("it.npz", cut_member()),
        "it.npz: expected an .npz archive, received ",
    ),
    "array-in-an-archive's-name": (
        lambda: write_file("it.npz", Path(write_arrays(*ARRAYS)[0]).read_bytes()),
        "it.npz: expected an .npz archive, received a .npy file",
    ),
    "archive-in-an-array's-name": (
        lambda: [
            *write_arrays(*ARRAYS)[:3],
            *write_file("4.npy", Path(*write_archive(*ARRAYS)).read_bytes()),
        ],
        "4.npy: expected a .npy file, received an .npz archive",
    ),
    "labels-first": (
        lambda: write_arrays(TRAIN[1], TRAIN[0], *TEST),
        f"0.npy: {IMAGES} uint8 (30,)",
    ),
    "32x32": (
        lambda: write_arrays(*change(lambda it: np.pad(it, ((0, 0), (2, 2), (2, 2))))),
        f"0.npy: {IMAGES} uint8 (30, 32, 32)",
    ),
    "colour": (
        lambda: write_archive(*change(lambda it: np.stack([it] * 3, axis=-1))),
        f"it.npz, x_train: {IMAGES} uint8 (30, 28, 28, 3)",
    ),
    "bool": (
        lambda: write_arrays(*change(lambda it: it > 128)),
        f"0.npy: {IMAGES} bool (30, 28, 28)",
    ),
    "no-images": (
        lambda: write_arrays(*TRAIN, TEST[0][:0], TEST[1][:0]),
        f"2.npy: {IMAGES} uint8 (0, 28, 28)",
    ),
    # Pixels
    "nan": (
        lambda: write_arrays(*spoil(np.nan)),
        "0.npy: expected integers 0-255, received nan in image 17",
    ),
    "infinity": (
        lambda: [*write_arrays(*spoil(np.inf)), "--scale", "1"],
        "0.npy: expected integers 0-255 after --scale 1, received inf in image 17",
    ),
    "256": (
        lambda: write_arrays(*spoil(256, np.int64)),
        "0.npy: expected integers 0-255, received 256 in image 17",
    ),
    "negative": (
        lambda: write_arrays(*spoil(-1, np.int16)),
        "0.npy: expected integers 0-255, received -1 in image 17",
    ),
    "between-integers": (
        lambda: write_arrays(*spoil(1.0001)),
        "0.npy: expected integers 0-255, received 1.0001 in image 17",
    ),
    "not-scaled": (
        lambda: write_arrays(*change(lambda it: it / 255)),
        "0.npy: expected integers 0-255, received ",
    ),
    "not-scaled-hint": (
        lambda: write_arrays(*spoil(0.5)),
        (
            "0.npy: expected integers 0-255, received 0.5 in image 17: --scale 255 takes those of "
            "0 to 1"
        ),
    ),
    "scaled-otherwise": (
        lambda: [*write_arrays(*change(lambda it: it / 256)), "--scale", "255"],
        "0.npy: expected integers 0-255 after --scale 255, received ",
    ),
    "scaled-twice": (
        lambda: [*write_arrays(*ARRAYS), "--scale", "255"],
        "0.npy: expected integers 0-255 after --scale 255, received ",
    ),
    "black-and-white": (
        lambda: write_arrays(*change(lambda it: it // 255)),
        (
            "0.npy: expected pixels 0-255, received 0 to 1: --scale 255 makes 255 of 1, --scale 1 "
            "keeps them"
        ),
    ),
    "constant": (
        lambda: write_arrays(*change(np.zeros_like)),
        "0.npy: expected pixels that differ, received a constant, 0",
    ),
    # Labels
    "count": (
        lambda: write_arrays(TRAIN[0], TRAIN[1][:-1], *TEST),
        "1.npy: expected integers or texts (30,), received uint8 (29,)",
    ),
    "one-hot": (
        lambda: write_arrays(*change(labels=lambda it: np.eye(3)[it])),
        f"1.npy: expected integers or texts (30,), received float64 (30, 3){ONE_HOT}",
    ),
    "bool-labels": (
        lambda: write_arrays(*change(labels=lambda it: it > 0)),
        "1.npy: expected integers or texts (30,), received bool (30,)",
    ),
    "float-labels": (
        lambda: write_arrays(*change(labels=lambda it: it + 0.5)),
        "1.npy: expected an integer of 32 bits or a text, received ",
    ),
    "long-labels": (
        lambda: write_arrays(*change(labels=lambda it: np.int64(it) + 2**31)),
        "1.npy: expected an integer of 32 bits or a text, received 21474836",
    ),
    "measurements": (
        lambda: [write_table("a.csv", TRAIN[0], TRAIN[1] + 0.5), "--test-fraction", "0.2"],
        "a.csv, labels: expected integers or names, received 0.5",
    ),
    "nan-among-labels": (
        lambda: write_arrays(*change(labels=lambda it: np.array(["nan", "1", "2"])[it])),
        "1.npy: expected integers or names, received nan",
    ),
    "one-class": (
        lambda: write_arrays(*change(labels=np.zeros_like)),
        "train labels: expected 2 to 256 classes, received 1: 0",
    ),
    "strange-test-label": (
        lambda: write_arrays(*TRAIN, TEST[0], TEST[1] + 1),
        "test labels: expected those of the training images, 0, 1, 2, received 3, too",
    ),
    "257-classes": (
        lambda: write_arrays(*MANY, *MANY),
        "train labels: expected 2 to 256 classes, received 257: 0, 1, 2, 3",
    ),
    # Training and test
    "same-images": (
        lambda: write_arrays(*TRAIN, TRAIN[0][:9], TRAIN[1][:9]),
        "test images: expected others than the training images, received no other",
    ),
    # Options
    "name": (
        lambda: [*write_archive(*ARRAYS), "--class-names", "a,b"],
        "--class-names: expected 3 names, of the labels 0, 1, 2, received 2: a, b",
    ),
    "names-alike": (
        lambda: [*write_archive(*ARRAYS), "--class-names", "a,b,a"],
        "runes: class_names: expected entries that differ, received ['a', 'b', 'a']",
    ),
    "fraction-of-an-archive": (
        lambda: [*write_archive(*ARRAYS), "--test-fraction", "0.2"],
        "--test-fraction: expected one .csv, received it.npz",
    ),
    "fraction-of-two-tables": (
        lambda: [*write_tables(), "--test-fraction", "0.2"],
        "--test-fraction: expected one .csv, received train.csv, test.csv",
    ),
    "fraction-nan": (
        lambda: [*write_tables()[:1], "--test-fraction", "nan"],
        "--test-fraction: expected between 0 and 1, received nan",
    ),
    "seed-of-an-archive": (
        lambda: [*write_archive(*ARRAYS), "--seed", "1"],
        "--seed: expected --test-fraction, whose choice it is of, received none",
    ),
    "label-of-an-archive": (
        lambda: [*write_archive(*ARRAYS), "--label", "digit"],
        "--label: expected a .csv, received it.npz",
    ),
    "fraction-of-too-few": (
        lambda: [*write_tables()[:1], "--test-fraction", "0.01"],
        "--test-fraction 0.01, --seed 0: The test_size = 1 should be greater or equal to the",
    ),
    "class-on-one-side": (
        lambda: [write_table("a.csv", TRAIN[0], RARE), "--test-fraction", "0.2"],
        (
            "--test-fraction 0.2: expected every class on both sides, received 2 classes in train "
            "and 1 in test"
        ),
    ),
    "scale": (
        lambda: [*write_archive(*ARRAYS), "--scale", "-1"],
        "--scale: expected a positive number, received -1.0",
    ),
    "folder-of-the-web": (
        lambda: [*write_archive(*ARRAYS), "--folder", "https://example.org"],
        "--folder: expected a local folder, received https:/example.org",
    ),
}


def cut_member() -> bytes:
    np.save(buffer := io.BytesIO(), TRAIN[0])
    with zipfile.ZipFile(whole := io.BytesIO(), "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", buffer.getvalue()[:5000])
    return whole.getvalue()


@pytest.mark.parametrize("case", BAD)
def test_what_would_be_a_guess_is_refused_in_a_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.commands.sources.PART_COUNT", 16)  # two parts
    write, message = BAD[case]
    arguments = write()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DigitsError) as raised:
        run(*arguments)
    line = str(raised.value)
    assert line.startswith(message)
    assert line.isprintable()
    assert raised.value.exit_status == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../runes", "", "a b", "-"])
def test_name_is_that_of_a_file(name: str) -> None:
    sources = write_archive(*ARRAYS)
    with pytest.raises(DigitsError, match=r"^NAME: expected letters, digits, - and _, received "):
        convert.main(parse(*sources, name=name))


# What is there already


def test_dataset_file_is_replaced_only_if_asked() -> None:
    sources = write_archive(*ARRAYS)
    run(*sources)
    before = DATASET.read_bytes()
    with pytest.raises(DigitsError, match=r"^datasets/runes\.yaml: expected no such file, rec"):
        run(*sources, "--title", "Other")
    assert DATASET.read_bytes() == before
    assert run(*sources, "--title", "Other", "--replace").title == "Other"


def test_folder_of_others_is_written_to_only_if_asked() -> None:
    sources = write_archive(*ARRAYS)
    run(*sources)
    DATASET.unlink()
    run(*sources)  # the same files are no others
    DATASET.unlink()
    (FOLDER / NAMES[1]).write_bytes(b"mine")
    (FOLDER / "notes.txt").write_bytes(b"mine")
    message = f"^{FOLDER}: expected an empty folder, received notes.txt, {NAMES[1]}: --replace "
    with pytest.raises(DigitsError, match=message):
        run(*sources)
    assert (FOLDER / NAMES[1]).read_bytes() == b"mine"
    assert not DATASET.exists()
    run(*sources, "--replace")
    assert [*map(np.ndarray.tolist, read_arrays())] == [*map(np.ndarray.tolist, ARRAYS)]
    assert (FOLDER / "notes.txt").read_bytes() == b"mine"


def test_failed_write_leaves_no_dataset_file() -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / NAMES[3]).mkdir()
    with pytest.raises(IsADirectoryError):
        run(*write_archive(*ARRAYS), "--replace")
    assert not DATASET.exists()


# To the end


@pytest.mark.parametrize("values", [(0, 1, 2), (7, 1, 300)])
def test_stages_take_what_was_converted(
    values: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project", dataset="runes"))
    monkeypatch.setattr("digits.data.raw_store.find_cache_dir", lambda: None)  # it starts DVC
    train, test = draw_images(150, 0, 3), draw_images(50, 1, 3)
    labels = [np.array(values)[it] for it in (train[1], test[1])]
    run(*write_archive(train[0], labels[0], test[0], labels[1]))
    fetch.main()
    decode.main()
    card = json.loads(Path("data/decoded/dataset.json").read_bytes())
    assert card["class_names"] == [str(value) for value in sorted(values)]
    assert card["image_counts"] == {"train": 120, "validation": 30, "test": 50}
    images = np.load("data/decoded/test/images.npy")
    assert np.array_equal(np.rint(images[..., 0] * 255), test[0])
    decoded = np.load("data/decoded/test/labels.npy")
    assert np.array_equal(np.array(sorted(values))[decoded], labels[1])
