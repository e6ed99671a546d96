"""Files between the stages: written whole or not at all, equal bytes, nothing foreign loaded."""

import errno
import gzip
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from digits.data.splits import Card, Split, load_card, load_split, write_card, write_split
from digits.evaluation.predictions import Predictions, load_predictions, write_predictions
from digits.files import (
    ArtifactError,
    atomic_write,
    expect_random_reads,
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

WRITERS: dict[str, Callable[[Path], None]] = {
    "bytes": lambda path: write_bytes(path, b"new"),
    "text": lambda path: write_text(path, "one\r\ntwo \N{GREEK SMALL LETTER ALPHA}\n"),
    "json": lambda path: write_json(path, {"loss": 0.1, "accuracy": 1 / 3}),
    "array": lambda path: write_array(path, ARRAY),
    "table": lambda path: write_table(path, TABLE),
}
each_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a file in a folder of its own, not made yet."""
    return tmp_path / "folder" / "file"


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    assert tmp_path.is_dir()  # made under the usual mask
    kept = os.umask(request.param)
    yield request.param
    os.umask(kept)


def refused(path: Path, message: str) -> Any:
    """Expect one line that names the file, what was expected and what was received."""
    return pytest.raises(
        ArtifactError, match=rf"\A{re.escape(str(path))}: expected .*{message}.*\Z"
    )


class TestWriting:
    @each_writer
    def test_folders_are_made_and_nothing_else(
        self, write: Callable[[Path], None], path: Path
    ) -> None:
        write(path)
        assert path.is_file()
        assert list(path.parent.iterdir()) == [path]

    @each_writer
    def test_repeat_gives_the_same_bytes(self, write: Callable[[Path], None], path: Path) -> None:
        write(path)
        first = path.read_bytes()
        write(path)
        assert path.read_bytes() == first

    @each_writer
    def test_mode_follows_umask(
        self, write: Callable[[Path], None], umask: int, path: Path
    ) -> None:
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask

    @each_writer
    @pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to], ids=["soft", "hard"])
    def test_link_is_replaced_not_written_through(
        self,
        write: Callable[[Path], None],
        link: Callable[[Path, Path], None],
        path: Path,
        tmp_path: Path,
    ) -> None:
        cached = tmp_path / "cached"
        cached.write_bytes(b"cached")
        cached.chmod(0o444)
        path.parent.mkdir()
        link(path, cached)
        write(path)
        assert cached.read_bytes() == b"cached"
        assert stat.S_IMODE(cached.stat().st_mode) == 0o444
        assert not path.is_symlink()
        assert path.read_bytes() != b"cached"

    def test_text_is_written_as_it_is(self, path: Path) -> None:
        write_text(path, "one\r\ntwo\n\N{GREEK SMALL LETTER ALPHA}")
        assert path.read_bytes() == b"one\r\ntwo\n\xce\xb1"


class TestFailedWriting:
    @pytest.fixture(params=[None, b"old"], ids=["new-file", "old-file"])
    def old(self, request: pytest.FixtureRequest, path: Path) -> bytes | None:
        path.parent.mkdir()
        content: bytes | None = request.param
        if content:
            path.write_bytes(content)
        return content

    def check_untouched(self, path: Path, old: bytes | None) -> None:
        left = {found.name: found.read_bytes() for found in path.parent.iterdir()}
        assert left == ({path.name: old} if old else {})

    @pytest.mark.parametrize("failure", [ValueError, OSError, KeyboardInterrupt, SystemExit])
    def test_failing_block(
        self, failure: type[BaseException], path: Path, old: bytes | None
    ) -> None:
        def write_half() -> None:
            with atomic_write(path) as file:
                file.write(b"half")
                raise failure

        with pytest.raises(failure):
            write_half()
        self.check_untouched(path, old)

    def test_full_disk(
        self, path: Path, old: bytes | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match=rf"No space left on device: '{path}'$"):
            write_bytes(path, b"new")
        self.check_untouched(path, old)

    def test_array_on_a_full_disk(
        self, path: Path, old: bytes | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class FullDisk(io.FileIO):
            def write(self, _: object) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fdopen", FullDisk)
        with pytest.raises(OSError, match=rf"No space left on device: '{path}'$"):
            write_array(path, ARRAY)
        self.check_untouched(path, old)

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
    def test_json_without_numbers_that_json_lacks(
        self, number: float, path: Path, old: bytes | None
    ) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(path, {"loss": number})
        self.check_untouched(path, old)

    def test_array_that_needs_a_pickle(self, path: Path, old: bytes | None) -> None:
        with pytest.raises(ValueError, match="allow_pickle=False"):
            write_array(path, np.array([{}], dtype=object))
        self.check_untouched(path, old)

    def test_folder_of_that_name(self, path: Path) -> None:
        path.mkdir(parents=True)
        with pytest.raises(OSError, match="Is a directory"):
            write_bytes(path, b"new")
        assert list(path.parent.iterdir()) == [path]


class TestJson:
    def test_keys_sorted_floats_rounded(self, path: Path) -> None:
        write_json(path, {"loss": 0.12345649, "count": 3, "accuracy": 2 / 3, "name": "cnn"})
        assert path.read_text() == (
            '{\n  "accuracy": 0.666667,\n  "count": 3,\n  "loss": 0.123456,\n  "name": "cnn"\n}\n'
        )

    def test_floats_are_rounded_at_any_depth(self, path: Path) -> None:
        write_json(path, {"a": [1 / 3, {"b": 2 / 3}], "c": (np.float64(0.1 + 0.2), 1, True, None)})
        assert load_json(path) == {
            "a": [0.333333, {"b": 0.666667}],
            "c": [0.3, 1, True, None],
        }

    def test_order_of_keys_does_not_matter(self, path: Path, tmp_path: Path) -> None:
        write_json(path, {"a": 1, "b": 2.0})
        write_json(tmp_path / "other", {"b": 2.0, "a": 1})
        assert path.read_bytes() == (tmp_path / "other").read_bytes()

    def test_round_trip(self, path: Path) -> None:
        values = {"accuracy": 0.5, "count": 3, "recipe": "cnn", "names": ["a", "b"]}
        write_json(path, values)
        assert load_json(path) == values

    def test_missing(self, path: Path) -> None:
        with refused(path, "a file, received none; `dvc repro` makes it"):
            load_json(path)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "JSON, received Expecting value"),
            (b'{"a": 1', "JSON, received Expecting ',' delimiter"),
            (b"<html></html>", "JSON, received Expecting value"),
            (b'{"a": "\xff"}', "JSON, received .*invalid start byte"),
            (b"[1, 2]", "a JSON object, received list"),
            (b"null", "a JSON object, received NoneType"),
        ],
        ids=["empty", "cut", "html", "not-utf-8", "list", "null"],
    )
    def test_refusal(self, data: bytes, message: str, path: Path) -> None:
        write_bytes(path, data)
        with refused(path, message):
            load_json(path)


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def npz(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, array)
    return file.getvalue()


def npy_with_header(text: str, body: bytes = b"") -> bytes:
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


NPY = npy(ARRAY)
HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"
NOT_THE_ARRAY = {
    "empty": (b"", r"a \.npy array, received"),
    "cut-in-magic": (NPY[:4], r"a \.npy array, received"),
    "cut-in-header": (NPY[:64], r"a \.npy array, received EOF"),
    "cut-before-body": (NPY[:128], r"a \.npy array, received"),
    "cut-by-byte": (NPY[:-1], r"a \.npy array, received"),
    "html": (b"<!DOCTYPE html>", r"a \.npy array, received"),
    "idx": (b"\0\0\x08\x01\0\0\0\x01\x07", r"a \.npy array, received"),
    "gzip": (gzip.compress(NPY), r"a \.npy array, received"),
    "npz": (npz(ARRAY), r"a \.npy array, received"),
    "cut-npz": (npz(ARRAY)[:100], r"a \.npy array, received"),
    "trailing-byte": (NPY + b"\0", r"one \.npy array, received more bytes after it"),
    "trailing-array": (NPY + NPY, r"one \.npy array, received more bytes after it"),
    "header-bracket": (npy_with_header(HEADER.replace(")", " ")), r"a \.npy array, received"),
    "header-descr": (npy_with_header(HEADER.replace("<f4", "<,4")), r"a \.npy array, received"),
    "header-key": (npy_with_header(HEADER.replace("shape", "shapf")), r"a \.npy array, received"),
    "header-python-2": (npy_with_header(HEADER.replace("3,", "3L,")), r"a \.npy array, received"),
    "header-16-tebibytes": (
        npy_with_header(HEADER.replace("3, 4", f"{1 << 40}, 4"), bytes(100)),
        "received",
    ),
    "header-past-2**63": (npy_with_header(HEADER.replace("3, 4", f"{10**20}, 4")), "received"),
    "objects": (npy(np.array([{}]), allow_pickle=True), "received (Object arrays|Array can't)"),
    "float64": (npy(ARRAY.astype(np.float64)), r"float32 \(n, 4\), received float64 \(3, 4\)"),
    "big-endian": (npy(ARRAY.astype(">f4")), r"float32 \(n, 4\), received >f4 \(3, 4\)"),
    "fewer-dimensions": (npy(ARRAY[0]), r"float32 \(n, 4\), received float32 \(4,\)"),
    "more-dimensions": (npy(ARRAY[None]), r"float32 \(n, 4\), received float32 \(1, 3, 4\)"),
    "0-d": (npy(ARRAY[0, 0]), r"float32 \(n, 4\), received float32 \(\)"),
    "transposed": (npy(ARRAY.T), r"float32 \(n, 4\), received float32 \(4, 3\)"),
}


class Exploit:
    """An object whose unpickling makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


class TestArray:
    @pytest.mark.parametrize(
        "array",
        [ARRAY, ARRAY[:0], ARRAY.T.copy().T, ARRAY[::2]],
        ids=["plain", "empty", "fortran", "strided"],
    )
    def test_round_trip(self, array: np.ndarray, path: Path) -> None:
        write_array(path, array)
        for mapped in (False, True):
            loaded = load_array(path, "float32", (None, 4), mapped=mapped)
            assert loaded.dtype == np.float32
            np.testing.assert_array_equal(loaded, array)

    def test_mapped_one_stays_on_disk(self, path: Path) -> None:
        write_array(path, ARRAY)
        loaded = load_array(path, "float32", (None, 4), mapped=True)
        assert type(loaded) is np.ndarray
        assert not loaded.flags.writeable
        with path.open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(np.float32(77).tobytes())
        assert loaded[-1, -1] == 77
        expect_random_reads(loaded)
        expect_random_reads(ARRAY)

    def test_missing(self, path: Path) -> None:
        with refused(path, "a file, received none; `dvc repro` makes it, `dvc pull` brings it"):
            load_array(path, "float32", (None, 4))

    @pytest.mark.parametrize("mapped", [False, True], ids=["read", "mapped"])
    @pytest.mark.parametrize(("data", "message"), NOT_THE_ARRAY.values(), ids=NOT_THE_ARRAY)
    def test_refusal(self, data: bytes, message: str, mapped: bool, path: Path) -> None:  # noqa: FBT001
        write_bytes(path, data)
        with refused(path, message):
            load_array(path, "float32", (None, 4), mapped=mapped)

    @pytest.mark.parametrize("shape", [(2, 4), (None, 3), (3,), (3, 4, None), ()], ids=str)
    def test_other_shape(self, shape: tuple[int | None, ...], path: Path) -> None:
        write_array(path, ARRAY)
        wanted = re.escape(str(shape).replace("None", "n").replace(",)", ")"))
        with refused(path, rf"float32 {wanted}, received float32 \(3, 4\)"):
            load_array(path, "float32", shape)

    @pytest.mark.parametrize(
        "plant",
        [
            lambda array: npy(array, allow_pickle=True),
            lambda array: array.dumps(),
            npz,
        ],
        ids=["66-object-array", "66-bare-pickle", "66-npz"],
    )
    def test_planted_pickle_is_not_run(
        self, plant: Callable[[np.ndarray], bytes], path: Path, tmp_path: Path
    ) -> None:
        trace = tmp_path / "trace"
        write_bytes(path, plant(np.array([Exploit(trace)], dtype=object)))
        with refused(path, "received"):
            load_array(path, "float32", (None,))
        assert not trace.exists()
        unsafe = np.load(path, allow_pickle=True)
        if isinstance(unsafe, np.lib.npyio.NpzFile):
            with unsafe:
                unsafe["arr_0"]
        assert trace.exists()  # the trap was armed


def write_apart(folder: Path, split: Split) -> None:
    """Write the arrays of a split, whether or not they fit each other."""
    write_array(folder / "images.npy", split.images)
    write_array(folder / "labels.npy", split.labels)


class TestSplit:
    SPLIT = Split(
        np.linspace(0, 1, 3 * 784, dtype=np.float32).reshape(3, 28, 28, 1),
        np.array([0, 9, 5], np.uint8),
    )

    @pytest.mark.parametrize("cuts", [[], [1], [1, 2]], ids=["one-part", "two", "three"])
    def test_round_trip(self, cuts: list[int], tmp_path: Path) -> None:
        parts = np.split(self.SPLIT.images, cuts)
        write_split(tmp_path / "parts", parts, self.SPLIT.labels)
        write_apart(tmp_path, self.SPLIT)
        for name in ("images.npy", "labels.npy"):
            assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / name).read_bytes()
        loaded = load_split(tmp_path / "parts", 10)
        np.testing.assert_array_equal(loaded.images, self.SPLIT.images, strict=True)
        np.testing.assert_array_equal(loaded.labels, self.SPLIT.labels, strict=True)
        assert not loaded.images.flags.writeable  # they are on disk

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (np.nan, "received nan to nan"),
            (np.inf, "received 0.0 to inf"),
            (-np.inf, "received -inf to 1.0"),
            (-0.1, "received -0.1.* to 1.0"),
            (1.001, "received 0.0 to 1.001"),
            (255, "received 0.0 to 255.0"),
        ],
    )
    def test_pixel_out_of_range(self, value: float, message: str, tmp_path: Path) -> None:
        images = self.SPLIT.images.copy()
        images[1, 14, 14, 0] = value
        write_apart(tmp_path, replace(self.SPLIT, images=images))
        with refused(tmp_path, rf"pixels in \[0, 1\], {message}"):
            load_split(tmp_path, 10)

    @pytest.mark.parametrize("label", [10, 255])
    def test_label_out_of_range(self, label: int, tmp_path: Path) -> None:
        write_apart(tmp_path, replace(self.SPLIT, labels=np.array([0, label, 5], np.uint8)))
        with refused(tmp_path, f"labels 0-9, received {label}"):
            load_split(tmp_path, 10)

    @pytest.mark.parametrize(
        "labels",
        [
            np.array([0, 9], np.uint8),
            np.array([0, 9, 5, 5], np.uint8),
            np.array([0, 9, 5], np.int64),
            np.array([[0], [9], [5]], np.uint8),
            np.array([], np.uint8),
        ],
        ids=["fewer", "more", "int64", "2-d", "none"],
    )
    def test_labels_that_do_not_fit(self, labels: np.ndarray, tmp_path: Path) -> None:
        write_apart(tmp_path, replace(self.SPLIT, labels=labels))
        with refused(tmp_path / "labels.npy", r"uint8 \(3\), received"):
            load_split(tmp_path, 10)

    @pytest.mark.parametrize(
        "images",
        [
            SPLIT.images[..., 0],
            SPLIT.images[:, :27],
            SPLIT.images.reshape(3, 14, 56, 1),
            SPLIT.images.astype(np.float64),
            SPLIT.images.astype(np.uint8),
        ],
        ids=["no-channel", "27x28", "14x56", "float64", "uint8"],
    )
    def test_images_that_do_not_fit(self, images: np.ndarray, tmp_path: Path) -> None:
        write_apart(tmp_path, replace(self.SPLIT, images=images))
        with refused(tmp_path / "images.npy", r"float32 \(n, 28, 28, 1\), received"):
            load_split(tmp_path, 10)

    def test_empty(self, tmp_path: Path) -> None:
        write_apart(tmp_path, Split(self.SPLIT.images[:0], self.SPLIT.labels[:0]))
        with refused(tmp_path, "images, received none"):
            load_split(tmp_path, 10)

    @pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
    def test_missing(self, name: str, tmp_path: Path) -> None:
        write_apart(tmp_path, self.SPLIT)
        (tmp_path / name).unlink()
        with refused(tmp_path / name, "a file, received none"):
            load_split(tmp_path, 10)


class TestCard:
    CARD = Card(
        name="mnist",
        title="MNIST",
        class_names=list("0123456789"),
        image_counts={"train": 54_000},
    )

    def test_round_trip(self, path: Path) -> None:
        write_card(path, self.CARD)
        assert load_card(path) == self.CARD

    def test_missing(self, path: Path) -> None:
        with refused(path, "a file, received none"):
            load_card(path)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"class_names": ...}, "class_names: expected a value, received none"),
            ({"title": ...}, "title: expected a value, received none"),
            ({"name": ...}, "name: expected a value, received none"),
            ({"name": ["mnist"]}, "name: expected a valid string, received .'mnist'."),
            ({"title": 5}, "title: expected a valid string, received 5"),
            ({"class_names": None}, "class_names: expected a valid list, received None"),
            (
                {"class_names": "0123456789"},
                "class_names: expected a valid list, received '0123456789'",
            ),
            (
                {"class_names": list(range(10))},
                r"class_names\.0: expected a valid string, received 0",
            ),
            ({"class_names": ["0"]}, "class_names: .*at least 2 items.*received .'0'."),
            ({"class_names": ["0", "0"]}, "class_names: .*entries that differ"),
            ({"other": 1}, "other: unknown key"),
        ],
        ids=str,
    )
    def test_refusal(self, values: dict[str, Any], message: str, path: Path) -> None:
        card = {**self.CARD.model_dump(), **values}
        write_text(path, json.dumps({key: card[key] for key in card if card[key] is not ...}))
        with pytest.raises(ArtifactError, match=rf"\A{re.escape(str(path))}: {message}.*\Z"):
            load_card(path)


class TestPredictions:
    PREDICTIONS = Predictions(
        np.arange(3 * 784).reshape(3, 28, 28).astype(np.uint8),
        np.array([0, 9, 5], np.uint8),
        np.eye(10, dtype=np.float32)[[0, 9, 4]],
    )

    def test_round_trip(self, tmp_path: Path) -> None:
        write_predictions(tmp_path, self.PREDICTIONS)
        loaded = load_predictions(tmp_path, 10)
        for name, array in vars(self.PREDICTIONS).items():
            np.testing.assert_array_equal(getattr(loaded, name), array, strict=True)
        assert loaded.predicted.tolist() == [0, 9, 4]

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, value: float, tmp_path: Path) -> None:
        probabilities = self.PREDICTIONS.probabilities.copy()
        probabilities[1, 2] = value
        write_predictions(tmp_path, replace(self.PREDICTIONS, probabilities=probabilities))
        with refused(tmp_path, "finite probabilities, received NaN or infinity"):
            load_predictions(tmp_path, 10)

    @pytest.mark.parametrize("value", [-0.5, 0.5, 2.0])
    def test_no_probabilities(self, value: float, tmp_path: Path) -> None:
        probabilities = self.PREDICTIONS.probabilities.copy()
        probabilities[1, 2] = value
        write_predictions(tmp_path, replace(self.PREDICTIONS, probabilities=probabilities))
        with refused(tmp_path, f"sum to 1 .*, received .* sums from .* to .*{1 + value:g}|-0.5"):
            load_predictions(tmp_path, 10)

    @pytest.mark.parametrize("label", [10, 255])
    def test_label_out_of_range(self, label: int, tmp_path: Path) -> None:
        labels = np.array([0, label, 5], np.uint8)
        write_predictions(tmp_path, replace(self.PREDICTIONS, labels=labels))
        with refused(tmp_path, f"labels 0-9, received {label}"):
            load_predictions(tmp_path, 10)

    @pytest.mark.parametrize(
        ("name", "array", "message"),
        [
            ("probabilities", PREDICTIONS.probabilities[:, :9], r"float32 \(n, 10\), .* \(3, 9\)"),
            ("probabilities", PREDICTIONS.probabilities.astype(np.float64), r"received float64"),
            ("images", PREDICTIONS.images[:2], r"uint8 \(3, 28, 28\), received .* \(2, 28, 28\)"),
            ("images", PREDICTIONS.images[:, :27], r"received uint8 \(3, 27, 28\)"),
            ("images", PREDICTIONS.images / np.float32(255), r"received float32"),
            ("labels", PREDICTIONS.labels[:2], r"uint8 \(3\), received uint8 \(2,\)"),
            ("labels", PREDICTIONS.labels.astype(np.int64), r"received int64"),
        ],
    )
    def test_array_that_does_not_fit(
        self, name: str, array: np.ndarray, message: str, tmp_path: Path
    ) -> None:
        write_predictions(tmp_path, replace(self.PREDICTIONS, **{name: array}))
        with refused(tmp_path / f"{name}.npy", message):
            load_predictions(tmp_path, 10)

    def test_empty(self, tmp_path: Path) -> None:
        arrays = vars(self.PREDICTIONS).values()
        write_predictions(tmp_path, Predictions(*(array[:0] for array in arrays)))
        with refused(tmp_path, "received"):
            load_predictions(tmp_path, 10)

    @pytest.mark.parametrize("name", ["images", "labels", "probabilities"])
    def test_missing(self, name: str, tmp_path: Path) -> None:
        write_predictions(tmp_path, self.PREDICTIONS)
        (tmp_path / f"{name}.npy").unlink()
        with refused(tmp_path / f"{name}.npy", "a file, received none"):
            load_predictions(tmp_path, 10)


class TestTable:
    def test_numbers_rounded_unix_lines_no_index(self, path: Path) -> None:
        write_table(path, TABLE)
        assert path.read_bytes() == b"class,f1\none,0.500000\ntwo,0.333333\n"

    def test_round_trip(self, path: Path) -> None:
        table = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.25]})
        write_table(path, table)
        pd.testing.assert_frame_equal(load_table(path, ("epoch", "loss")), table)

    def test_missing(self, path: Path) -> None:
        with refused(path, "a file, received none: run `dvc repro`"):
            load_table(path, ("epoch", "loss"))

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "CSV, received No columns"),
            (b"epoch,loss\n1,2\n3,4,5\n", "CSV, received Error tokenizing"),
            (b"epoch,\xff\n1,2\n", "CSV, received .*codec can't decode"),
            (b"loss,epoch\n1,2\n", r"columns \('epoch', 'loss'\), received \('loss', 'epoch'\)"),
            (b"epoch\n1\n", r"received \('epoch',\)"),
            (b"<html></html>\n", r"received \('<html></html>',\)"),
            (b"epoch,loss\n1,2,3\n3,4,5\n", "CSV, received Length of header .* does not match"),
        ],
        ids=[
            "empty",
            "ragged",
            "not-utf-8",
            "other-order",
            "fewer-columns",
            "html",
            "wider-rows",
        ],
    )
    def test_refusal(self, data: bytes, message: str, path: Path) -> None:
        write_bytes(path, data)
        with refused(path, message):
            load_table(path, ("epoch", "loss"))
