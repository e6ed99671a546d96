"""Files between the stages: written whole or not at all, equal bytes, no other formats loaded."""

import errno
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from digits.data.splits import Split, load_split, write_split
from digits.evaluation.predictions import Predictions, load_predictions, write_predictions
from digits.files import (
    ArtifactError,
    atomic_write,
    load_array,
    load_json,
    load_table,
    write_array,
    write_bytes,
    write_json,
    write_table,
    write_text,
)

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)
TABLE = pd.DataFrame({"class": ["one", "two"], "f1": [0.5, 1 / 3]})
LABELS = np.array([0, 9, 5], np.uint8)
SPLIT = Split(np.linspace(0, 1, 3 * 784, dtype=np.float32).reshape(3, 28, 28, 1), LABELS)
PREDICTIONS = Predictions(
    np.arange(3 * 784).reshape(3, 28, 28).astype(np.uint8),
    LABELS,
    np.eye(10, dtype=np.float32)[[0, 9, 4]],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a file in a folder of its own, not made yet."""
    return tmp_path / "folder" / "file"


def refused(path: Path, message: str) -> Any:
    """Expect one line that names the file, what was expected and what was received."""
    return pytest.raises(
        ArtifactError, match=rf"\A{re.escape(str(path))}: expected .*{message}.*\Z"
    )


@pytest.mark.parametrize(
    ("write", "value", "content"),
    [
        (write_text, "one\r\ntwo \N{GREEK SMALL LETTER ALPHA}", b"one\r\ntwo \xce\xb1"),
        (
            write_json,
            {"loss": 0.12345649, "a": {"b": [np.float64(1 / 3)]}},
            b'{\n  "a": {\n    "b": [\n      0.333333\n    ]\n  },\n  "loss": 0.123456\n}\n',
        ),
        (write_table, TABLE, b"class,f1\none,0.500000\ntwo,0.333333\n"),
    ],
)
def test_bytes_are_the_same_on_every_machine(
    write: Callable[[Path, object], None], value: object, content: bytes, path: Path
) -> None:
    for _ in range(2):
        write(path, value)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_link_is_replaced_not_written_through(path: Path, tmp_path: Path) -> None:
    cached = tmp_path / "cached"
    cached.write_bytes(b"cached")
    path.parent.mkdir()
    for link in (path.symlink_to, path.hardlink_to):
        path.unlink(missing_ok=True)
        link(cached)
        write_bytes(path, b"new")
        assert (path.read_bytes(), cached.read_bytes()) == (b"new", b"cached")
        assert not path.is_symlink()


def interrupt(path: Path) -> None:
    with atomic_write(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt


def fill_disk(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("write", "failure", "message"),
    [
        (interrupt, KeyboardInterrupt, "^$"),
        (lambda path: write_text(path, "a"), OSError, "No space left on device: '.*file'$"),
        (lambda path: write_json(path, {"loss": float("nan")}), ValueError, "not JSON"),
    ],
    ids=["interrupt", "full-disk", "NaN"],
)
def test_failed_writing_leaves_what_was_there(
    write: Callable[[Path], None],
    failure: type[BaseException],
    message: str,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", fill_disk)
    path.parent.mkdir()
    for old in (None, b"old"):
        if old:
            path.write_bytes(old)
        with pytest.raises(failure, match=message):
            write(path)
        left = {found.name: found.read_bytes() for found in path.parent.iterdir()}
        assert left == ({path.name: old} if old else {})


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def load_floats(path: Path) -> np.ndarray:
    return load_array(path, "float32", (None, 4))


def load_losses(path: Path) -> pd.DataFrame:
    return load_table(path, ("epoch", "loss"))


@pytest.mark.parametrize(
    ("load", "data", "message"),
    [
        *((load, None, "a file, .*dvc repro") for load in (load_json, load_floats, load_losses)),
        (load_json, b'{"a": 1', "JSON, received Expecting ',' delimiter"),
        (load_json, b"[1, 2]", "a JSON object, received list"),
        (load_losses, b"epoch,loss\n1,2\n3,4,5\n", "CSV, received Error tokenizing"),
        (load_losses, b"loss,epoch\n1,2\n", r"columns .*, received \('loss', 'epoch'\)"),
        (load_floats, b"", r"a \.npy array, received"),
        (load_floats, b"<html></html>", r"a \.npy array, received the magic string"),
        (load_floats, b"PK\3\4", r"a \.npy array, received"),
        (load_floats, npy(ARRAY)[:-1], r"a \.npy array, received"),
        (load_floats, npy(np.array([{}])), r"received (Object arrays cannot|Array can't)"),
        (load_floats, npy(ARRAY.astype(float)), r"\(n, 4\), received float64 \(3, 4\)"),
        (load_floats, npy(ARRAY.T), r"float32 \(n, 4\), received float32 \(4, 3\)"),
    ],
)
def test_missing_and_damaged_files_are_refused(
    load: Callable[[Path], object], data: bytes | None, message: str, path: Path
) -> None:
    if data is not None:
        write_bytes(path, data)
    with refused(path, message):
        load(path)


@pytest.mark.parametrize("array", [ARRAY, ARRAY[:0], ARRAY.T.copy().T, ARRAY[::2]])
def test_array_comes_back(array: np.ndarray, path: Path) -> None:
    write_array(path, array)
    for mapped in (False, True):
        loaded = load_array(path, "float32", (None, 4), mapped=mapped)
        np.testing.assert_array_equal(loaded, array, strict=True)


def test_mapped_array_stays_on_disk(path: Path) -> None:
    write_array(path, ARRAY)
    loaded = load_array(path, "float32", (None, 4), mapped=True)
    assert type(loaded) is np.ndarray
    assert not loaded.flags.writeable
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(np.float32(77).tobytes())
    assert loaded[-1, -1] == 77


def test_splits_and_predictions_come_back(tmp_path: Path) -> None:
    for cuts in ([], [1, 2]):  # images in one part, in three
        write_split(tmp_path, np.split(SPLIT.images, cuts), SPLIT.labels)
        assert (tmp_path / "images.npy").read_bytes() == npy(SPLIT.images)
    split = load_split(tmp_path, 10)
    assert not split.images.flags.writeable  # they are on disk
    write_predictions(tmp_path / "predictions", PREDICTIONS)
    predictions = load_predictions(tmp_path / "predictions", 10)
    assert predictions.predicted.tolist() == [0, 9, 4]
    for loaded, written in ((split, SPLIT), (predictions, PREDICTIONS)):
        for name, array in vars(written).items():
            np.testing.assert_array_equal(getattr(loaded, name), array, strict=True)


@pytest.mark.parametrize(
    ("load", "changed", "value", "message"),
    [
        (load_split, "images", np.nan, r"pixels in \[0, 1\], received nan to"),
        (load_split, "images", 255, r"pixels in \[0, 1\], received 0.0 to 255"),
        (load_split, "labels", 10, "labels 0-9, received 10"),
        (load_split, "", 0, "images, received none"),
        (load_predictions, "probabilities", np.nan, "finite"),
        (load_predictions, "probabilities", 0.5, "sum to 1 .*1.5"),
        (load_predictions, "labels", 255, "labels 0-9, received 255"),
        (load_predictions, "", 0, "predictions, received none"),
    ],
)
def test_values_that_are_refused(
    load: Callable[[Path, int], object], changed: str, value: float, message: str, tmp_path: Path
) -> None:
    """A value in the middle of one array; or arrays without any."""
    for name, array in vars(SPLIT if load is load_split else PREDICTIONS).items():
        written = array.copy() if changed else array[:0]
        if name == changed:
            written.flat[written.size // 2] = value
        write_array(tmp_path / f"{name}.npy", written)
    with pytest.raises(ArtifactError, match=rf"expected .*{message}"):
        load(tmp_path, 10)
