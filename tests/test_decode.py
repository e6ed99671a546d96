"""The decode stage: what passes for a dataset, scaling, the validation split, the whole stage.

The numbers in the names are those of the list of bad inputs that the data path must survive.
"""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.config import ConfigError
from digits.data import idx
from digits.data.datasets import Dataset, RawFile, load_dataset
from digits.data.preprocessing import (
    DatasetError,
    check_classes,
    normalize_images,
    normalize_labels,
)
from digits.data.raw import RawFileError
from digits.data.splits import load_card, load_split
from digits.errors import DigitsError
from digits.files import ArtifactError, load_array, load_json
from pipeline.decode import main, scale_pixels, split_validation

IMAGES = np.arange(20 * 28 * 28).reshape(20, 28, 28).astype(np.uint8)
LABELS = np.repeat(np.arange(10, dtype=np.uint8), 2)


def make_dataset(**changes: Any) -> Dataset:
    """Return what the file of a dataset of ten classes says."""
    files = ("train_images", "train_labels", "test_images", "test_labels")
    facts: dict[str, Any] = {name: {"name": name} for name in files}
    facts |= {"title": "Runes", "licence": "none", "class_names": list("abcdefghij")}
    return Dataset(**(facts | changes))


class TestTidyImages:
    @pytest.mark.parametrize(
        "images",
        [
            pytest.param(IMAGES, id="as-they-are"),
            pytest.param(IMAGES.astype(">i2"), id="17-int16"),
            pytest.param(IMAGES.astype(">i4"), id="17-int32"),
            pytest.param(IMAGES.reshape(20, 784), id="26-flat"),
            pytest.param(IMAGES[..., np.newaxis], id="26-channel-last"),
            pytest.param(IMAGES[:, np.newaxis], id="26-channel-first"),
            pytest.param(IMAGES.astype(np.int64).reshape(20, 784), id="flat-int64"),
        ],
    )
    def test_nothing_is_lost(self, images: np.ndarray) -> None:
        tidy = normalize_images("train", images, transpose=False)
        np.testing.assert_array_equal(tidy, IMAGES, strict=True)

    def test_34_transposed(self) -> None:
        given = np.ascontiguousarray(IMAGES.transpose(0, 2, 1))
        tidy = normalize_images("train", given, transpose=True)
        np.testing.assert_array_equal(tidy, IMAGES, strict=True)

    @pytest.mark.parametrize(
        ("images", "received"),
        [
            pytest.param(LABELS, r"uint8 \(20,\)", id="08-labels"),
            pytest.param(IMAGES[:0], r"uint8 \(0, 28, 28\)", id="13-none"),
            pytest.param(IMAGES[:, :0], r"uint8 \(20, 0, 28\)", id="14-zero-rows"),
            pytest.param(IMAGES.astype(np.float32), r"float32 \(20, 28, 28\)", id="17-float32"),
            pytest.param(np.full((2, 28, 28), np.nan), r"float64 \(2, 28, 28\)", id="19-nan"),
            pytest.param(IMAGES.reshape(20, 14, 56), r"uint8 \(20, 14, 56\)", id="26-14x56"),
            pytest.param(IMAGES[:, :, :27], r"uint8 \(20, 28, 27\)", id="26-28x27"),
            pytest.param(
                np.pad(IMAGES, ((0, 0), (2, 2), (2, 2))), r"uint8 \(20, 32, 32\)", id="26-32x32"
            ),
            pytest.param(np.stack([IMAGES] * 3, -1), r"uint8 .*, 3\)", id="26-colour"),
        ],
    )
    def test_form_refused(self, images: np.ndarray, received: str) -> None:
        expected = r"train images: expected integers \(n, 28, 28\), received "
        with pytest.raises(DatasetError, match=rf"^{expected}{received}$"):
            normalize_images("train", images, transpose=False)

    @pytest.mark.parametrize(
        ("images", "received"),
        [
            pytest.param(IMAGES.view(np.int8), "-128 to 127", id="18-int8"),
            pytest.param(IMAGES.astype(np.int16) + 1, "1 to 256", id="17-too-large"),
        ],
    )
    def test_values_refused(self, images: np.ndarray, received: str) -> None:
        with pytest.raises(DatasetError, match=f"expected pixels 0-255, received {received}$"):
            normalize_images("train", images, transpose=False)

    @pytest.mark.parametrize("pixel", [0, 7, 255])
    def test_31_constant_images(self, pixel: int) -> None:
        with pytest.raises(DatasetError, match="test images: expected pixels that differ"):
            normalize_images("test", np.full_like(IMAGES, pixel), transpose=False)


QMNIST = np.stack([LABELS, np.arange(20), *[LABELS * 7] * 6], axis=1).astype(">i4")


class TestTidyLabels:
    @pytest.mark.parametrize(
        ("labels", "facts"),
        [
            pytest.param(LABELS, {}, id="as-they-are"),
            pytest.param(LABELS.view(np.int8), {}, id="17-int8"),
            pytest.param(LABELS.astype(">i4"), {}, id="17-int32"),
            pytest.param(LABELS[:, np.newaxis], {}, id="27-column"),
            pytest.param(LABELS + 1, {"label_values": 1}, id="from-1"),
            pytest.param(
                np.array([3, 1, 4, 15, 9, 2, 6, 5, 35, 8])[LABELS],
                {"label_values": [3, 1, 4, 15, 9, 2, 6, 5, 35, 8]},
                id="gaps",
            ),
            pytest.param(LABELS.astype(np.int32) - 5, {"label_values": -5}, id="negative"),
            pytest.param(QMNIST, {"label_column": 0}, id="several-columns"),
        ],
    )
    def test_classes_from_0(self, labels: np.ndarray, facts: dict[str, Any]) -> None:
        tidy = normalize_labels("test", labels, 20, make_dataset(**facts))
        np.testing.assert_array_equal(tidy, LABELS, strict=True)

    @pytest.mark.parametrize(
        ("labels", "facts", "received"),
        [
            pytest.param(IMAGES, {}, r"uint8 \(20, 28, 28\)", id="08-images"),
            pytest.param(LABELS.astype(np.float32), {}, r"float32 \(20,\)", id="17-float32"),
            pytest.param(LABELS[:-1], {}, r"uint8 \(19,\)", id="27-fewer"),
            pytest.param(np.append(LABELS, LABELS[:1]), {}, r"uint8 \(21,\)", id="27-more"),
            pytest.param(QMNIST, {}, r"int32 \(20, 8\): label_column says which", id="columns"),
        ],
    )
    def test_form_refused(self, labels: np.ndarray, facts: dict[str, Any], received: str) -> None:
        message = rf"^test labels: expected integers \(20,\), received {received}$"
        with pytest.raises(DatasetError, match=message):
            normalize_labels("test", labels, 20, make_dataset(**facts))

    def test_column_that_is_not_there(self) -> None:
        with pytest.raises(DatasetError, match=r"expected a column 8, received \(20, 8\)$"):
            normalize_labels("test", QMNIST, 20, make_dataset(label_column=8))

    @pytest.mark.parametrize(
        ("labels", "facts", "expected", "received"),
        [
            pytest.param(np.append(LABELS[1:], 10), {}, "0-9", "10", id="29-label-10"),
            pytest.param(np.append(LABELS[1:], 255), {}, "0-9", "255", id="29-label-255"),
            pytest.param(LABELS + 1, {}, "0-9", "10", id="letters-from-1"),
            pytest.param(LABELS, {"label_values": 1}, "1-10", "0", id="digits-from-0"),
            pytest.param(np.arange(20), {}, "0-9", "10-19", id="many"),
        ],
    )
    def test_strange_labels(
        self, labels: np.ndarray, facts: dict[str, Any], expected: str, received: str
    ) -> None:
        message = (
            f"^test labels: expected {expected}, as label_values and class_names of the dataset "
            f"say, received {received}, too$"
        )
        with pytest.raises(DatasetError, match=message):
            normalize_labels("test", labels, 20, make_dataset(**facts))


class TestCheckClasses:
    def test_all_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        check_classes("train", LABELS, list("abcdefghij"))
        check_classes("test", LABELS, list("abcdefghij"))
        assert capsys.readouterr().err == ""

    def test_30_absent_from_train(self) -> None:
        message = "^train labels: expected all classes, received no image of a, j$"
        with pytest.raises(DatasetError, match=message):
            check_classes("train", LABELS.clip(1, 8), list("abcdefghij"))

    def test_30_absent_from_test(self, capsys: pytest.CaptureFixture[str]) -> None:
        check_classes("test", LABELS.clip(max=8), list("abcdefghij"))
        said = capsys.readouterr().err
        assert said.startswith("WARNING: test labels: expected all classes, received no image of j")


class TestScalePixels:
    def test_67_every_value(self) -> None:
        pixels = np.zeros((1, 28, 28), np.uint8)
        pixels.flat[:256] = np.arange(256)
        scaled = scale_pixels(pixels)
        assert scaled.dtype == np.float32
        assert scaled.shape == (1, 28, 28, 1)
        assert scaled.ravel()[:256].tolist() == [float(np.float32(k / 255)) for k in range(256)]
        assert (scaled.min(), scaled.max()) == (0, 1)

    def test_pixels_can_be_had_back(self) -> None:
        restored = np.rint(scale_pixels(IMAGES)[..., 0] * 255).astype(np.uint8)
        np.testing.assert_array_equal(restored, IMAGES)

    def test_no_images(self) -> None:
        assert scale_pixels(IMAGES[:0]).shape == (0, 28, 28, 1)


def draw_labels(count: int) -> np.ndarray:
    """Draw uint8 (count,) labels, some classes more frequent than others, all with a few."""
    shares = np.linspace(1, 3, 10) / 20
    return np.random.default_rng(0).choice(10, count, p=shares).astype(np.uint8)


class TestSplitValidation:
    @pytest.mark.parametrize("count", [200, 997, 5000])
    @pytest.mark.parametrize("fraction", [0.1, 0.25, 1 / 3, 0.5, 0.9])
    @pytest.mark.parametrize("seed", [0, 2**32 - 1])
    def test_parts(self, count: int, fraction: float, seed: int) -> None:
        labels = draw_labels(count)
        train, validation = split_validation(labels, fraction, seed)
        assert sorted([*train, *validation]) == list(range(count))  # disjoint and complete
        assert (np.diff(train) > 0).all()
        assert (np.diff(validation) > 0).all()
        assert abs(len(validation) - fraction * count) < 1
        counts = np.bincount(labels[validation], minlength=10)
        assert (np.abs(counts - fraction * np.bincount(labels)) <= 1).all()

    def test_seed(self) -> None:
        labels = draw_labels(500)
        first, again, other = (split_validation(labels, 0.1, seed)[1] for seed in (0, 0, 1))
        assert first.tolist() == again.tolist()
        assert first.tolist() != other.tolist()

    def test_validation_is_not_the_start_of_the_file(self) -> None:
        validation = split_validation(draw_labels(1000), 0.1, 0)[1]
        assert 300 < validation.mean() < 700

    @pytest.mark.parametrize("fraction", [0.001, 0.04, 0.96, 0.999])
    def test_impossible_fraction(self, fraction: float) -> None:
        with pytest.raises(DatasetError, match=rf"^decode\.validation_fraction {fraction}: .*$"):
            split_validation(np.arange(100) % 10, fraction, 0)

    @pytest.mark.parametrize("rare_count", [1, 2])
    def test_class_too_rare_for_both_parts(self, rare_count: int) -> None:
        labels = np.arange(900) % 9
        labels[:rare_count] = 9
        with pytest.raises(DatasetError, match=r"^decode\.validation_fraction 0\.1: .*$"):
            split_validation(labels, 0.1, 0)


@pytest.fixture
def raw_dir(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the `data/raw` of a project, the current folder, in which fetch has run."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(
        "dataset: mnist\ndecode:\n  validation_fraction: 0.1\n  seed: 0\n  added_repeats: 1\n"
    )
    folder = tmp_path / "data/raw"
    folder.mkdir(parents=True)
    for path in synthetic.iterdir():
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return Path("data/raw")


def read_outputs() -> dict[str, bytes]:
    folder = Path("data/decoded")
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rewrite(raw_dir: Path, part: str, change: Callable[[np.ndarray], np.ndarray]) -> RawFile:
    """Change a file's array."""
    file: RawFile = getattr(load_dataset("mnist"), part)
    path = raw_dir / file.name
    path.write_bytes(idx.encode(change(idx.decode(path.read_bytes()))))
    return file


def check_refused(kind: type[DigitsError], message: str) -> None:
    with pytest.raises(kind, match=rf"\A{message}.*\Z"):
        main()
    assert not Path("data/decoded").exists()


@pytest.mark.usefixtures("raw_dir")
class TestMain:
    def test_outputs(self, capsys: pytest.CaptureFixture[str]) -> None:
        main()
        assert list(read_outputs()) == [
            "data/decoded/dataset.json",
            "data/decoded/test/images.npy",
            "data/decoded/test/labels.npy",
            "data/decoded/train/images.npy",
            "data/decoded/train/labels.npy",
            "data/decoded/validation/images.npy",
            "data/decoded/validation/labels.npy",
        ]
        assert capsys.readouterr().out == (
            "Synthetic: 135 train, 15 validation, 50 test images in data/decoded\n"
        )

    def test_arrays_are_those_of_the_files(self, raw_dir: Path) -> None:
        main()
        raw = {path.name: np.frombuffer(path.read_bytes(), np.uint8) for path in raw_dir.iterdir()}
        test = load_split(Path("data/decoded/test"), 10)
        labels = raw["t10k-labels-idx1-ubyte"][8:]
        np.testing.assert_array_equal(test.labels, labels, strict=True)
        pixels = raw["t10k-images-idx3-ubyte"][16:].reshape(-1, 28, 28, 1)
        np.testing.assert_array_equal(test.images, pixels / np.float32(255), strict=True)

    def test_train_and_validation_are_the_training_file(self, raw_dir: Path) -> None:
        main()
        parts = [load_split(Path("data/decoded", name), 10) for name in ("train", "validation")]
        images = np.concatenate([part.images for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        expected = idx.decode((raw_dir / "train-images-idx3-ubyte").read_bytes()) / np.float32(255)
        assert sorted(map(bytes, images)) == sorted(map(bytes, expected))
        assert np.bincount(labels).tolist() == [15] * 10

    def test_card(self) -> None:
        main()
        card = load_card(Path("data/decoded/dataset.json"))
        assert (card.name, card.title) == ("mnist", "Synthetic")
        assert load_json(Path("data/decoded/dataset.json"))["class_names"] == list("0123456789")

    def test_65_repeat_gives_the_same_bytes(self) -> None:
        main()
        first = read_outputs()
        main()
        assert read_outputs() == first

    def test_other_seed_gives_other_parts(self) -> None:
        main()
        first = read_outputs()
        params = Path("params.yaml")
        params.write_text(params.read_text().replace("seed: 0", "seed: 1"))
        main()
        changed = {path for path, data in read_outputs().items() if data != first[path]}
        assert "data/decoded/validation/images.npy" in changed
        assert not any(path.startswith("data/decoded/test/") for path in changed)

    def test_links_into_a_cache_are_read(self, raw_dir: Path, tmp_path: Path) -> None:
        main()
        first = read_outputs()
        for path in list(raw_dir.iterdir()):
            (tmp_path / path.name).write_bytes(path.read_bytes())
            path.unlink()
            path.symlink_to(tmp_path / path.name)
        main()
        assert read_outputs() == first


class TestMainRefusals:
    @pytest.mark.parametrize("number", range(4))
    def test_missing_raw_file(self, number: int, raw_dir: Path) -> None:
        path = raw_dir / load_dataset("mnist").files[number].name
        path.unlink()
        check_refused(ArtifactError, f"{path}: expected a file, received none: run fetch")

    @pytest.mark.parametrize("part", ["images-idx3-ubyte", "labels-idx1-ubyte"])
    def test_28_train_and_test_swapped(self, part: str, raw_dir: Path) -> None:
        train, test = raw_dir / f"train-{part}", raw_dir / f"t10k-{part}"
        size = test.stat().st_size
        train.rename(raw_dir / "kept")
        test.rename(train)
        (raw_dir / "kept").rename(test)
        check_refused(RawFileError, rf"train-{part}: expected \d+ bytes, received {size}")

    @pytest.mark.parametrize("part", ["train_labels", "test_labels"])
    def test_32_permuted_labels(self, part: str, raw_dir: Path) -> None:
        file = rewrite(raw_dir, part, np.random.default_rng(0).permutation)
        check_refused(RawFileError, f"{file.name}: expected SHA-256 {file.raw_sha256}, received ")

    @pytest.mark.parametrize("part", ["train_images", "test_images"])
    def test_33_other_images_under_the_same_name(self, part: str, raw_dir: Path) -> None:
        file = rewrite(raw_dir, part, lambda images: 255 - images)
        check_refused(RawFileError, f"{file.name}: expected SHA-256 {file.raw_sha256}, received ")

    @pytest.mark.parametrize("part", ["train_images", "test_images"])
    def test_34_transposed_images(self, part: str, raw_dir: Path) -> None:
        file = rewrite(raw_dir, part, lambda images: images.transpose(0, 2, 1))
        check_refused(RawFileError, f"{file.name}: expected SHA-256 {file.raw_sha256}, received ")

    def test_refusal_leaves_the_last_good_outputs(self, raw_dir: Path) -> None:
        main()
        first = read_outputs()
        rewrite(raw_dir, "test_labels", np.flip)
        with pytest.raises(RawFileError):
            main()
        assert read_outputs() == first

    def test_next_run_succeeds_once_the_cause_is_gone(self, raw_dir: Path) -> None:
        path = raw_dir / "t10k-labels-idx1-ubyte"
        raw = path.read_bytes()
        path.write_bytes(raw[:-1])
        check_refused(RawFileError, "t10k-labels-idx1-ubyte: expected 58 bytes, received 57")
        path.write_bytes(b"")
        check_refused(DatasetError, f"{path}: expected an IDX file, received 0 bytes")
        path.write_bytes(raw)
        main()
        assert load_array(Path("data/decoded/test/labels.npy"), "uint8", (None,)).shape == (50,)

    @pytest.mark.usefixtures("raw_dir")
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("  seed: -1", "params.yaml: decode.seed: expected greater than or equal to 0"),
            ("  seeds: 0", "params.yaml: decode.seed: expected a value, received none"),
        ],
    )
    def test_params(self, line: str, message: str) -> None:
        params = Path("params.yaml")
        params.write_text(params.read_text().replace("  seed: 0", line))
        check_refused(ConfigError, message)

    @pytest.mark.usefixtures("raw_dir")
    def test_fraction_that_leaves_no_image_of_a_class(self) -> None:
        params = Path("params.yaml")
        params.write_text(params.read_text().replace("0.1", "0.01"))
        check_refused(DatasetError, "decode.validation_fraction 0.01: ")
