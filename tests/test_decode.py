"""The decode stage: what passes for a dataset, scaling, the validation split, the whole stage.

The numbers in the names are those of the list of bad inputs that the data path must survive.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from digits.data import idx
from digits.data.datasets import RawFile, load_dataset
from digits.data.raw import RawFileError
from digits.data.splits import load_card, load_split
from digits.errors import DigitsError
from digits.files.artifacts import ArtifactError, load_array, load_json
from digits.files.params import ParamsError
from pipeline.decode import (
    DatasetError,
    check_dataset,
    main,
    scale_pixels,
    split_validation,
)

IMAGES = np.arange(20 * 28 * 28).reshape(20, 28, 28).astype(np.uint8)
LABELS = np.repeat(np.arange(10, dtype=np.uint8), 2)


class TestCheckDataset:
    def test_good(self) -> None:
        check_dataset("train", IMAGES, LABELS, 10)

    @pytest.mark.parametrize(
        "images",
        [
            pytest.param(LABELS, id="08-labels"),
            pytest.param(IMAGES[:, :0], id="14-zero-rows"),
            pytest.param(IMAGES.astype(np.int16), id="17-int16"),
            pytest.param(IMAGES.astype(np.int32), id="17-int32"),
            pytest.param(IMAGES.astype(np.float32), id="17-float32"),
            pytest.param(IMAGES.view(np.int8), id="18-int8"),
            pytest.param(np.full((20, 28, 28), np.nan), id="19-nan"),
            pytest.param(IMAGES.reshape(20, 14, 56), id="26-14x56"),
            pytest.param(IMAGES[:, :, :27], id="26-28x27"),
            pytest.param(np.pad(IMAGES, ((0, 0), (2, 2), (2, 2))), id="26-32x32"),
            pytest.param(IMAGES.reshape(20, 784), id="26-flat"),
            pytest.param(IMAGES[..., np.newaxis], id="26-channel"),
        ],
    )
    def test_images_refused(self, images: np.ndarray) -> None:
        expected = r"train images: expected uint8 \(n, 28, 28\), received "
        with pytest.raises(
            DatasetError, match=rf"^{expected}{images.dtype} \({len(images)}, ?.*\)$"
        ):
            check_dataset("train", images, LABELS, 10)

    @pytest.mark.parametrize(
        "labels",
        [
            pytest.param(IMAGES, id="08-images"),
            pytest.param(LABELS.astype(np.int32), id="17-int32"),
            pytest.param(LABELS.view(np.int8), id="18-int8"),
            pytest.param(LABELS[:-1], id="27-fewer"),
            pytest.param(np.append(LABELS, LABELS[:1]), id="27-more"),
            pytest.param(LABELS[:, np.newaxis], id="27-column"),
        ],
    )
    def test_labels_refused(self, labels: np.ndarray) -> None:
        with pytest.raises(DatasetError, match=r"^test labels: expected uint8 \(20,\), received "):
            check_dataset("test", IMAGES, labels, 10)

    @pytest.mark.parametrize(
        ("labels", "received"),
        [
            pytest.param(LABELS.clip(1), r"\[1, 2, .*, 9\]", id="30-no-0"),
            pytest.param(LABELS.clip(max=8), r"\[0, 1, .*, 8\]", id="30-no-9"),
            pytest.param(np.where(LABELS == 5, 4, LABELS), r"\[.* 4, 6, .*\]", id="30-no-5"),
            pytest.param(np.append(LABELS[1:], 10), r"\[0, .*, 9, 10\]", id="29-label-10"),
            pytest.param(np.append(LABELS[1:], 255), r"\[0, .*, 9, 255\]", id="29-label-255"),
        ],
    )
    def test_label_values_refused(self, labels: np.ndarray, received: str) -> None:
        message = rf"^train labels: expected all of 0-9, received {received}$"
        with pytest.raises(DatasetError, match=message):
            check_dataset("train", IMAGES, labels.astype(np.uint8), 10)

    def test_13_no_images(self) -> None:
        with pytest.raises(DatasetError, match=r"train labels: .* received \[\]"):
            check_dataset("train", IMAGES[:0], LABELS[:0], 10)

    @pytest.mark.parametrize("pixel", [0, 7, 255])
    def test_31_constant_images(self, pixel: int) -> None:
        with pytest.raises(DatasetError, match="test images: expected pixels that differ"):
            check_dataset("test", np.full_like(IMAGES, pixel), LABELS, 10)


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
        "dataset: mnist\ndecode:\n  validation_fraction: 0.1\n  seed: 0\n"
    )
    Path("data").mkdir()
    return synthetic.rename("data/raw")


def read_outputs() -> dict[str, bytes]:
    folder = Path("data/decoded")
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rewrite(raw_dir: Path, part: str, change: Callable[[np.ndarray], np.ndarray]) -> RawFile:
    """Change a published file's array; kept uncompressed, so that its size stays the same."""
    file: RawFile = getattr(load_dataset("mnist"), part)
    path = raw_dir / file.gzip_name
    path.write_bytes(idx.encode(change(idx.decode(gzip.decompress(path.read_bytes())))))
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
        raw = {
            path.name: np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
            for path in raw_dir.iterdir()
        }
        test = load_split(Path("data/decoded/test"), 10)
        labels = raw["t10k-labels-idx1-ubyte.gz"][8:]
        np.testing.assert_array_equal(test.labels, labels, strict=True)
        pixels = raw["t10k-images-idx3-ubyte.gz"][16:].reshape(-1, 28, 28, 1)
        np.testing.assert_array_equal(test.images, pixels / np.float32(255), strict=True)

    def test_train_and_validation_are_the_training_file(self, raw_dir: Path) -> None:
        main()
        parts = [load_split(Path("data/decoded", name), 10) for name in ("train", "validation")]
        images = np.concatenate([part.images for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        packed = (raw_dir / "train-images-idx3-ubyte.gz").read_bytes()
        expected = idx.decode(gzip.decompress(packed)) / np.float32(255)
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

    def test_23_raw_content_under_gz_names(self, raw_dir: Path) -> None:
        main()
        first = read_outputs()
        for path in raw_dir.iterdir():
            path.write_bytes(gzip.decompress(path.read_bytes()))
        main()
        assert read_outputs() == first


class TestMainRefusals:
    @pytest.mark.parametrize("number", range(4))
    def test_missing_raw_file(self, number: int, raw_dir: Path) -> None:
        path = raw_dir / load_dataset("mnist").files[number].gzip_name
        path.unlink()
        check_refused(ArtifactError, f"{path}: expected a file, received none: run fetch")

    @pytest.mark.parametrize("part", ["images-idx3-ubyte", "labels-idx1-ubyte"])
    def test_28_train_and_test_swapped(self, part: str, raw_dir: Path) -> None:
        train, test = raw_dir / f"train-{part}.gz", raw_dir / f"t10k-{part}.gz"
        size = test.stat().st_size
        train.rename(raw_dir / "kept")
        test.rename(train)
        (raw_dir / "kept").rename(test)
        check_refused(RawFileError, rf"train-{part}\.gz: expected \d+ bytes, received {size}")

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

    @pytest.mark.parametrize("number", range(4))
    def test_33_other_dataset_compressed(self, number: int, raw_dir: Path) -> None:
        file = load_dataset("mnist").files[number]
        path = raw_dir / file.gzip_name
        raw = gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(raw[:16] + raw[16:][::-1], mtime=0))
        check_refused(
            RawFileError, rf"{file.gzip_name}: expected (\d+ bytes|SHA-256 \w+), received"
        )

    def test_refusal_leaves_the_last_good_outputs(self, raw_dir: Path) -> None:
        main()
        first = read_outputs()
        rewrite(raw_dir, "test_labels", np.flip)
        with pytest.raises(RawFileError):
            main()
        assert read_outputs() == first

    def test_next_run_succeeds_once_the_cause_is_gone(self, raw_dir: Path) -> None:
        path = raw_dir / "t10k-labels-idx1-ubyte.gz"
        packed = path.read_bytes()
        path.write_bytes(packed[:-1])
        check_refused(RawFileError, "t10k-labels-idx1-ubyte.gz: expected ")
        path.write_bytes(packed)
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
        check_refused(ParamsError, message)

    @pytest.mark.usefixtures("raw_dir")
    def test_fraction_that_leaves_no_image_of_a_class(self) -> None:
        params = Path("params.yaml")
        params.write_text(params.read_text().replace("0.1", "0.01"))
        check_refused(DatasetError, "decode.validation_fraction 0.01: ")
