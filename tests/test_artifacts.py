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

from digits.data.splits import Split, load_card, load_split, write_split
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


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to], ids=["soft", "hard"])
def test_link_is_replaced_not_written_through(
    link: Callable[[Path, Path], None], path: Path, tmp_path: Path
) -> None:
    cached = tmp_path / "cached"
    cached.write_bytes(b"cached")
    path.parent.mkdir()
    link(path, cached)
    write_bytes(path, b"new")
    assert (path.read_bytes(), cached.read_bytes()) == (b"new", b"cached")
    assert not path.is_symlink()


def interrupt(path: Path) -> None:
    with atomic_write(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt


def fill_disk(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


FAULTS: dict[str, tuple[Callable[[Path], None], type[BaseException], str]] = {
    "interrupt": (interrupt, KeyboardInterrupt, "^$"),
    "full-disk": (
        lambda path: write_text(path, "a"),
        OSError,
        "No space left on device: '.*file'$",
    ),
    "NaN": (lambda path: write_json(path, {"loss": float("nan")}), ValueError, "not JSON"),
}


@pytest.mark.parametrize("old", [None, b"old"], ids=["new-file", "old-file"])
@pytest.mark.parametrize("fault", FAULTS)
def test_failed_writing_leaves_what_was_there(
    fault: str, old: bytes | None, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failure, message = FAULTS[fault]
    path.parent.mkdir()
    if old:
        path.write_bytes(old)
    monkeypatch.setattr(os, "fsync", fill_disk)
    with pytest.raises(failure, match=message):
        write(path)
    left = {found.name: found.read_bytes() for found in path.parent.iterdir()}
    assert left == ({path.name: old} if old else {})


LOADERS: dict[str, Callable[[Path], object]] = {
    "json": load_json,
    "card": load_card,
    "array": lambda path: load_array(path, "float32", (None, 4)),
    "table": lambda path: load_table(path, ("epoch", "loss")),
}


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_missing_file_names_what_makes_it(load: Callable[[Path], object], path: Path) -> None:
    with refused(path, "a file, received none.*dvc repro"):
        load(path)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("json", b'{"a": 1', "JSON, received Expecting ',' delimiter"),
        ("json", b"[1, 2]", "a JSON object, received list"),
        ("table", b"epoch,loss\n1,2\n3,4,5\n", "CSV, received Error tokenizing"),
        ("table", b"loss,epoch\n1,2\n", r"columns .*, received \('loss', 'epoch'\)"),
    ],
)
def test_text_that_is_refused(kind: str, data: bytes, message: str, path: Path) -> None:
    write_bytes(path, data)
    with refused(path, message):
        LOADERS[kind](path)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


NOT_THE_ARRAY = {
    "empty": (b"", r"a \.npy array, received"),
    "page": (b"<html></html>", r"a \.npy array, received the magic string is not correct"),
    "archive": (b"PK\3\4", r"a \.npy array, received"),
    "cut-by-a-byte": (npy(ARRAY)[:-1], r"a \.npy array, received"),
    "objects": (npy(np.array([{}])), r"received (Object arrays cannot|Array can't)"),
    "float64": (npy(ARRAY.astype(np.float64)), r"float32 \(n, 4\), received float64 \(3, 4\)"),
    "transposed": (npy(ARRAY.T), r"float32 \(n, 4\), received float32 \(4, 3\)"),
}


@pytest.mark.parametrize("mapped", [False, True], ids=["read", "mapped"])
class TestArray:
    @pytest.mark.parametrize("array", [ARRAY, ARRAY[:0], ARRAY.T.copy().T, ARRAY[::2]])
    def test_round_trip(self, array: np.ndarray, path: Path, *, mapped: bool) -> None:
        write_array(path, array)
        loaded = load_array(path, "float32", (None, 4), mapped=mapped)
        np.testing.assert_array_equal(loaded, array, strict=True)

    @pytest.mark.parametrize(("data", "message"), NOT_THE_ARRAY.values(), ids=NOT_THE_ARRAY)
    def test_refusal(self, data: bytes, message: str, path: Path, *, mapped: bool) -> None:
        write_bytes(path, data)
        with refused(path, message):
            load_array(path, "float32", (None, 4), mapped=mapped)


def test_mapped_array_stays_on_disk(path: Path) -> None:
    write_array(path, ARRAY)
    loaded = load_array(path, "float32", (None, 4), mapped=True)
    assert type(loaded) is np.ndarray
    assert not loaded.flags.writeable
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(np.float32(77).tobytes())
    assert loaded[-1, -1] == 77


@pytest.mark.parametrize("cuts", [[], [1, 2]], ids=["one-part", "three"])
def test_split_in_parts_is_the_split(cuts: list[int], tmp_path: Path) -> None:
    write_split(tmp_path, np.split(SPLIT.images, cuts), SPLIT.labels)
    assert (tmp_path / "images.npy").read_bytes() == npy(SPLIT.images)
    loaded = load_split(tmp_path, 10)
    for name, array in vars(SPLIT).items():
        np.testing.assert_array_equal(getattr(loaded, name), array, strict=True)
    assert not loaded.images.flags.writeable  # they are on disk


def test_predictions_are_loaded_as_they_were_written(tmp_path: Path) -> None:
    write_predictions(tmp_path, PREDICTIONS)
    loaded = load_predictions(tmp_path, 10)
    for name, array in vars(PREDICTIONS).items():
        np.testing.assert_array_equal(getattr(loaded, name), array, strict=True)
    assert loaded.predicted.tolist() == [0, 9, 4]


def put(array: np.ndarray, value: float) -> np.ndarray:
    """Return a copy with a value in its middle."""
    changed = array.copy()
    changed.flat[changed.size // 2] = value
    return changed


@pytest.mark.parametrize(
    ("load", "change", "message"),
    [
        (load_split, {"images": put(SPLIT.images, np.nan)}, r"pixels in \[0, 1\], received nan to"),
        (
            load_split,
            {"images": put(SPLIT.images, 255)},
            r"pixels in \[0, 1\], received 0.0 to 255",
        ),
        (load_split, {"labels": put(LABELS, 10)}, "labels 0-9, received 10"),
        (load_split, {"images": SPLIT.images[:0], "labels": LABELS[:0]}, "images, received none"),
        (load_predictions, {"probabilities": put(PREDICTIONS.probabilities, np.nan)}, "finite"),
        (
            load_predictions,
            {"probabilities": put(PREDICTIONS.probabilities, 0.5)},
            "sum to 1 .*1.5",
        ),
        (load_predictions, {"labels": put(LABELS, 255)}, "labels 0-9, received 255"),
        (load_predictions, {name: a[:0] for name, a in vars(PREDICTIONS).items()}, "received"),
    ],
)
def test_values_that_are_refused(
    load: Callable[[Path, int], object],
    change: dict[str, np.ndarray],
    message: str,
    tmp_path: Path,
) -> None:
    whole = SPLIT if load is load_split else PREDICTIONS
    for name, array in (vars(whole) | change).items():
        write_array(tmp_path / f"{name}.npy", array)
    with pytest.raises(ArtifactError, match=rf"expected .*{message}"):
        load(tmp_path, 10)
