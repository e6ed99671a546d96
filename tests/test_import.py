"""`import`: every form gives the same bytes, names pair, and what would be a guess is refused."""

import csv
import gzip
import io
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
from layouts import Contents
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
    """Write two tables; they come in the order of a shell, test before train."""
    return sorted(
        write_table(f"{name}{suffix}", *arrays, **options) for name, arrays in SPLITS.items()
    )


def edit_tables(edit: Callable[[str], str]) -> list[str]:
    paths = write_tables()
    for path in paths:
        Path(path).write_text(edit(Path(path).read_text()))
    return paths


def write_archive(*arrays: Any, names: Sequence[str] = KERAS) -> list[str]:
    np.savez("it.npz", allow_pickle=False, **dict(zip(names, arrays, strict=True)))
    return ["it.npz"]


def write_arrays(*arrays: Any, names: Sequence[str] = KERAS) -> list[str]:
    for name, array in zip(names, arrays, strict=True):
        np.save(f"{name}.npy", array)
    return sorted(f"{name}.npy" for name in names)


def change(
    images: Callable[[np.ndarray], Any] = np.copy, labels: Callable[[np.ndarray], Any] = np.copy
) -> tuple[Any, ...]:
    """Return the four arrays, changed."""
    return images(TRAIN[0]), labels(TRAIN[1]), images(TEST[0]), labels(TEST[1])


def for_each_split(save: Callable[[str, np.ndarray, np.ndarray], object]) -> list[str]:
    """Save both splits, and list the files in the order of a shell."""
    for name, (images, labels) in SPLITS.items():
        save(name, images, labels)
    return sorted(str(path) for path in Path().iterdir())


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


def write_idx(change: Callable[[Contents], Contents]) -> list[str]:
    files = {name: idx.encode(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
    write_files(layouts.clutter(change(files)), Path("raw/deep"))
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
    "tables-bz2-of-another-name": lambda: [
        str(Path(path).rename(f"{path}.csv")) for path in write_tables(".bz2")
    ],
    "tables-tsv": lambda: write_tables(".tsv", sep="\t"),
    "tables-semicolons": lambda: write_tables(sep=";"),
    "tables-quoted": lambda: write_tables(quotechar="'", quoting=csv.QUOTE_ALL),
    "tables-id": lambda: write_tables(index=True, index_label="id"),
    "tables-of-savetxt": lambda: [*for_each_split(write_text), "--label", "0"],
    "tables-index": lambda: write_tables(index=True),
    "tables-floats-marked": lambda: edit_tables(
        lambda text: "\ufeff" + text.replace("label", "Digit").replace("255", "255.0")
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
    "idx-and-the-same-packed": lambda: write_idx(lambda files: files | layouts.pack(files)),
    "emnist-matlab": write_emnist,
    "svhn-matlab": lambda: for_each_split(write_svhn),
    "hdf5": write_hdf5,
    "columns": lambda: write_arrays(*change(lambda images: images.reshape(-1, 784).T)),
    "channels-last": lambda: write_arrays(*change(lambda images: images[..., np.newaxis])),
    "equal-colours": lambda: write_arrays(*change(lambda images: np.stack([images] * 3, axis=-1))),
    "inverted": lambda: write_arrays(*change(lambda images: 255 - images)),
    "inverted-test-alone": lambda: write_arrays(*TRAIN, 255 - TEST[0], TEST[1]),
    "label-column": lambda: write_arrays(*change(labels=lambda labels: labels[:, np.newaxis])),
    "one-hot": lambda: write_arrays(*change(labels=lambda labels: np.eye(3)[labels])),
    "one-hot-tables": lambda: for_each_split(write_one_hot),
    "from-0-to-1": lambda: write_arrays(*change(lambda images: (images / 255).astype("f2"))),
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
    names = (*KERAS, "x_val", "y_val", "ids")
    run(*write_archive(*change(lambda images: 255 - images), *TEST, np.arange(3), names=names))
    text, said = DATASET.read_text(), capsys.readouterr()
    assert text.startswith('# Imported from it.npz\ntitle: "runes"\nlicence: "unknown: ask who')
    assert '\nclass_names: ["0", "1", "2"]\nmirrors: ["data/converted/runes"]\ntrain_i' in text
    assert said.out.splitlines() == [
        "it.npz, x_train: inverted, since its paper is bright",
        "it.npz, x_test: inverted, since its paper is bright",
        "Imported from it.npz: 30 training and 12 test images, pixels 0 to 255, ink bright",
        "3 classes, training and test images of each: 0: 10 + 4, 1: 10 + 4, 2: 10 + 4",
        f"{DATASET}: written; {FOLDER}/samples.png shows some of its images. The next command:",
        "dvc exp run -S dataset=runes",
    ]
    assert said.err == "WARNING: left out it.npz, x_val, it.npz, y_val, it.npz, ids\n"
    with Image.open(FOLDER / "samples.png") as drawn:  # the last image of the first class
        place = np.flatnonzero(TRAIN[1] == 0)[-1]
        cell = np.asarray(drawn)[4:60:2, drawn.width - 3 * 64 : drawn.width - 2 * 64 - 8 : 2]
        assert np.array_equal(cell, TRAIN[0][place])


def test_test_images_that_are_training_images_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = np.append(TEST[1], TRAIN[1][:3])
    run(*write_arrays(*TRAIN, np.append(TEST[0], TRAIN[0][:3], axis=0), labels))
    assert "WARNING: 3 of 15 test images are training images, too" in capsys.readouterr().err


@pytest.mark.parametrize("values", [(1, 2, 3), (2, 5, 7), (-1, 0, 1), (0, 2**31 - 1, 5)])
def test_integer_labels_stay_what_they_are(values: tuple[int, ...]) -> None:
    arrays = change(labels=lambda labels: np.array(values)[labels])
    dataset = run(*write_arrays(*arrays))
    assert read_arrays()[1].tolist() == arrays[1].tolist()
    assert dataset.labels == sorted(values)
    assert dataset.class_names == [str(value) for value in sorted(values)]


def test_texts_are_classes_in_order_numbers_first() -> None:
    names = np.array(["ür", "NA", "10"])  # a word, what pandas takes for nothing, a number
    write_table("train.csv", TRAIN[0], names[TRAIN[1]])
    spaced = [f"{name} " for name in names[TEST[1]]]
    dataset = run("train.csv", write_table("test.csv", TEST[0], spaced))
    assert dataset.class_names == ["10", "NA", "ür"]
    assert np.array(dataset.class_names)[read_arrays()[1]].tolist() == names[TRAIN[1]].tolist()


@pytest.mark.parametrize("header", ["none", "first image", "numbers"])
def test_label_is_the_end_that_varies_where_no_name_says_it(header: str) -> None:
    blank = {name: images.copy() for name, (images, _) in SPLITS.items()}
    for name, (_, labels) in SPLITS.items():  # MNIST's corners are
        blank[name][:, [0, 0, -1, -1], [0, -1, 0, -1]] = 0
        names = [str(number) for number in range(785)] if header == "numbers" else False
        path = write_table(f"{name}.csv", blank[name], labels, header=names)
        if header == "first image":
            pd.read_csv(path).to_csv(path, index=False)
    run("test.csv", "train.csv")
    assert np.array_equal(read_arrays()[0], blank["train"])
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


def spoil(value: float) -> list[str]:
    """Write the four arrays with one other pixel in training image 17."""
    images = TRAIN[0].astype(np.float64)
    images[17, 3, 4] = value
    return write_arrays(images, *ARRAYS[1:])


def write_file(name: str, data: bytes) -> list[str]:
    Path(name).write_bytes(data)
    return [name]


def write_pickle() -> list[str]:
    np.savez("it.npz", x_train=np.array([{}], dtype=object), y_train=0, x_test=0, y_test=0)
    return ["it.npz"]


def cut(paths: list[str], size: int) -> list[str]:
    Path(paths[0]).write_bytes(Path(paths[0]).read_bytes()[:size])
    return paths


SHAPES = "x_train.npy: expected images as numbers (n, 28, 28), (n, 784) or (n, 28, 28, 1), received"
COLUMNS = "expected 784 columns of pixels in order, received "
UNKNOWN = "expected a table (CSV, TSV, ARFF, Parquet), .npz"
NOT_IN = "x_train.npy: expected integers 0-255, or 0 to 1"
# How a message begins, and after ... what else it has.
BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "empty-folder": (lambda: ["."], "SOURCE: expected images and labels, their names...none"),
    "names-that-say-nothing": (lambda: write_arrays(*ARRAYS, names=["a", "b", "c", "d"]),
        "SOURCE: expected one array of images and one of labels, received a.npy...--test SOURCE"),
    "matlab-7.3": (lambda: write_file("it.mat", b"MATLAB 7.3 MAT-file, \0"), "it.mat: ...-v7"),
    "pickle-file": (lambda: write_file("mnist.pkl.gz", gzip.compress(pickle.dumps(ARRAYS))),
        f"mnist.pkl.gz: {UNKNOWN}...received a Python pickle"),
    "parquet-without-pyarrow": (lambda: write_file("train.parquet", b"PAR1\0\0PAR1"),
        "train.parquet: expected pyarrow to read a Parquet table, received none...pip install"),
    # Tables
    "no-header": (lambda: write_tables(header=False),
        "test.csv: expected a column 'label', received 0, 1, 2...--label names it"),
    "16x16": (lambda: [write_table("a.csv", TRAIN[0][:, :16, :16], TRAIN[1])],
        f"a.csv: {COLUMNS}256 of 256 names, pixel0...save each image as a picture"),
    "columns-shuffled": (
        lambda: edit_tables(lambda text: text.replace("pixel6,pixel7", "pixel7,pixel6")),
        f"test.csv: {COLUMNS}784 of 784 names"),
    "empty-pixel": (lambda: edit_tables(lambda text: text.replace(",255,", ",,", 1)),
        "test.csv: expected a whole .csv, received could not convert string to float"),
    "empty-table": (lambda: write_file("a.csv", b""), "a.csv: expected a column 'label'...none"),
    "json": (lambda: write_file("a.json", b'{"images": []}'), f"a.json: {UNKNOWN}...JSON text"),
    "no-such-column": (lambda: [*for_each_split(write_one_hot), "--label", "digit"],
        "test_labels.csv: expected a column 'digit', received 0, 1, 2"),
    "gzip-cut-short": (lambda: cut(write_tables(".csv.gz"), 900),
        "test.csv.gz: expected a whole file, gzip, received Compressed file ended"),
    # Arrays
    "pickle": (write_pickle, "it.npz: expected a whole file, a zip archive...allow_pickle"),
    "32x32": (lambda: write_arrays(*change(lambda x: np.resize(x, (len(x), 32, 32)))),
        f"{SHAPES} uint8 (30, 32, 32)...images[:, 2:30, 2:30]"),
    "colour": (lambda: write_archive(*change(lambda x: np.stack([x, x, 255 - x], axis=-1))),
        "it.npz, x_train: expected grey images, received colours (30, 28, 28, 3)"),
    "nan": (lambda: spoil(np.nan), f"{NOT_IN}, received nan in image 17"),
    "from-minus-1": (lambda: write_arrays(*change(lambda images: images / 127.5 - 1)),
        f"{NOT_IN}, received -...of -1 to 1, save (images + 1) / 2 first"),
    "divided-by-255-twice": (lambda: write_arrays(*change(lambda images: images / 255**2)),
        "x_train.npy: expected pixels that differ, received 0.0 to 0.0039"),
    # Labels
    "control-character": (
        lambda: write_arrays(*change(labels=lambda labels: np.array(["a\tb", "c", "d"])[labels])),
        "y_train.npy: expected integers of 32 bits or names, received 'a\\tb'"),
    "count": (lambda: write_arrays(TRAIN[0], TRAIN[1][:-1], *TEST),
        "x_train.npy: expected 29 images, as labels, received 30"),
    "measurements": (
        lambda: [write_table("a.csv", TRAIN[0], TRAIN[1] + 0.5), "--test-fraction", "0.2"],
        "a.csv, labels: expected integers of 32 bits or names, received 0.5"),
    "one-class": (lambda: write_arrays(*change(labels=np.zeros_like)),
        "train labels: expected 2 to 256 classes, received 1: 0"),
    "strange-test-label": (lambda: write_arrays(*TRAIN, TEST[0], TEST[1] + 1),
        "test labels: expected those of the training images, 0, 1, 2, received 3, too"),
    "fraction-of-two": (lambda: [*write_tables(), "--test-fraction", "0.2"],
        "--test-fraction: expected one set of images, received train and test"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_would_be_a_guess_is_refused_in_a_line(case: str, tmp_path: Path) -> None:
    write_sources, message = BAD[case]
    arguments = write_sources()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DigitsError) as raised:
        run(*arguments)
    line, (start, _, more) = str(raised.value), message.partition("...")
    assert line.startswith(start)
    assert more in line
    assert line.isprintable()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../runes", ""])
def test_name_is_that_of_a_file(name: str) -> None:
    with pytest.raises(DigitsError, match=r"^NAME: expected letters, digits, - and _, received "):
        call(name, *write_archive(*ARRAYS))


@pytest.mark.parametrize("path", [DATASET, FOLDER / NAMES[1], FOLDER / "samples.png"], ids=str)
def test_files_are_replaced_only_if_asked(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    (path.parent / "notes.txt").write_bytes(b"mine")
    with pytest.raises(DigitsError, match=rf"^{path}: expected no such file: --replace it"):
        run(*write_archive(*ARRAYS))
    assert path.read_bytes() == b"mine"
    run(*write_archive(*ARRAYS), "--replace")
    assert path.read_bytes() != b"mine"
    assert (path.parent / "notes.txt").read_bytes() == b"mine"


def test_failed_write_leaves_no_dataset_file() -> None:
    (FOLDER / NAMES[3]).mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        run(*write_archive(*ARRAYS), "--replace")
    assert not DATASET.exists()


@pytest.mark.parametrize("values", [(0, 1, 2), (7, 1, 300)])
def test_stages_take_what_was_imported(
    values: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project", dataset="runes"))
    monkeypatch.setattr("digits.data.raw_store.find_cache_dir", lambda: None)  # it starts DVC
    train, test = draw_images(150, 0, 3), draw_images(50, 1, 3)
    labels = [np.array(values)[indices] for indices in (train[1], test[1])]
    run(*write_archive(train[0], labels[0], test[0], labels[1]))
    fetch.main()
    decode.main()
    card = json.loads(Path("data/decoded/dataset.json").read_bytes())
    assert card["class_names"] == [str(value) for value in sorted(values)]
    images = np.load("data/decoded/test/images.npy")
    assert np.array_equal(np.rint(images[..., 0] * 255), test[0])
    decoded = np.load("data/decoded/test/labels.npy")
    assert np.array_equal(np.array(sorted(values))[decoded], labels[1])


# Pictures


def draw_glyph(digit: int, seed: int) -> np.ndarray:
    """Draw a digit as MNIST has it, uint8 (28, 28), no two alike."""
    noise = np.random.default_rng(seed).integers(0, 40, (28, 28))
    ink = np.rint(255 * centre(write(str(digit)))).astype(int)
    return np.where(ink > 0, (ink - noise).clip(0), 0).astype(np.uint8)


GLYPHS = [(digit, draw_glyph(digit, 10 * digit + seed)) for digit in range(3) for seed in range(6)]
EACH = [(number, *glyph, "test" if number % 6 > 3 else "train")
        for number, glyph in enumerate(GLYPHS)]  # fmt: skip


def save(path: str | Path, pixels: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_each(name: str, *, train: str = "train", test: str = "test", dark: bool = False) -> None:
    """Save six pictures of each digit, two of them to test: digit, number and split to a name."""
    for number, digit, pixels, split in EACH:
        place = name.format(d=digit, i=number, j=number % 6, s=train if split == "train" else test)
        save(f"p/{place}", 255 - pixels if dark else pixels)


def list_pictures(split: str) -> list[str]:
    return [f"p/{split}/{d}_{i:04}.png" for i, d, _, of in EACH if of == split]


def write_labels(path: str, row: str, *, split: str = "", header: str = "file,label\n") -> None:
    rows = [row.format(d=d, i=i, s=s) for i, d, _, s in EACH if split in (s, "")]
    Path(path).write_text(header + "\n".join(rows) + "\n")


def save_with_tables() -> None:
    save_each("{s}/{i}.png")
    for split in ("train", "test"):
        write_labels(f"p/{split}/labels.csv", "{i}.png,{d}", split=split)


def save_beside_a_table() -> None:
    save_each("images/{i}.png")
    write_labels("p/index.tsv", "images/{i}.png\t{s}\t{d}", header="path\tsplit\tdigit\n")


def save_beside_numbers() -> None:
    save_each("{s}/{i}.png")
    write_labels("p/labels.csv", "{i},{d}", header="")


def save_with_preview() -> None:
    save_each("{s}/{d}/{i}.png")
    save("p/train/preview.png", EACH[0][2])


def save_in_two_levels() -> None:
    save_each("{s}/{j}/{d}/{i}.png")
    write_labels("p/labels.csv", "{i}.png,{d}")


def save_of_one_name() -> None:
    """Save pictures of the same names in both folders; a table without a header tells them."""
    rows = []
    for split in SPLITS:
        of_split = [(digit, pixels) for _, digit, pixels, of in EACH if of == split]
        for number, (digit, pixels) in enumerate(of_split):
            save(f"p/{split}/{number}.png", pixels)
            rows.append(f"{split}/{number}.png,{digit}")
    Path("p/labels.csv").write_text("\n".join(rows))


def save_zip() -> None:
    save_each("{s}/{d}/{i}.png", train="training", test="testing")
    files = {str(path): path.read_bytes() for path in Path("p").rglob("*.png")}
    write_files(layouts.make_zip(layouts.clutter(files), "p.zip"), Path())


PICTURE_FORMS: dict[str, tuple[Callable[[], None], list[str]]] = {
    "training": (lambda: save_each("{s}/{d}/{i}.png", train="training", test="testing"), ["p"]),
    "dark": (lambda: save_each("{s}/{d}/{i}.png", train="Train", test="t10k", dark=True), ["p"]),
    "by-option": (
        lambda: save_each("{s}/{d}/{i}.png", train="a", test="b"),
        ["p/a", "--test", "p/b"],
    ),
    "zip": (save_zip, ["p.zip"]),
    "names": (lambda: save_each("{s}/{d}_{i:04}.png"), ["p"]),
    "names-by-option": (lambda: save_each("{s}/{j}_{d}.png"), ["p", "--label", "1"]),
    "files": (
        lambda: save_each("{s}/{d}_{i:04}.png"),
        [*list_pictures("train"), "--test", *list_pictures("test")],
    ),
    "splits-in-names": (lambda: save_each("{s}_{i:04}_{d}.png"), ["p"]),
    "splits-in-names-of-classes": (lambda: save_each("{d}/{i}_{s}.png"), ["p"]),
    "writers": (lambda: save_each("{s}/anna{j}/{d}/{i}.png"), ["p"]),
    "folders-twice": (lambda: save_each("{s}/{s}/{d}/{i}.png", train="trainingSet"), ["p"]),
    "preview-beside-classes": (save_with_preview, ["p"]),
    "tables": (save_with_tables, ["p"]),
    "table-of-two-levels": (save_in_two_levels, ["p", "--label", "label"]),
    "table-of-splits": (save_beside_a_table, ["p"]),
    "same-names-in-two-folders": (save_of_one_name, ["p"]),
    "table-of-numbers": (save_beside_numbers, ["p"]),
}


@pytest.mark.parametrize("form", PICTURE_FORMS)
def test_pictures_of_mnist_come_out_pixel_for_pixel(form: str) -> None:
    prepare, arguments = PICTURE_FORMS[form]
    prepare()
    dataset = run(*arguments)
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
    for path in Path("b").rglob("*.png"):
        path.rename(path.with_stem(f"b{path.stem}"))
    run("a/p", "b/p", "--replace")


def test_label_that_is_missing_is_no_class() -> None:
    with pytest.raises(DigitsError, match="received none"):
        flatten_labels(Named("train.parquet", np.array(["a", None], object), None))


def test_parquet_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pyarrow gives is given: it is no package of the project."""
    rows = []
    for digit, pixels in GLYPHS:
        inked = 255 - pixels if digit == 1 else pixels  # dark on light
        Image.fromarray(inked).save(buffer := io.BytesIO(), "png")
        rows.append({"image": {"bytes": buffer.getvalue(), "path": None}, "label": digit})
    tables = [pd.DataFrame(rows[0::2]), pd.DataFrame(rows[1::2])]
    monkeypatch.setattr(pd, "read_parquet", lambda *_, **__: tables.pop(0))
    names = [f"{split}-00000-of-00001.parquet" for split in ("test", "train")]
    for name in names:
        write_file(name, b"PAR1")
    run(*names)
    images, labels = read_arrays()[:2]
    assert labels.tolist() == [row["label"] for row in rows[1::2]]
    assert [*map(bytes, images)] == [bytes(pixels) for _, pixels in GLYPHS[1::2]]


def write_sheet(path: Path, *lines: str) -> None:
    ink = write(*lines)
    # No two digits of a page are the same, as no two are that a hand writes.
    noise = np.random.default_rng(list(str(path).encode())).normal(0, 0.02, ink.shape)
    save(path, (255 * photograph((ink + noise).clip(0, 1))).astype(np.uint8))


@pytest.fixture
def mine() -> None:
    """Write pictures in `mine`: a sheet and a single of each digit."""
    for digit in "347":
        write_sheet(Path("mine") / digit / "sheet.jpg", 3 * digit, 3 * digit)
        write_sheet(Path("mine") / digit / "deeper/single.png", digit)


def assert_looks_like_its_label(least: float) -> None:
    for image, label in zip(*read_arrays()[:2], strict=True):
        letter = centre(write(str(label))).ravel()
        assert np.corrcoef(image.ravel(), letter)[0, 1] > least


@pytest.mark.usefixtures("mine")
def test_sheets_and_singles_become_a_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    dataset = run("mine")
    assert dataset.class_names == ["3", "4", "7"]
    assert dataset.label_values == [3, 4, 7]
    assert_looks_like_its_label(0.85)
    assert "3: 6 + 1, 4: 6 + 1, 7: 6 + 1\n" in capsys.readouterr().out
    first = read_arrays()
    run("mine", "--replace")
    assert [*map(bytes, read_arrays())] == [*map(bytes, first)]


@pytest.mark.usefixtures("mine")
def test_bad_pictures_are_listed_and_left_out_only_if_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine/3/notes.txt").write_text("left out")
    Path("mine/3/cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    save("mine/4/blank.png", np.full((90, 90), 255, np.uint8))
    with pytest.raises(DigitsError, match="2 pictures cannot be read"):
        run("mine")
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[:2] for line in said] == [
        ["WARNING", " left out mine/3/notes.txt"],
        ["ERROR", " mine/3/cut.png"],
        ["ERROR", " mine/4/blank.png"],
    ]
    assert not Path("data").exists()
    run("mine", "--skip-bad")
    assert len(read_arrays()[0]) == 18


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


def save_one_of_each() -> None:
    for digit in (0, 1):
        save(f"p/{digit}/a.png", draw_glyph(digit, 0))


def save_without_a_row() -> None:
    save_with_tables()
    save("p/train/77.png", draw_glyph(1, 99))


def save_without_the_first_row() -> None:
    """Save a table without a header; no number of a column is a picture's name or label."""
    save_beside_numbers()
    path = Path("p/labels.csv")
    path.write_text(path.read_text().partition("\n")[2])


def save_in_other_letters() -> None:
    save_each("{d}/{i}.png")
    Path("p/1").rename("p/\udce9")  # as Latin-1 has it, in a file system in UTF-8


def save_beside_another_opinion() -> None:
    save_each("{d}/{i}.png")
    write_labels("p/predictions.csv", "{i}.png,0", header="file,predicted\n")


BAD_PICTURES: dict[str, tuple[Callable[[], None], str]] = {
    "one-of-each": (save_one_of_each, "0: expected two images or more, one to train and one to"),
    "names-unclear": (
        lambda: save_each("{d}_{j}.png"),
        "p/0_0.png: expected labels by a folder for each class, in a labels.csv, or",
    ),
    "writers-numbers": (
        lambda: save_each("w{d}_{i:04}.png"),
        "p/w0_0000.png: expected labels by a folder for each class, in a labels.csv, or",
    ),
    "no-row": (save_without_a_row, "p/train/77.png: expected a row of its own in p/test/labels"),
    "no-first-row": (save_without_the_first_row, "p/train/0.png: expected a row of its own"),
    "two-opinions": (
        save_beside_another_opinion,
        "p/1/10.png: expected one label, received 1 by its folder, 0 by p/predictions.csv",
    ),
    "folders-or-names": (
        lambda: save_each("{s}/{d}_{i:04}.png", train="batch1", test="batch2"),
        "p/batch1/0_0000.png: expected labels by a folder for each class",
    ),
    "two-levels": (
        lambda: save_each("{j}/{d}/{i}.png"),
        "SOURCE: expected one level of folders for classes, received 0, 1, 2, 3, 4, 5 and of 0, 1",
    ),
    "latin-1": (save_in_other_letters, "runes: expected names in UTF-8, received "),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_pictures_of_unclear_labels_are_refused(case: str) -> None:
    prepare, message = BAD_PICTURES[case]
    prepare()
    with pytest.raises(DigitsError) as raised:
        run("p")
    assert str(raised.value).startswith(message)
    assert not Path("data").exists()
