"""`import`: every form gives the same bytes, names pair, and what would be a guess is refused."""

import csv
import gzip
import io
import itertools
import json
import pickle
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import layouts
import numpy as np
import pandas as pd
import pytest
import scipy.io
from conftest import draw_images
from layouts import write as write_files
from PIL import Image, ImageOps
from test_segmentation import photograph, write
from test_stages import make_project

from digits.commands.import_data import command
from digits.commands.import_data.conversion import flatten_labels
from digits.commands.import_data.pairing import Named
from digits.commands.import_data.writing import FILE_NAMES
from digits.data import idx
from digits.data.datasets import Dataset, load_dataset
from digits.errors import DigitsError
from digits.imaging.normalization import centre
from pipeline import decode, fetch

TRAIN, TEST = draw_images(30, 0, 3), draw_images(12, 1, 3)
SPLITS = {"train": TRAIN, "test": TEST}
ARRAYS = (*TRAIN, *TEST)
KERAS = ("x_train", "y_train", "x_test", "y_test")
NAMES = tuple(FILE_NAMES.values())
FOLDER = Path("data/converted/runes")
DATASET = Path("datasets/runes.yaml")
# Pictures: six of each digit, by number.
ALL = range(18)
TO_TRAIN = [number for number in ALL if number % 6 < 4]


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin in an empty folder; read two parts of a table where one would do."""
    monkeypatch.chdir(tmp_path)
    for module in ("data.splits", "commands.import_data.tables"):
        monkeypatch.setattr(f"digits.{module}.BLOCK", 16)


def call(*arguments: object) -> None:
    parser = ArgumentParser()
    command.add_arguments(parser)
    command.main(parser.parse_args([str(argument) for argument in arguments]))


def run(*arguments: object) -> Dataset:
    call("runes", *arguments)
    return load_dataset("runes")


def read_arrays() -> list[np.ndarray]:
    return [idx.decode((FOLDER / name).read_bytes()) for name in NAMES]


# Arrays and tables


def write_table(path: str, images: np.ndarray, labels: Any = None, **options: Any) -> str:
    table = pd.DataFrame(images.reshape(len(images), -1)).add_prefix("pixel")
    if labels is not None:
        table.insert(0, "label", labels)
    table.to_csv(path, **{"index": False, **options})
    return path


def write_tables(suffix: str = ".csv", **options: Any) -> list[str]:
    return for_each_split(lambda name, x, y: write_table(f"{name}{suffix}", x, y, **options))


def edit_tables(changes: dict[str, str], **options: Any) -> list[str]:
    paths = write_tables(**options)
    for path, (before, after) in itertools.product(paths, changes.items()):
        Path(path).write_text(Path(path).read_text().replace(before, after))
    return paths


def write_arrays(*arrays: Any, names: Sequence[str] = KERAS) -> list[str]:
    for name, array in zip(names, arrays, strict=True):
        np.save(f"{name}.npy", array)
    return sorted(f"{name}.npy" for name in names)


def write_changed(
    images: Callable[[np.ndarray], Any] = np.copy, labels: Callable[[np.ndarray], Any] = np.copy
) -> list[str]:
    """Write the four arrays, changed."""
    return write_arrays(images(TRAIN[0]), labels(TRAIN[1]), images(TEST[0]), labels(TEST[1]))


def list_files(folder: str) -> list[str]:
    """List the files in the order of a shell."""
    return sorted(str(path) for path in Path(folder).iterdir())


def for_each_split(save: Callable[[str, np.ndarray, np.ndarray], object]) -> list[str]:
    for name, (images, labels) in SPLITS.items():
        save(name, images, labels)
    return list_files(".")


def write_text(name: str, images: np.ndarray, labels: np.ndarray) -> None:
    np.savetxt(f"{name}.txt", np.column_stack([labels, images.reshape(-1, 784)]))


def write_table_parts(name: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images and labels apart."""
    write_table(f"{name}_images.csv", images)
    rows = {"Id": np.arange(len(labels)), "Label": labels}
    pd.DataFrame(rows).to_csv(f"{name}_labels.csv", index=False)


def write_one_hot(name: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Write labels of which pandas took the first for a header."""
    np.save(f"{name}_images.npy", images)
    table = pd.DataFrame(np.eye(3, dtype=int)[labels]).to_csv(index=False, header=False)
    pd.read_csv(io.StringIO(table)).to_csv(f"{name}_labels.csv", index=False)


def write_kmnist(name: str, images: np.ndarray, labels: np.ndarray) -> None:
    np.savez_compressed(f"kmnist-{name}-imgs.npz", images)
    np.savez_compressed(f"kmnist-{name}-labels.npz", labels)


def write_emnist() -> list[str]:
    splits = {
        name: {
            "images": arrays[0].swapaxes(1, 2).reshape(-1, 784),  # MATLAB's order
            "labels": arrays[1][:, None],
            "writers": arrays[1] + 7,
        }
        for name, arrays in SPLITS.items()
    }
    scipy.io.savemat("emnist.mat", {"dataset": {**splits, "mapping": np.arange(6).reshape(3, 2)}})
    return ["emnist.mat"]


def write_svhn(name: str, images: np.ndarray, labels: np.ndarray) -> None:
    scipy.io.savemat(f"{name}_28x28.mat", {"X": np.moveaxis(images, 0, -1), "y": labels})


def write_hdf5() -> list[str]:
    with h5py.File("usps.h5", "w") as file:
        for name, (images, labels) in SPLITS.items():
            file[f"{name}/data"] = images.reshape(-1, 784) / np.float32(255)
            file[f"{name}/target"] = labels
        file["notes"] = h5py.Empty("f")
    return ["usps.h5"]


def write_arff(name: str, images: np.ndarray, labels: np.ndarray) -> None:
    columns = [f"@ATTRIBUTE pixel{number} real" for number in range(784)]
    header = ["% of OpenML", "", "@RELATION 'a b'", *columns, "@ATTRIBUTE class {0,1,2}", "@DATA"]
    rows = zip(images.reshape(-1, 784).tolist(), labels, strict=True)
    lines = [*header, *(f"{','.join(map(str, row))},'{label}'" for row, label in rows)]
    Path(f"{name}.arff").write_text("\n".join(lines) + "\n")


def write_idx_and_the_same_packed() -> list[str]:
    files = {name: idx.encode(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
    write_files(layouts.clutter(files | layouts.pack(files)), Path("raw/deep"))
    return ["raw"]


def write_zip(paths: list[str]) -> list[str]:
    """Write a zip of zips of a file each, as browsers and sites pack them."""
    files = [layouts.clutter({path: Path(path).read_bytes()}) for path in paths]
    zips = [layouts.make_zip(file, f"{number}.zip") for number, file in enumerate(files)]
    write_files(layouts.make_zip(zips[0] | zips[1], "mnist.zip"), Path())
    return ["mnist.zip"]


GOOD: dict[str, Callable[[], list[str]]] = {
    "tables-gzip": lambda: write_tables(".csv.gz"),
    "tables-zip": lambda: write_tables(".csv.zip"),
    "tables-bz2-of-another-name": lambda: write_tables(compression="bz2"),
    "tables-tsv": lambda: write_tables(".tsv", sep="\t"),
    "tables-semicolons": lambda: write_tables(sep=";"),
    "tables-quoted": lambda: write_tables(quotechar="'", quoting=csv.QUOTE_ALL),
    "tables-id": lambda: write_tables(index=True, index_label="id"),
    "tables-of-savetxt": lambda: [*for_each_split(write_text), "--label", "0"],
    "tables-index": lambda: write_tables(index=True),
    "tables-floats-marked": lambda: edit_tables(
        {"label": "Digit", "255": "255.0"}, encoding="utf-8-sig"
    ),
    "tables-apart": lambda: for_each_split(write_table_parts),
    "tables-in-zips": lambda: write_zip(write_tables()),
    "arff": lambda: for_each_split(write_arff),
    "arrays-of-kmnist": lambda: for_each_split(write_kmnist),
    "arrays": lambda: write_arrays(*ARRAYS),
    "arrays-by-option": lambda: [
        *write_arrays(*ARRAYS, names=["b", "a", "d", "c"])[:2],
        *("--test", "c.npy", "d.npy"),
    ],
    "two-archives": lambda: for_each_split(lambda name, x, y: np.savez(f"{name}.npz", X=x, y=y)),
    "idx-and-the-same-packed": write_idx_and_the_same_packed,
    "emnist-matlab": write_emnist,
    "svhn-matlab": lambda: for_each_split(write_svhn),
    "hdf5": write_hdf5,
    "columns": lambda: write_changed(lambda images: images.reshape(-1, 784).T),
    "channels-last": lambda: write_changed(lambda images: images[..., np.newaxis]),
    "equal-colours": lambda: write_changed(lambda images: np.stack([images] * 3, axis=-1)),
    "inverted": lambda: write_changed(lambda images: 255 - images),
    "inverted-test-alone": lambda: write_arrays(*TRAIN, 255 - TEST[0], TEST[1]),
    "label-column": lambda: write_changed(labels=lambda labels: labels[:, np.newaxis]),
    "one-hot": lambda: write_changed(labels=lambda labels: np.eye(3)[labels]),
    "one-hot-tables": lambda: for_each_split(write_one_hot),
    "from-0-to-1": lambda: write_changed(lambda images: (images / 255).astype("f2")),
}


@pytest.mark.parametrize("form", GOOD)
def test_every_form_gives_the_same_files(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = run(*GOOD[form]())
    for name, array in zip(NAMES, ARRAYS, strict=True):
        assert (FOLDER / name).read_bytes() == idx.encode(array), name
    assert dataset.class_names == ["0", "1", "2"]
    assert dataset.label_values == 0
    assert ("inverted" in capsys.readouterr().out) == ("inverted" in form)


def test_what_is_written_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = (np.append(TEST[part], TRAIN[part][:3], axis=0) for part in (0, 1))
    arrays = (*TRAIN, images, labels, *TEST)
    names = (*KERAS, "x_val", "y_val")
    np.savez("it.npz", allow_pickle=False, **dict(zip(names, arrays, strict=True)))
    run("it.npz")
    text, said = DATASET.read_text(), capsys.readouterr()
    assert text.startswith("# Imported from it.npz\n")
    for line in ('licence: "unknown: ask who', f'mirrors: ["{FOLDER}"]', 'class_names: ["0", "1",'):
        assert f"\n{line}" in text
    assert "30 training and 15 test images, pixels 0 to 255, ink bright" in said.out
    assert f": 0: 10 + {(labels == 0).sum()}, 1: 10 + " in said.out
    assert said.out.endswith("\ndvc exp run -S dataset=runes\n")
    assert said.err.startswith("WARNING: left out it.npz, x_val, it.npz, y_val\n")
    assert "WARNING: 3 of 15 test images are training images, too" in said.err
    with Image.open(FOLDER / "samples.png") as drawn:  # the last image of the first class
        place = np.flatnonzero(TRAIN[1] == 0)[-1]
        cell = np.asarray(drawn)[4:60:2, drawn.width - 3 * 64 : drawn.width - 2 * 64 - 8 : 2]
        assert np.array_equal(cell, TRAIN[0][place])


@pytest.mark.parametrize("values", [(1, 2, 3), (7, 1, 300), (-1, 0, 1), (0, 2**31 - 1, 5)])
def test_integer_labels_stay_what_they_are_and_stages_take_them(
    values: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project", dataset="runes"))
    monkeypatch.setattr("digits.data.raw_store.find_cache_dir", lambda: None)  # it starts DVC
    dataset = run(*write_changed(labels=lambda labels: np.array(values)[labels]))
    assert read_arrays()[1].tolist() == np.array(values)[TRAIN[1]].tolist()
    assert dataset.labels == sorted(values)
    fetch.main()
    decode.main()
    card = json.loads(Path("data/decoded/dataset.json").read_bytes())
    assert card["class_names"] == [str(value) for value in sorted(values)]
    images = np.load("data/decoded/test/images.npy")
    assert np.array_equal(np.rint(images[..., 0] * 255), TEST[0])
    decoded = np.load("data/decoded/test/labels.npy")
    assert np.array_equal(np.array(sorted(values))[decoded], np.array(values)[TEST[1]])


def test_texts_are_classes_in_order_numbers_first() -> None:
    names = np.array(["ür", "NA", "10"])  # a word, what pandas takes for nothing, a number
    write_table("train.csv", TRAIN[0], names[TRAIN[1]])
    spaced = [f"{name} " for name in names[TEST[1]]]
    dataset = run("train.csv", write_table("test.csv", TEST[0], spaced))
    assert dataset.class_names == ["10", "NA", "ür"]
    assert np.array(dataset.class_names)[read_arrays()[1]].tolist() == names[TRAIN[1]].tolist()


def blank_corners(images: np.ndarray) -> np.ndarray:
    """Return images with blank corners, as MNIST's are."""
    blank = images.copy()
    blank[:, [0, 0, -1, -1], [0, -1, 0, -1]] = 0
    return blank


@pytest.mark.parametrize("header", ["none", "first image", "numbers"])
def test_label_is_the_end_that_varies_where_no_name_says_it(header: str) -> None:
    for name, (images, labels) in SPLITS.items():
        names = [str(number) for number in range(785)] if header == "numbers" else False
        path = write_table(f"{name}.csv", blank_corners(images), labels, header=names)
        if header == "first image":
            pd.read_csv(path).to_csv(path, index=False)
    run("test.csv", "train.csv")
    assert np.array_equal(read_arrays()[0], blank_corners(TRAIN[0]))
    assert np.array_equal(read_arrays()[3], TEST[1])


def test_test_images_of_one_set_are_stratified() -> None:
    run(*write_arrays(*TRAIN, names=["images", "labels"]))
    images, labels, test_images, test_labels = read_arrays()
    assert np.bincount(labels).tolist() == [8, 8, 8]
    assert np.bincount(test_labels).tolist() == [2, 2, 2]
    joined = [*map(bytes, images), *map(bytes, test_images)]
    pairs = dict(zip(joined, [*labels, *test_labels], strict=True))
    assert pairs == dict(zip(map(bytes, TRAIN[0]), TRAIN[1], strict=True))


# Refusals


def spoil(image: int, value: float) -> list[str]:
    """Write the four arrays with one other pixel in a training image."""
    images = TRAIN[0].astype(np.float64)
    images[image, 3, 4] = value
    return write_arrays(images, *ARRAYS[1:])


def write_file(name: str, data: bytes) -> list[str]:
    Path(name).write_bytes(data)
    return [name]


def write_cut_archive() -> list[str]:
    """Write an archive that ends in a picture, after its beginning."""
    save("7.png", np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8))
    files = {"7.png": Path("7.png").read_bytes()}
    return write_file("p.tar", layouts.make_tar(files, "p.tar")["p.tar"][:20_000])


# How a message begins, and after ... what else it has.
BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "empty-folder": (lambda: ["."], "SOURCE: expected images and labels...none"),
    "names-that-say-nothing": (lambda: write_arrays(*ARRAYS, names="abcd"), "SOURCE: ...--test"),
    "matlab-7.3": (lambda: write_file("it.mat", b"MATLAB 7.3 MAT-file, \0"), "it.mat: ...-v7"),
    "pickle-file": (lambda: write_file("mnist.pkl.gz", gzip.compress(pickle.dumps(ARRAYS))),
        "mnist.pkl.gz: ...received a Python pickle"),
    "no-pyarrow": (lambda: write_file("a.parquet", b"PAR1"), "a.parquet: ...pip install pyarrow"),
    # Tables
    "no-header": (lambda: write_tables(header=False), "test.csv: expected a column...--label"),
    "index-without-header": (
        lambda: [write_table("a.csv", blank_corners(TRAIN[0]), TRAIN[1], header=False, index=True)],
        "a.csv: expected 784 columns...save a table without its index"),
    "16x16": (lambda: [write_table("a.csv", TRAIN[0][:, :16, :16], TRAIN[1])],
        "a.csv: expected 784 columns...save each image as a picture"),
    "columns-shuffled": (lambda: edit_tables({"pixel6,pixel7": "pixel7,pixel6"}),
        "test.csv: expected 784 columns of pixels in order"),
    "empty-pixel": (lambda: edit_tables({",255,": ",,"}), "test.csv: expected a whole .csv"),
    "no-such-column": (lambda: [*for_each_split(write_one_hot), "--label", "digit"],
        "test_labels.csv: expected a column 'digit', received 0, 1, 2"),
    "gzip-cut-short": (lambda: write_file("a.csv.gz", gzip.compress(b"0,1\n" * 99)[:-9]),
        "a.csv.gz: expected a whole file, gzip"),
    # Arrays
    "pickle": (lambda: write_arrays(np.array([{}]), *ARRAYS[1:]), "x_train.npy: ...allow_pickle"),
    "32x32": (lambda: write_changed(lambda x: np.resize(x, (len(x), 32, 32))),
        "x_train.npy: expected images...uint8 (30, 32, 32)...2:30, 2:30]"),
    "colour": (lambda: write_changed(lambda x: np.stack([x, x, 255 - x], axis=-1)),
        "x_train.npy: expected grey images"),
    "nan": (lambda: spoil(17, np.nan), "x_train.npy: expected integers...nan in image 17"),
    "from-minus-1": (lambda: write_changed(lambda images: images / 127.5 - 1),
        "x_train.npy: expected integers 0-255, or 0 to 1...save (images + 1) / 2"),
    "divided-by-255-twice": (lambda: write_changed(lambda images: images / 255**2),
        "x_train.npy: expected pixels that differ"),
    # Labels
    "control-character": (
        lambda: write_changed(labels=lambda labels: np.array(["a\tb", "c", "d"])[labels]),
        "y_train.npy: expected integers of 32 bits or names"),
    "count": (lambda: write_arrays(TRAIN[0], TRAIN[1][:-1], *TEST), "x_train.npy: expected 29"),
    "measurements": (
        lambda: [write_table("a.csv", TRAIN[0], TRAIN[1] + 0.5), "--test-fraction", "0.2"],
        "a.csv, labels: expected integers of 32 bits or names, received 0.5"),
    "one-class": (lambda: write_changed(labels=np.zeros_like), "train labels: expected 2 to 256"),
    "strange-test-label": (lambda: write_arrays(*TRAIN, TEST[0], TEST[1] + 1),
        "test labels: expected those of the training images, 0, 1, 2, received 3, too"),
    "fraction-of-two": (lambda: [*write_tables(), "--test-fraction", "0.2"],
        "--test-fraction: expected one set of images"),
    # Pictures
    "one-of-each": (lambda: save_each("{d}/a.png"), "0: expected two images or more"),
    "names-unclear": (lambda: save_each("{d}_{j}.png"), "p/0_0.png: expected labels by a folder"),
    "writers-numbers": (lambda: save_each("w{d}_{i:04}.png"), "p/w0_0000.png: expected labels by"),
    "no-row": (
        lambda: add_table(save_each("{s}/{i}.png"), "{s}/labels.csv", "{i}.png,{d}", told=ALL[1:]),
        "p/train/0.png: expected a row of its own in p/test/labels"),
    "no-row-of-test": (
        lambda: add_table(
            *(save_each("{s}/{k}.png"), "labels.csv", "{s}/{k}.png,{d}"), told=TO_TRAIN),
        "p/test/0.png: expected a row of its own"),
    "no-row-of-another-writer": (
        lambda: add_table(
            *(save_each("{s}/{k}.png", train="anna", test="ben"), "labels.csv", "anna/{k}.png,{d}"),
            told=TO_TRAIN),
        "p/ben/0.png: expected a row of its own"),
    "no-column": (
        lambda: add_table(
            save_each("{s}/{i}.png", "p", "--label", "class"), "labels.csv", "{i}.png,{d}"),
        "p/test/10.png: expected labels by a folder"),
    "archive-cut-off": (write_cut_archive, "p.tar/7.png: expected a whole file, a PNG image"),
    # A table without a header; no number of a column is a picture's name or label.
    "no-first-row": (
        lambda: add_table(save_each("{i}.png"), "labels.csv", "{i},{d}", "", told=ALL[1:]),
        "p/0.png: expected a row of its own"),
    "two-opinions": (
        lambda: add_table(save_each("{d}/{i}.png"), "a.csv", "{i}.png,0", "file,predicted\n"),
        "p/1/10.png: expected one label, received 1 by its folder, 0 by p/a.csv"),
    "folders-or-names": (lambda: save_each("{s}/{d}_{i:04}.png", train="batch1", test="batch2"),
        "p/batch1/0_0000.png: expected labels by a folder for each class"),
    "two-levels": (lambda: save_each("{j}/{d}/{i}.png"), "SOURCE: expected one level of folders"),
    "latin-1": (lambda: save_each("\udce9{d}/{i}.png"), "runes: expected names in UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_would_be_a_guess_is_refused_in_a_line(case: str, tmp_path: Path) -> None:
    write_sources, message = BAD[case]
    arguments = write_sources()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DigitsError) as raised:
        run(*arguments)
    line, (start, *others) = str(raised.value), message.split("...")
    assert line.startswith(start)
    assert all(words in line for words in others)
    assert line.isprintable()
    assert sorted(tmp_path.rglob("*")) == before


def test_name_is_that_of_a_file() -> None:
    with pytest.raises(DigitsError, match=r"^NAME: expected letters, digits, - and _, received "):
        call("../runes", *write_arrays(*ARRAYS))


@pytest.mark.parametrize("path", [DATASET, FOLDER / NAMES[1], FOLDER / "samples.png"], ids=str)
def test_files_are_replaced_only_if_asked(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    (path.parent / "notes.txt").write_bytes(b"mine")
    with pytest.raises(DigitsError, match=rf"^{path}: expected no such file: --replace it"):
        run(*write_arrays(*ARRAYS))
    assert path.read_bytes() == b"mine"
    run(*write_arrays(*ARRAYS), "--replace")
    assert path.read_bytes() != b"mine"
    assert (path.parent / "notes.txt").read_bytes() == b"mine"


# Pictures


def draw_glyph(number: int) -> np.ndarray:
    """Draw a digit as MNIST has it, uint8 (28, 28), six of each, no two alike."""
    noise = np.random.default_rng(number).integers(0, 40, (28, 28))
    ink = np.rint(255 * centre(write(str(number // 6)))).astype(int)
    return np.where(ink > 0, (ink - noise).clip(0), 0).astype(np.uint8)


EACH = [  # number, digit, pixels, split
    (number, number // 6, draw_glyph(number), "train" if number in TO_TRAIN else "test")
    for number in ALL
]


def save(path: str | Path, pixels: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def fill(text: str, number: int, train: str = "train", test: str = "test") -> str:
    """Put into a text a picture's digit, number, number of that digit, and folder.

    `k` is its number in the folder: the same in both for pictures of different digits.
    """
    _, digit, _, split = EACH[number]
    nth, folder = number % 6, train if split == "train" else test
    k = 4 * digit + nth if split == "train" else 2 * digit + nth - 4
    return text.format(d=digit, i=number, j=nth, k=k, s=folder)


def save_each(
    name: str, *arguments: str, train: str = "train", test: str = "test", dark: bool = False
) -> list[str]:
    """Save each picture under a name of its own; return what `import` is given."""
    for number, _, pixels, _ in EACH:
        save(f"p/{fill(name, number, train, test)}", 255 - pixels if dark else pixels)
    return [*(arguments or ["p"])]


def add_table(
    arguments: list[str],
    name: str,
    row: str,
    header: str = "file,label\n",
    told: Sequence[int] = ALL,
) -> list[str]:
    """Write a table of pictures, or one for each split."""
    tables: dict[str, str] = {}
    for number in told:
        path = fill(name, number)
        tables[path] = tables.get(path, header) + fill(row, number) + "\n"
    for path, text in tables.items():
        Path("p", path).write_text(text)
    return arguments


def save_with_preview() -> list[str]:
    save("p/train/preview.png", EACH[0][2])
    return save_each("{s}/{d}/{i}.png")


def save_files() -> list[str]:
    save_each("{s}/{d}_{i:04}.png")
    return [*list_files("p/train"), "--test", *list_files("p/test")]


def save_zip() -> list[str]:
    save_each("{s}/{d}/{i}.png", train="training", test="testing")
    files = {str(path): path.read_bytes() for path in Path("p").rglob("*.png")}
    write_files(layouts.make_zip(layouts.clutter(files), "p.zip"), Path())
    return ["p.zip"]


PICTURE_FORMS: dict[str, Callable[[], list[str]]] = {
    "training": lambda: save_each("{s}/{d}/{i}.png", train="training", test="testing"),
    "dark": lambda: save_each("{s}/{d}/{i}.png", train="Train", test="t10k", dark=True),
    "by-option": lambda: save_each("{s}/{d}/{i}.png", "p/a", "--test", "p/b", train="a", test="b"),
    "zip": save_zip,
    "names": lambda: save_each("{s}/{d}_{i:04}.png"),
    "names-by-option": lambda: save_each("{s}/{j}_{d}.png", "p", "--label", "1"),
    "files": save_files,
    "splits-in-names": lambda: save_each("{s}_{i:04}_{d}.png"),
    "splits-in-names-of-classes": lambda: save_each("{d}/{i}_{s}.png"),
    "writers": lambda: save_each("{s}/anna{j}/{d}/{i}.png"),
    "folders-twice": lambda: save_each("{s}/{s}/{d}/{i}.png", train="trainingSet"),
    "preview-beside-classes": save_with_preview,
    "folders-by-option": lambda: add_table(
        *(save_each("{s}/{d}/{i}.png", "p", "--label", "folder"), "a.csv", "{i}.png,0"),
        header="file,predicted\n",
    ),
    "tables-of-writers": lambda: add_table(
        save_each("{s}/w{d}/{j}.png"), "{s}/w{d}/labels.csv", "{j}.png,{d}"
    ),
    "tables": lambda: add_table(save_each("{s}/{i}.png"), "{s}/labels.csv", "{i}.png,{d}"),
    "table-of-two-levels": lambda: add_table(
        save_each("{s}/{j}/{d}/{i}.png", "p", "--label", "label"), "labels.csv", "{i}.png,{d}"
    ),
    "table-of-splits": lambda: add_table(
        *(save_each("images/{i}.png"), "index.tsv", "images/{i}.png\t{s}\t{d}"),
        header="path\tsplit\tdigit\n",
    ),
    "same-names-in-two-folders": lambda: add_table(
        save_each("{s}/{k}.png"), "labels.csv", "{s}/{k}.png,{d}", header=""
    ),
    "table-of-numbers": lambda: add_table(
        save_each("{s}/{i}.png"), "labels.csv", "{i},{d}", header=""
    ),
}


@pytest.mark.parametrize("form", PICTURE_FORMS)
def test_pictures_of_mnist_come_out_pixel_for_pixel(form: str) -> None:
    dataset = run(*PICTURE_FORMS[form]())
    assert dataset.class_names == ["0", "1", "2"]
    images, labels, test_images, test_labels = read_arrays()
    found = {"train": (labels, images), "test": (test_labels, test_images)}
    for split, (values, pixels) in found.items():
        expected = sorted((digit, bytes(glyph)) for _, digit, glyph, of in EACH if of == split)
        assert sorted(zip(values.tolist(), map(bytes, pixels), strict=True)) == expected


def test_folders_of_one_name_are_joined_but_not_beside_a_table() -> None:
    for number, digit, pixels, _ in EACH:
        for person in "ab":
            save(f"{person}/p/{digit}/{number}.png", pixels)
    run("a/p", "b/p")
    assert len(np.concatenate(read_arrays()[1::2])) == 2 * len(EACH)
    Path("b/p/labels.csv").write_text("0.png,1\n")
    with pytest.raises(DigitsError, match="expected names that differ, beside"):
        run("a/p", "b/p", "--replace")


def test_label_that_is_missing_is_no_class() -> None:
    with pytest.raises(DigitsError, match="received none"):
        flatten_labels(Named("train.parquet", np.array(["a", None], object), None))


def test_parquet_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pyarrow gives is given: it is no package of the project."""
    save_each("{i}.png")
    pictures = [{"bytes": Path(f"p/{number}.png").read_bytes()} for number in range(len(EACH))]
    table = pd.DataFrame({"image": pictures, "label": [digit for _, digit, _, _ in EACH]})
    tables = [table[0::2], table[1::2]]
    monkeypatch.setattr(pd, "read_parquet", lambda *_, **__: tables.pop(0))
    for split in ("test", "train"):
        write_file(f"{split}-00000-of-00001.parquet", b"PAR1")
    run(*sorted(str(path) for path in Path().glob("*.parquet")))
    images, labels = read_arrays()[:2]
    assert labels.tolist() == table["label"][1::2].tolist()
    assert [*map(bytes, images)] == [bytes(pixels) for _, _, pixels, _ in EACH[1::2]]


def write_sheet(path: Path, *lines: str) -> None:
    ink = write(*lines)
    # No two digits of a page are the same, as no two are that a hand writes.
    noise = np.random.default_rng(list(str(path).encode())).normal(0, 0.02, ink.shape)
    save(path, (255 * photograph((ink + noise).clip(0, 1))).astype(np.uint8))


def assert_looks_like_its_label(least: float) -> None:
    for image, label in zip(*read_arrays()[:2], strict=True):
        letter = centre(write(str(label))).ravel()
        assert np.corrcoef(image.ravel(), letter)[0, 1] > least


def test_sheets_and_singles_become_a_dataset_without_bad_pictures_if_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for digit in "347":
        write_sheet(Path("mine") / digit / "sheet.jpg", 3 * digit, 3 * digit)
        write_sheet(Path("mine") / digit / "deeper/single.png", digit)
    dataset = run("mine")
    assert dataset.class_names == ["3", "4", "7"]
    assert dataset.label_values == [3, 4, 7]
    assert_looks_like_its_label(0.85)
    assert "3: 6 + 1, 4: 6 + 1, 7: 6 + 1\n" in capsys.readouterr().out
    first = [*map(bytes, read_arrays())]
    Path("mine/3/notes.txt").write_text("left out")
    Path("mine/3/cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    save("mine/4/blank.png", np.full((90, 90), 255, np.uint8))
    with pytest.raises(DigitsError, match="2 pictures cannot be read"):
        run("mine", "--replace")
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[:2] for line in said] == [
        ["WARNING", " left out mine/3/notes.txt"],
        ["ERROR", " mine/3/cut.png"],
        ["ERROR", " mine/4/blank.png"],
    ]
    run("mine", "--replace", "--skip-bad")
    assert [*map(bytes, read_arrays())] == first


def put_in_a_corner(glyph: Image.Image) -> Image.Image:
    picture = Image.new("L", (28, 28))  # of MNIST's size
    picture.paste(glyph.resize((14, 14)), (1, 1))
    return picture


def crop(glyph: Image.Image) -> Image.Image:
    return glyph.crop(glyph.getbbox())  # most of the border is ink


@pytest.mark.parametrize(
    "change", [put_in_a_corner, crop, lambda glyph: ImageOps.invert(crop(glyph))]
)
def test_glyph_is_put_in_its_place(change: Callable[[Image.Image], Image.Image]) -> None:
    for number, digit, pixels, _ in EACH:
        save(f"p/{digit}/{number}.png", np.asarray(change(Image.fromarray(pixels))))
    run("p")
    assert_looks_like_its_label(0.65)
