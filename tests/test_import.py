"""`import`: every form gives the same bytes, names pair, and what would be a guess is refused."""

import gzip
import io
import json
import pickle
import tarfile
import zipfile
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from conftest import draw_images
from PIL import Image, ImageOps
from test_segmentation import photograph, write
from test_stages import make_project

from digits.commands.import_data import command
from digits.commands.import_data.dataset import FILE_NAMES
from digits.data import idx
from digits.data.datasets import Dataset, load_dataset
from digits.errors import DigitsError
from digits.imaging.normalization import centre
from pipeline import decode, fetch

TRAIN, TEST = draw_images(30, 0, 3), draw_images(12, 1, 3)
ARRAYS = (*TRAIN, *TEST)
KERAS = ("x_train", "y_train", "x_test", "y_test")
NAMES = tuple(FILE_NAMES.values())
FOLDER = Path("data/converted/runes")
DATASET = Path("datasets/runes.yaml")
RARE = (np.arange(30) > 28).astype(int)  # one of thirty


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, empty; two parts of a table are read where one would do."""
    monkeypatch.chdir(tmp_path)
    for module in ("tables", "pixels"):
        monkeypatch.setattr(f"digits.commands.import_data.{module}.PART_COUNT", 16)
    monkeypatch.setattr("digits.commands.import_data.entries.LARGEST_UNPACKED", 2**22)
    return tmp_path


def call(*arguments: object) -> None:
    parser = ArgumentParser()
    command.add_arguments(parser)
    command.main(parser.parse_args([str(it) for it in arguments]))


def run(*arguments: object) -> Dataset:
    call("runes", *arguments)
    return load_dataset("runes")


def read_arrays(folder: Path = FOLDER) -> list[np.ndarray]:
    return [idx.decode((folder / name).read_bytes()) for name in NAMES]


# Arrays and tables


def write_table(path: str, images: np.ndarray, labels: Any = None, **options: Any) -> str:
    table = pd.DataFrame(images.reshape(len(images), -1)).add_prefix("pixel")
    if labels is not None:
        table.insert(0, "label", labels)
    table.to_csv(path, **{"index": False, **options})
    return path


def write_tables(suffix: str = ".csv", **options: Any) -> list[str]:
    splits = (("train", TRAIN), ("test", TEST))
    # In the order of a shell, test before train.
    return [write_table(f"{name}{suffix}", *it, **options) for name, it in splits][::-1]


def edit_tables(edit: Callable[[str], str], suffix: str = ".csv", **options: Any) -> list[str]:
    paths = write_tables(suffix, **options)
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


def write_table_parts() -> list[str]:
    """Write four tables: images and labels apart."""
    for name, (images, labels) in {"train": TRAIN, "test": TEST}.items():
        write_table(f"{name}_images.csv", images)
        pd.DataFrame({"Id": np.arange(len(labels)), "Label": labels}).to_csv(
            f"{name}_labels.csv", index=False
        )
    return sorted(str(it) for it in Path().glob("*.csv"))


def write_kmnist() -> list[str]:
    parts = ("train-imgs", "train-labels", "test-imgs", "test-labels")
    for name, array in zip(parts, ARRAYS, strict=True):
        np.savez_compressed(f"kmnist-{name}.npz", array)
    return sorted(str(it) for it in Path().glob("kmnist*"))


def write_two_archives() -> list[str]:
    for name, (images, labels) in {"train": TRAIN, "test": TEST}.items():
        np.savez(f"{name}.npz", X=images, y=labels)
    return ["test.npz", "train.npz"]


def write_emnist() -> list[str]:
    splits = {
        name: {"images": it[0].reshape(-1, 784), "labels": it[1][:, None], "writers": it[1] + 7}
        for name, it in (("test", TEST), ("train", TRAIN))
    }
    scipy.io.savemat("emnist.mat", {"dataset": {**splits, "mapping": np.arange(6).reshape(3, 2)}})
    return ["emnist.mat"]


def write_matlab() -> list[str]:
    """Write as SVHN is: images last, in two files."""
    for name, (images, labels) in {"train": TRAIN, "test": TEST}.items():
        scipy.io.savemat(f"{name}_28x28.mat", {"X": np.moveaxis(images, 0, -1), "y": labels})
    return ["test_28x28.mat", "train_28x28.mat"]


def write_hdf5() -> list[str]:
    with h5py.File("usps.h5", "w") as file:
        for name, (images, labels) in {"train": TRAIN, "test": TEST}.items():
            file[f"{name}/data"] = images.reshape(-1, 784) / np.float32(255)
            file[f"{name}/target"] = labels
    return ["usps.h5", "--scale", "255"]


def write_arff() -> list[str]:
    for name, (images, labels) in {"train": TRAIN, "test": TEST}.items():
        rows = np.column_stack([images.reshape(-1, 784), labels]).tolist()
        columns = [f"@ATTRIBUTE pixel{it} real" for it in range(784)]
        header = [
            "% of OpenML",
            "",
            "@RELATION 'a b'",
            *columns,
            "@ATTRIBUTE class {0,1,2}",
            "@DATA",
        ]
        lines = [*header, *(",".join([*map(str, row[:-1]), f"'{row[-1]}'"]) for row in rows)]
        Path(f"{name}.arff").write_text("\n".join(lines) + "\n")
    return ["test.arff", "train.arff"]


def write_idx(*, packed: bool = False) -> list[str]:
    Path("raw/deep").mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, ARRAYS, strict=True):
        raw = idx.encode(array)
        Path(f"raw/deep/{name}{'.gz' * packed}").write_bytes(gzip.compress(raw) if packed else raw)
    for junk in (".DS_Store", "._x", "Thumbs.db", "desktop.ini", "__MACOSX/x.csv", "README.txt"):
        Path("raw", junk).parent.mkdir(parents=True, exist_ok=True)
        Path("raw", junk).write_bytes(b"junk, of others")
    return ["raw"]


def write_zip() -> list[str]:
    """Write a zip of tables, each in a zip of its own, as browsers and sites pack them."""
    with zipfile.ZipFile("mnist.zip", "w") as whole:
        for path in write_tables():
            with zipfile.ZipFile(buffer := io.BytesIO(), "w") as inner:
                inner.write(path)
                inner.writestr(f"__MACOSX/._{path}", b"junk")
            whole.writestr(f"{path}.zip", buffer.getvalue())
    return ["mnist.zip"]


def write_mangled() -> list[str]:
    """Write what pandas makes of a table without a header: the first image is the header."""
    for path in write_tables(header=False):
        pd.read_csv(path).to_csv(path, index=False)
    return ["test.csv", "train.csv"]


def write_bordered(images: np.ndarray) -> np.ndarray:
    """Leave the corners of images blank, as MNIST's are."""
    blank = images.copy()
    blank[:, [0, 0, -1, -1], [0, -1, 0, -1]] = 0
    return blank


GOOD: dict[str, Callable[[], list[str]]] = {
    "tables": write_tables,
    "tables-label-given": lambda: [*write_tables(header=False), "--label", "0"],
    "tables-gz": lambda: write_tables(".csv.gz"),
    "tables-zip": lambda: write_tables(".csv.zip"),
    "tables-bz2-of-another-name": lambda: [
        str(Path(it).rename(f"{it}.csv")) for it in write_tables(".bz2")
    ],
    "tables-tsv": lambda: write_tables(".tsv", sep="\t"),
    "tables-semicolon": lambda: write_tables(sep=";"),
    "tables-spaces": lambda: [*write_tables(".txt", sep=" ", header=False), "--label", "0"],
    "tables-index": lambda: write_tables(index=True),
    "tables-unnamed-index": lambda: edit_tables(lambda it: "Unnamed: 0" + it, index=True),
    "tables-quoted": lambda: write_tables(quotechar="'", quoting=1),
    "tables-floats-marked": lambda: edit_tables(
        lambda it: "\ufeff" + it.replace("label", "Digit").replace("255", "255.0")
    ),
    "tables-first-image-a-header": lambda: [*write_mangled(), "--label", "0"],
    "idx-twice": lambda: [*write_idx(packed=True), *write_idx()][:1],
    "tables-apart": write_table_parts,
    "tables-in-zips": write_zip,
    "arff": write_arff,
    "archive": lambda: write_archive(*ARRAYS),
    "archive-of-other-names": lambda: write_archive(
        *ARRAYS, names=("train_images", "train_labels", "test_images", "test_labels")
    ),
    "archive-camel": lambda: write_archive(*ARRAYS, names=("trainX", "trainY", "testX", "testY")),
    "archive-validation": lambda: write_archive(
        *ARRAYS, names=("X_train", "Y_train", "X_val", "Y_val")
    ),
    "arrays-of-kmnist": write_kmnist,
    "arrays": lambda: write_arrays(*ARRAYS),
    "arrays-by-option": lambda: [
        *write_arrays(*ARRAYS, names=["b", "a", "d", "c"])[:2],
        *("--test", "c.npy", "d.npy"),
    ],
    "two-archives": write_two_archives,
    "idx": write_idx,
    "idx-gz": lambda: write_idx(packed=True),
    "emnist-matlab": write_emnist,
    "svhn-matlab": write_matlab,
    "hdf5": write_hdf5,
    "rows": lambda: write_arrays(*change(lambda it: it.reshape(-1, 784))),
    "columns": lambda: write_arrays(*change(lambda it: it.reshape(-1, 784).T)),
    "channels-last": lambda: write_arrays(*change(lambda it: it[..., np.newaxis])),
    "channels-first": lambda: write_arrays(*change(lambda it: it[:, np.newaxis])),
    "equal-colours": lambda: write_arrays(*change(lambda it: np.stack([it] * 3, axis=-1))),
    "inverted": lambda: write_arrays(*change(lambda it: 255 - it)),
    "inverted-test-alone": lambda: write_arrays(*TRAIN, 255 - TEST[0], TEST[1]),
    "int64": lambda: write_arrays(*change(np.int64, np.int64)),
    "big-endian": lambda: write_arrays(*change(lambda it: it.astype(">i2"))),
    "floats": lambda: write_arrays(*change(np.asfortranarray, np.float32)),
    "label-column": lambda: write_arrays(*change(labels=lambda it: it[:, np.newaxis])),
    "label-texts": lambda: write_arrays(*change(labels=lambda it: it.astype("S"))),
    "one-hot": lambda: write_arrays(*change(labels=lambda it: np.eye(3)[it])),
    "scaled": lambda: [*write_arrays(*change(lambda it: it / 255)), "--scale", "255"],
    "scaled-tables": lambda: [
        write_table("b-train.csv", TRAIN[0] / np.float32(255), TRAIN[1]),
        write_table("a-test.csv", TEST[0] / np.float32(255), TEST[1]),
        *("--scale", "255"),
    ],
}


@pytest.mark.parametrize("form", GOOD)
def test_every_form_gives_the_same_files(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = run(*GOOD[form]())
    for name, array in zip(NAMES, ARRAYS, strict=True):
        assert (FOLDER / name).read_bytes() == idx.encode(array), name
    assert dataset.class_names == ["0", "1", "2"]
    assert dataset.label_values == 0
    assert sorted(it.name for it in FOLDER.iterdir()) == sorted([*NAMES, "samples.png"])
    assert ("inverted" in capsys.readouterr().out) == ("inverted" in form)


def test_what_is_written_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    run(*write_archive(*ARRAYS))
    text = DATASET.read_text()
    assert text.startswith('# Imported from it.npz\ntitle: "runes"\nlicence: "unknown: ask who')
    assert '\nclass_names: ["0", "1", "2"]\nmirrors: ["data/converted/runes"]\ntrain_i' in text
    assert capsys.readouterr().out.splitlines() == [
        "Imported from it.npz: 30 training and 12 test images, pixels 0 to 255, ink bright",
        "3 classes, training and test images of each: 0: 10 + 4, 1: 10 + 4, 2: 10 + 4",
        (
            "datasets/runes.yaml, and in data/converted/runes four IDX files and samples.png, some "
            "of the images: written. The next command:"
        ),
        "dvc exp run -S dataset=runes",
    ]
    with Image.open(FOLDER / "samples.png") as drawn:
        assert drawn.size[0] > 700


def test_inversion_and_what_is_left_out_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    names = (*KERAS, "x_val", "y_val", "ids")
    run(*write_archive(*change(lambda it: 255 - it), *TEST, np.arange(3), names=names))
    said = capsys.readouterr()
    assert "(inverted: paper was bright in it.npz, x_train, it.npz, x_test)" in said.out
    assert said.err == "WARNING: left out it.npz, x_val, it.npz, y_val, it.npz, ids\n"


def test_options_are_what_the_dataset_file_says() -> None:
    words = ("--title", "Runes: old", "--licence", "my own; CC BY 4.0", "--transpose")
    dataset = run(
        *write_archive(*ARRAYS), *words, "--class-names", "fe,0o17,1e3", "--folder", "runes"
    )
    assert (dataset.title, dataset.licence) == ("Runes: old", "my own; CC BY 4.0")
    assert dataset.class_names == ["fe", "0o17", "1e3"]
    assert dataset.transpose
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


@pytest.mark.parametrize(
    ("values", "dtype", "label_values"),
    [
        ((1, 2, 3), np.uint8, 1),
        ((2, 5, 7), np.uint8, [2, 5, 7]),
        ((-1, 0, 1), np.int32, -1),
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


def test_texts_are_classes_in_order_numbers_first() -> None:
    names = np.array(["ür", "NA", "10"])  # a word, what pandas takes for nothing, a number
    write_table("train.csv", TRAIN[0], names[TRAIN[1]])
    dataset = run("train.csv", write_table("test.csv", TEST[0], names[TEST[1]]))
    assert dataset.class_names == ["10", "NA", "ür"]
    assert dataset.label_values == 0
    labels = read_arrays()[1]
    assert np.array(dataset.class_names)[labels].tolist() == names[TRAIN[1]].tolist()


@pytest.mark.parametrize("mangled", [False, True])
def test_label_is_the_end_that_varies_where_there_is_no_header(*, mangled: bool) -> None:
    images = [write_bordered(it) for it in (TRAIN[0], TEST[0])]
    paths = [
        write_table("train.csv", images[0], TRAIN[1], header=False),
        write_table("test.csv", images[1], TEST[1], header=False),
    ]
    for path in paths if mangled else ():
        pd.read_csv(path).to_csv(path, index=False)
    run(*paths)
    assert np.array_equal(read_arrays()[0], images[0])
    assert np.array_equal(read_arrays()[3], TEST[1])


@pytest.mark.parametrize("seed", ["0", "1", "2"])  # one alone may have the counts by chance
def test_test_images_of_one_table_are_stratified(seed: str) -> None:
    run(write_table("train.csv", *TRAIN), "--test-fraction", "0.2", "--seed", seed)
    images, labels, test_images, test_labels = read_arrays()
    assert np.bincount(labels).tolist() == [8, 8, 8]
    assert np.bincount(test_labels).tolist() == [2, 2, 2]
    joined = [*map(bytes, images), *map(bytes, test_images)]
    pairs = dict(zip(joined, [*labels, *test_labels], strict=True))
    assert pairs == dict(zip(map(bytes, TRAIN[0]), TRAIN[1], strict=True))
    said = f"# Imported from train.csv; 0.2 of each class are the test images, seed {seed}\n"
    assert DATASET.read_text().startswith(said)


# Refusals


def spoil(value: float, dtype: Any = np.float64) -> tuple[Any, ...]:
    """Return the four arrays with one other pixel in training image 17."""
    images = TRAIN[0].astype(dtype)
    images[17, 3, 4] = value
    return images, *ARRAYS[1:]


def spoil_table(old: str, new: str) -> list[str]:
    paths = write_tables()
    text = Path("train.csv").read_text()
    Path("train.csv").write_text(text.replace(old, new, 1) if old else text + new)
    return paths


def write_file(name: str, data: bytes) -> list[str]:
    Path(name).write_bytes(data)
    return [name]


def write_pickle() -> list[str]:
    np.savez("it.npz", x_train=np.array([{}], dtype=object), y_train=0, x_test=0, y_test=0)
    return ["it.npz"]


def write_bomb() -> list[str]:
    with zipfile.ZipFile("it.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**23))
    return ["it.zip"]


def cut(paths: list[str], size: int) -> list[str]:
    Path(paths[0]).write_bytes(Path(paths[0]).read_bytes()[:size])
    return paths


def resize(side: int) -> list[str]:
    def change_size(images: np.ndarray) -> np.ndarray:
        return np.resize(images, (len(images), side, side))

    return write_arrays(*change(change_size))


FORMS = "expected a table (CSV, TSV, ARFF, Parquet), .npz, .npy, .mat, .h5, IDX, or a folder or an"
UNCLEAR = "SOURCE: expected images and labels, their names with train or test, received "
BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "no-file": (lambda: ["no.npz"], "no.npz: expected a file or a folder, received none"),
    "empty-folder": (lambda: ["."], UNCLEAR + "none"),
    "three-arrays": (
        lambda: write_arrays(*ARRAYS)[:3],
        (
            "SOURCE: expected one array of images and one of labels to train, received x_train.npy "
            "(30, 28, 28): the labels of Kaggle's test.csv are not public; import train.csv alone"
        ),
    ),
    "names-that-say-nothing": (
        lambda: write_arrays(*ARRAYS, names=["a", "b", "c", "d"]),
        (
            "SOURCE: expected one array of images and one of labels, received a.npy "
            "(30, 28, 28), b.npy (30,), c.npy (12, 28, 28), d.npy (12,): --test SOURCE... says "
            "which are the test files"
        ),
    ),
    "names-that-say-half": (
        lambda: [*write_tables()[:1], write_table("a.csv", *TRAIN)],
        UNCLEAR + "test.csv, images (12, 28, 28), test.csv, labels (12,), a.csv, images",
    ),
    "twice": (lambda: [*write_tables(), "./train.csv"], "SOURCE: expected each once, received"),
    "one-table": (
        lambda: write_tables()[1:],
        (
            "SOURCE: expected images to train and images to test, received one set: "
            "--test-fraction 0.2 makes a fifth of it the test images"
        ),
    ),
    "matlab-7.3": (
        lambda: write_file("it.mat", b"MATLAB 7.3 MAT-file, \0"),
        f"it.mat: {FORMS} archive of pictures, received a MATLAB 7.3 file: save it with -v7",
    ),
    "pickle-file": (
        lambda: write_file("mnist.pkl.gz", gzip.compress(pickle.dumps(ARRAYS))),
        f"mnist.pkl.gz: {FORMS} archive of pictures, received a Python pickle: what it holds",
    ),
    "page-of-the-web": (
        lambda: write_file("it.npz", b"<html>"),
        f"it.npz: {FORMS} archive of pictures, received an HTML page",
    ),
    "parquet-without-pyarrow": (
        lambda: write_file("train.parquet", b"PAR1\0\0PAR1"),
        (
            "train.parquet: expected pyarrow to read a Parquet table, received none: "
            "python -m pip install pyarrow"
        ),
    ),
    "bomb": (write_bomb, "it.zip: expected at most 4,194,304 bytes, received 8,388,608"),
    # Tables
    "kaggle-test": (
        lambda: [write_table("train.csv", *TRAIN), write_table("test.csv", TEST[0])],
        (
            "SOURCE: expected one array of images and one of labels to test, received test.csv, "
            "images (12, 28, 28): the labels of Kaggle's test.csv are not pub"
        ),
    ),
    "no-header": (
        lambda: write_tables(header=False),
        "test.csv: expected a column 'label', received 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and",
    ),
    "other-label": (
        lambda: [*write_tables(), "--label", "Label"],
        "test.csv: expected a column 'Label', received label, pixel0, pixel1",
    ),
    "16x16": (
        lambda: [write_table("a.csv", TRAIN[0][:, :16, :16], TRAIN[1])],
        "a.csv: expected 784 columns of pixels, received 256 of 256 names, pixel0, pixel1",
    ),
    "column-twice": (
        lambda: spoil_table("pixel6,", "pixel5,"),
        "train.csv: expected 784 columns of pixels, received 784 of 783 names",
    ),
    "columns-shuffled": (
        lambda: spoil_table("pixel6,pixel7", "pixel7,pixel6"),
        "train.csv: expected pixel columns in order, received pixel0, pixel1",
    ),
    "text-for-a-pixel": (
        lambda: spoil_table(",255,", ",x,"),
        "train.csv: expected a whole .csv, received could not convert string to float: 'x'",
    ),
    "empty-pixel": (
        lambda: spoil_table(",255,", ",,"),
        "train.csv: expected integers 0-255, received nan in image 0",
    ),
    "longer-row": (
        lambda: spoil_table("", f"0{',0' * 785}\n"),
        "train.csv: expected a whole .csv,",
    ),
    "longer-rows": (
        lambda: edit_tables(lambda it: it.replace("\n", ",0\n").replace(",0\n", "\n", 1)),
        "test.csv: expected a whole .csv, received Length of header or names does not match",
    ),
    "no-label": (
        lambda: spoil_table("", f"{',0' * 784}\n"),
        "train.csv, labels: expected an integer of 32 bits or a text, received none for image 30",
    ),
    "no-rows": (
        lambda: write_file("a.csv", b"label," + b",".join(b"p%d" % it for it in range(784))),
        "a.csv: expected images, received none",
    ),
    "empty-file": (lambda: write_file("a.csv", b""), "a.csv: expected a column 'label', received"),
    "gzip-cut-short": (
        lambda: cut(write_tables(".csv.gz"), 900),
        "test.csv.gz: expected a whole file, gzip, received Compressed file ended",
    ),
    # Arrays
    "pickle": (write_pickle, "it.npz: expected a whole file, a zip archive (.zip or .npz), receiv"),
    "archive-cut-short": (
        lambda: cut(write_archive(*ARRAYS), 5000),
        "it.npz: expected a whole file, a zip archive (.zip or .npz), received ",
    ),
    "hdf5-cut-short": (lambda: cut(write_hdf5(), 3000), "usps.h5: expected a whole file, an HDF5"),
    "matlab-cut-short": (lambda: cut(write_emnist(), 3000), "emnist.mat: expected a whole "),
    "idx-cut-short": (
        lambda: write_file("train-images", idx.encode(TRAIN[0])[:-1]),
        "train-images: expected a whole file, received IDX body of shape",
    ),
    "32x32": (
        lambda: resize(32),
        (
            "x_train.npy: expected images as numbers (n, 28, 28), (n, 784) or (n, 28, 28, 1), "
            "received uint8 (30, 32, 32): cut the padding off, images[:, 2:30, 2:30], if it is that"
        ),
    ),
    "16x16-array": (
        lambda: resize(16),
        (
            "x_train.npy: expected images as numbers (n, 28, 28), (n, 784) or (n, 28, 28, 1), "
            "received uint8 (30, 16, 16): save each image as a picture: those of any size are taken"
        ),
    ),
    "colour": (
        lambda: write_archive(*change(lambda it: np.stack([it, it, 255 - it], axis=-1))),
        "it.npz, x_train: expected grey images, received colours (30, 28, 28, 3): save each",
    ),
    "bool": (lambda: write_arrays(*change(lambda it: it > 128)), "x_train.npy: expected images as"),
    "no-images": (
        lambda: write_arrays(*TRAIN, TEST[0][:0], TEST[1][:0]),
        "x_test.npy: expected images as numbers",
    ),
    "nan": (
        lambda: write_arrays(*spoil(np.nan)),
        "x_train.npy: expected integers 0-255, received nan in image 17",
    ),
    "infinity": (
        lambda: [*write_arrays(*spoil(np.inf)), "--scale", "1"],
        "x_train.npy: expected integers 0-255 after --scale 1, received inf in image 17",
    ),
    "256": (
        lambda: write_arrays(*spoil(256, np.int64)),
        "x_train.npy: expected integers 0-255, received 256 in image 17",
    ),
    "not-scaled": (
        lambda: write_arrays(*change(lambda it: (it + 1) / 256)),
        "x_train.npy: expected integers 0-255, received 0.",
    ),
    "from-minus-1": (
        lambda: write_arrays(*change(lambda it: it / 127.5 - 1)),
        "x_train.npy: expected integers 0-255, received -",
    ),
    "scaled-twice": (
        lambda: [*write_arrays(*ARRAYS), "--scale", "255"],
        "x_train.npy: expected integers 0-255 after --scale 255, received ",
    ),
    "black-and-white": (
        lambda: write_arrays(*change(lambda it: it // 255)),
        "x_train.npy: expected pixels 0-255, received 0 to 1: --scale 255 makes 255 of 1, --scale",
    ),
    "constant": (
        lambda: write_arrays(*change(np.zeros_like)),
        "x_train.npy: expected pixels that differ, received a constant, 0",
    ),
    # Labels
    "count": (
        lambda: write_arrays(TRAIN[0], TRAIN[1][:-1], *TEST),
        "x_train.npy: expected 29 images, as labels, received 30",
    ),
    "two-columns": (
        lambda: write_arrays(*change(labels=lambda it: np.stack([it, it], axis=1))),
        "y_train.npy: expected integers or texts (n,), or one-hot (n, classes), received uint8 (30",
    ),
    "float-labels": (
        lambda: write_arrays(*change(labels=lambda it: it + 0.5)),
        "y_train.npy: expected an integer of 32 bits or a text, received ",
    ),
    "measurements": (
        lambda: [write_table("a.csv", TRAIN[0], TRAIN[1] + 0.5), "--test-fraction", "0.2"],
        "a.csv, labels: expected integers or names, received 0.5",
    ),
    "one-class": (
        lambda: write_arrays(*change(labels=np.zeros_like)),
        "train labels: expected 2 to 256 classes, received 1: 0",
    ),
    "strange-test-label": (
        lambda: write_arrays(*TRAIN, TEST[0], TEST[1] + 1),
        "test labels: expected those of the training images, 0, 1, 2, received 3, too",
    ),
    "same-images": (
        lambda: write_arrays(*TRAIN, TRAIN[0][:9], TRAIN[1][:9]),
        "test images: expected others than the training images, received none",
    ),
    # Options
    "names": (
        lambda: [*write_archive(*ARRAYS), "--class-names", "a,b"],
        "--class-names: expected 3 names, of the labels 0, 1, 2, received 2: a, b",
    ),
    "names-alike": (
        lambda: [*write_archive(*ARRAYS), "--class-names", "a,b,a"],
        "runes: class_names: expected entries that differ, received ['a', 'b', 'a']",
    ),
    "fraction-of-two": (
        lambda: [*write_tables(), "--test-fraction", "0.2"],
        "--test-fraction: expected one set of images, received train.csv, images, test.csv",
    ),
    "fraction": (
        lambda: [*write_tables()[:1], "--test-fraction", "nan"],
        "--test-fraction: expected between 0 and 1, received nan",
    ),
    "class-of-one": (
        lambda: [write_table("a.csv", TRAIN[0], RARE), "--test-fraction", "0.2"],
        "1: expected two images or more, one to train and one to test, received 1",
    ),
    "scale": (lambda: ["a.npz", "--scale", "-1"], "--scale: expected a positive number, received"),
    "folder-of-the-web": (
        lambda: ["a.npz", "--folder", "https://example.org"],
        "--folder: expected a local folder, received https:/example.org",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_would_be_a_guess_is_refused_in_a_line(case: str, tmp_path: Path) -> None:
    write_sources, message = BAD[case]
    arguments = write_sources()
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
    with pytest.raises(DigitsError, match=r"^NAME: expected letters, digits, - and _, received "):
        call(name, *write_archive(*ARRAYS))


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


def test_picture_of_that_name_is_not_written_over() -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / "samples.png").write_bytes(b"mine")
    with pytest.raises(DigitsError, match=r"expected an empty folder, received samples\.png"):
        run(*write_archive(*ARRAYS))
    assert (FOLDER / "samples.png").read_bytes() == b"mine"


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


# Pictures


def test_parquet_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pyarrow gives is given: it is no package of the project."""
    rows = []
    for digit, pixels in GLYPHS:
        Image.fromarray(pixels).save(buffer := io.BytesIO(), "png")
        rows.append({"image": {"bytes": buffer.getvalue(), "path": None}, "label": digit})
    tables = [pd.DataFrame(rows[0::2]), pd.DataFrame(rows[1::2])]
    monkeypatch.setattr(pd, "read_parquet", lambda *_, **__: tables.pop(0))
    for name in ("test-00000-of-00001.parquet", "train-00000-of-00001.parquet"):
        write_file(name, b"PAR1")
    run("test-00000-of-00001.parquet", "train-00000-of-00001.parquet")
    images, labels = read_arrays()[:2]
    assert labels.tolist() == [row["label"] for row in rows[1::2]]
    assert [*map(bytes, images)] == [bytes(pixels) for _, pixels in GLYPHS[1::2]]


def draw_glyph(digit: int, seed: int) -> np.ndarray:
    """Draw a digit as MNIST has it, uint8 (28, 28), no two alike."""
    noise = np.random.default_rng(seed).integers(0, 40, (28, 28))
    ink = np.rint(255 * centre(write(str(digit)))).astype(int)
    return np.where(ink > 0, (ink - noise).clip(0), 0).astype(np.uint8)


GLYPHS = [(digit, draw_glyph(digit, 10 * digit + seed)) for digit in range(3) for seed in range(6)]


def save(path: str, pixels: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_each(names: Callable[[int, int, str], str], *, dark: bool = False) -> None:
    """Save six pictures of each digit, two of them to test: digit, number and split to a name."""
    for number, (digit, pixels) in enumerate(GLYPHS):
        split = "test" if number % 6 > 3 else "train"
        save(names(digit, number, split), 255 - pixels if dark else pixels)


def say_splits(train: str, test: str) -> Callable[[int, int, str], str]:
    return lambda digit, it, split: f"p/{train if split == 'train' else test}/{digit}/{it}.png"


def write_labels(path: str, where: str, *, suffix: str = ".png") -> None:
    rows = [
        f"{number}{suffix},{digit}"
        for number, (digit, _) in enumerate(GLYPHS)
        if not where or (number % 6 > 3) == (where == "test")
    ]
    Path(path).write_text("\n".join(["file,label", *rows]) + "\n")


def save_with_tables() -> None:
    save_each(lambda _, it, split: f"p/{split}/{it}.png")
    for split in ("train", "test"):
        write_labels(f"p/{split}/labels.csv", split)


def save_beside_tables() -> None:
    save_each(lambda _, it, __: f"p/images/{it}.png")
    for split in ("train", "test"):
        write_labels(f"p/{split}.csv", split, suffix="")


def save_beside_a_table() -> None:
    save_each(lambda _, it, __: f"p/images/{it}.png")
    rows = [
        f"images/{number}.png,{'test' if number % 6 > 3 else 'train'},{digit}"
        for number, (digit, _) in enumerate(GLYPHS)
    ]
    Path("p/index.tsv").write_text("\n".join(["path,split,digit", *rows]).replace(",", "\t"))


def save_packed(kind: str) -> None:
    save_each(say_splits("training", "testing"))
    save("p/__MACOSX/training/0/._1.png", GLYPHS[0][1])
    save("p/training/0/.DS_Store.png", GLYPHS[0][1])
    Path("p/testing/Thumbs.db").write_bytes(b"junk")
    if kind == "zip":
        with zipfile.ZipFile("p.zip", "w") as archive:
            for path in Path("p").rglob("*.*"):
                archive.write(path, f"mnist_png/{path.relative_to('p')}")
    else:
        with tarfile.open("p.tar.gz", "w:gz") as tar:
            tar.add("p", "mnist_png")


PICTURE_FORMS: dict[str, tuple[Callable[[], None], list[str]]] = {
    "training-testing": (lambda: save_each(say_splits("training", "testing")), ["p"]),
    "train-t10k-dark": (lambda: save_each(say_splits("Train", "t10k"), dark=True), ["p"]),
    "train-val": (lambda: save_each(say_splits("train_images", "val"), dark=True), ["p"]),
    "deeper": (lambda: save_each(say_splits("mnist/x/train", "mnist/x/test")), ["p"]),
    "two-sources": (lambda: save_each(say_splits("train", "test")), ["p/test", "p/train"]),
    "two-by-option": (lambda: save_each(say_splits("a", "b")), ["p/a", "--test", "p/b"]),
    "split-in-class": (lambda: save_each(lambda d, i, s: f"p/{d}/{s}/{i}.png"), ["p"]),
    "zip": (lambda: save_packed("zip"), ["p.zip"]),
    "tar": (lambda: save_packed("tar"), ["p.tar.gz"]),
    "names": (lambda: save_each(lambda d, i, s: f"p/{s}/{d}_{i:04}.png"), ["p"]),
    "names-with-a-word": (
        lambda: save_each(lambda d, i, s: f"p/{s}/img_{i}_label_{d}.png"),
        ["p"],
    ),
    "names-by-option": (
        lambda: save_each(lambda d, i, s: f"p/{s}/{i % 6}_{d}.png"),
        ["p", "--label", "1"],
    ),
    "tables": (save_with_tables, ["p"]),
    "tables-beside": (save_beside_tables, ["p"]),
    "table-of-splits": (save_beside_a_table, ["p"]),
}


@pytest.mark.parametrize("form", PICTURE_FORMS)
def test_pictures_of_mnist_come_out_pixel_for_pixel(form: str) -> None:
    prepare, arguments = PICTURE_FORMS[form]
    prepare()
    dataset = run(*arguments)
    assert dataset.class_names == ["0", "1", "2"]
    images, labels, test_images, test_labels = read_arrays()
    expected = [[it for n, it in enumerate(GLYPHS) if (n % 6 > 3) == is_test] for is_test in (0, 1)]
    for found, pairs in zip(((images, labels), (test_images, test_labels)), expected, strict=True):
        received = sorted(zip(found[1].tolist(), map(bytes, found[0]), strict=True))
        assert received == sorted((digit, bytes(pixels)) for digit, pixels in pairs)


def write_sheet(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ink = write(*lines)
    # No two digits of a page are the same, as no two are that a hand writes.
    noise = np.random.default_rng(list(str(path).encode())).normal(0, 0.02, ink.shape)
    picture = photograph((ink + noise).clip(0, 1))
    Image.fromarray((255 * picture).astype(np.uint8)).save(path)


@pytest.fixture
def mine() -> None:
    """Write pictures in `mine`: a sheet and a single of each digit."""
    for digit in "347":
        write_sheet(Path("mine") / digit / "sheet.jpg", 3 * digit, 3 * digit)
        write_sheet(Path("mine") / digit / "deeper/single.png", digit)


@pytest.mark.usefixtures("mine")
def test_sheets_and_singles_become_a_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    dataset = run("mine")
    assert dataset.class_names == ["3", "4", "7"]
    assert dataset.label_values == [3, 4, 7]
    images, labels, test_images, test_labels = read_arrays()
    assert np.bincount(labels)[[3, 4, 7]].tolist() == [6] * 3
    assert np.bincount(test_labels)[[3, 4, 7]].tolist() == [1] * 3
    assert len(test_images) == 3
    for image, label in zip(images, labels, strict=True):
        letter = centre(write(str(label))).ravel()
        assert np.corrcoef(image.ravel(), letter)[0, 1] > 0.85
    assert "3: 6 + 1, 4: 6 + 1, 7: 6 + 1\n" in capsys.readouterr().out


@pytest.mark.usefixtures("mine")
def test_same_pictures_give_the_same_bytes() -> None:
    for name, seed in {"one": 0, "two": 0, "three": 1}.items():
        call(name, "mine", "--folder", name, "--seed", seed)
    for name in NAMES:
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    name = FILE_NAMES["test_images"]
    assert Path("three", name).read_bytes() != Path("one", name).read_bytes()


def test_classes_are_in_order_of_their_numbers() -> None:
    for name in ("10", "9", "b", "a"):
        write_sheet(Path("some") / name / "sheet.png", "123")
    assert run("some").class_names == ["9", "10", "a", "b"]


@pytest.mark.usefixtures("mine")
def test_bad_pictures_are_listed_and_left_out_only_if_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine/README.md").write_text("left out")
    Path("mine/3/notes.txt").write_text("not a picture")
    Image.new("L", (90, 90), 255).save("mine/4/blank.png")
    with pytest.raises(DigitsError, match="2 pictures cannot be read"):
        run("mine")
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[:2] for line in said] == [
        ["WARNING", " left out mine/README.md"],
        ["ERROR", " mine/3/notes.txt"],
        ["ERROR", " mine/4/blank.png"],
    ]
    assert not Path("datasets").exists()
    assert not Path("data").exists()
    run("mine", "--skip-bad")
    assert capsys.readouterr().err.count("WARNING: mine/") == 2
    assert len(read_arrays()[0]) == 18


def test_glyphs_that_fill_their_pictures_are_not_inverted() -> None:
    for digit, pixels in GLYPHS:
        glyph = Image.fromarray(pixels)
        box = glyph.crop(glyph.getbbox())
        number = len(list(Path().rglob("*.png")))
        Path(f"p/{digit}").mkdir(parents=True, exist_ok=True)
        (ImageOps.invert(box) if number % 2 else box).save(f"p/{digit}/{number}.png")
    run("p")
    for image, label in zip(*read_arrays()[:2], strict=True):
        assert np.corrcoef(image.ravel(), centre(write(str(label))).ravel())[0, 1] > 0.8


def save_one_of_each() -> None:
    for digit in (0, 1):
        save(f"p/{digit}/a.png", draw_glyph(digit, 0))


def save_unlabelled() -> None:
    save_with_tables()
    save("p/train/77.png", draw_glyph(1, 99))


@pytest.mark.usefixtures("mine")
def test_pictures_have_no_scale() -> None:
    with pytest.raises(DigitsError, match=r"^--scale: expected arrays or a table, received pict"):
        run("mine", "--scale", "255")


BAD_PICTURES: dict[str, tuple[Callable[[], None], str]] = {
    "one-of-each": (save_one_of_each, "0: expected two images or more, one to train and one to"),
    "train-and-others": (
        lambda: save_each(lambda d, i, s: f"p/{'other' if i % 2 else s}/{d}/{i}.png"),
        (
            "SOURCE: expected folders for train and test, or one for each class, received other, "
            "test, train: --test FOLDER says which is for the test"
        ),
    ),
    "names-unclear": (
        lambda: save_each(lambda d, i, _: f"p/{d}_{i % 6}.png"),
        "p/0_0.png: expected labels by a folder for each class, in a labels.csv, or in all file",
    ),
    "names-without": (
        lambda: save_each(lambda _, i, __: f"p/IMG{i:04}.png"),
        "p/IMG0000.png: expected labels by a folder for each class, in a labels.csv, or in all",
    ),
    "not-in-the-table": (save_unlabelled, "p/train/77.png: expected a row in p/test/labels.csv"),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_pictures_of_unclear_labels_are_refused(case: str) -> None:
    prepare, message = BAD_PICTURES[case]
    prepare()
    with pytest.raises(DigitsError) as raised:
        run("p")
    assert str(raised.value).startswith(message)
    assert not Path("data").exists()
