"""The decode stage: what passes for a dataset, scaling, the validation split, the whole stage."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import FACTS, NAMES, Contents, write

from digits.data.datasets import Dataset
from digits.data.preprocessing import check_classes, normalize_images, normalize_labels
from digits.data.splits import load_card, load_split
from digits.errors import DigitsError
from pipeline.decode import main, split_validation

IMAGES = np.arange(20 * 28 * 28).reshape(20, 28, 28).astype(np.uint8)
LABELS = np.repeat(np.arange(10, dtype=np.uint8), 2)
QMNIST = np.stack([LABELS, np.arange(20), *[LABELS * 7] * 6], axis=1).astype(">i4")
CLASSES = list("abcdefghij")


@pytest.mark.parametrize(
    ("images", "transpose"),
    [
        pytest.param(IMAGES.astype(">i2"), False, id="int16"),
        pytest.param(IMAGES.reshape(20, 784), False, id="flat"),
        pytest.param(IMAGES[..., np.newaxis], False, id="channel-last"),
        pytest.param(IMAGES[:, np.newaxis], False, id="channel-first"),
        pytest.param(IMAGES.transpose(0, 2, 1), True, id="transposed"),
    ],
)
def test_images_come_into_one_form(images: np.ndarray, *, transpose: bool) -> None:
    found = normalize_images("train", images, transpose=transpose)
    np.testing.assert_array_equal(found, IMAGES, strict=True)


FORM = r"integers \(n, 28, 28\), received "


@pytest.mark.parametrize(
    ("images", "message"),
    [
        pytest.param(IMAGES.astype(np.float32), FORM + r"float32 \(20, 28, 28\)", id="float32"),
        pytest.param(np.stack([IMAGES] * 3, -1), FORM + r"uint8 .*, 3\)", id="colour"),
        pytest.param(IMAGES.astype(int) + 1, "pixels 0-255, received 1 to 256", id="256"),
        pytest.param(np.full_like(IMAGES, 7), "pixels that differ", id="constant"),
    ],
)
def test_images_that_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(DigitsError, match=f"^train images: expected {message}"):
        normalize_images("train", images, transpose=False)


GAPS = [3, 1, 4, 15, 9, 2, 6, 5, 35, 8]


@pytest.mark.parametrize(
    ("labels", "facts"),
    [
        pytest.param(LABELS.astype(">i4"), {}, id="int32"),
        pytest.param(LABELS[:, np.newaxis], {}, id="column"),
        pytest.param(np.array(GAPS)[LABELS], {"label_values": GAPS}, id="gaps"),
        pytest.param(QMNIST, {"label_column": 0}, id="several-columns"),
    ],
)
def test_labels_count_from_0(labels: np.ndarray, facts: dict[str, Any]) -> None:
    dataset = Dataset(**(FACTS | {"class_names": CLASSES} | facts))
    found = normalize_labels("test", labels, 20, dataset)
    np.testing.assert_array_equal(found, LABELS, strict=True)


@pytest.mark.parametrize(
    ("labels", "facts", "message"),
    [
        (QMNIST, {}, r"integers \(20,\), received int32 \(20, 8\): label_column says which$"),
        (np.append(LABELS[1:], 255), {}, r"\[0, 1, .*, 9\], as label_.*, received \[255\], too$"),
        (LABELS, {"label_values": 1}, r"\[1, .*, 10\], as label_.*, received \[0\], too$"),
    ],
    ids=["columns", "255", "digits-from-0"],
)
def test_labels_that_are_refused(labels: np.ndarray, facts: dict[str, Any], message: str) -> None:
    dataset = Dataset(**(FACTS | {"class_names": CLASSES} | facts))
    with pytest.raises(DigitsError, match=f"^test labels: expected {message}"):
        normalize_labels("test", labels, 20, dataset)


def test_class_without_images(capsys: pytest.CaptureFixture[str]) -> None:
    check_classes("train", LABELS, CLASSES)
    check_classes("test", LABELS.clip(max=8), CLASSES)
    said = capsys.readouterr().err
    assert said.startswith("WARNING: test labels: expected all classes, received no image of j")
    message = "^train labels: expected all classes, received no image of a, j$"
    with pytest.raises(DigitsError, match=message):
        check_classes("train", LABELS.clip(1, 8), CLASSES)


@pytest.mark.parametrize("count", [200, 997])
@pytest.mark.parametrize("fraction", [0.1, 1 / 3, 0.9])
def test_validation_is_stratified_and_from_the_whole_file(count: int, fraction: float) -> None:
    shares = np.linspace(1, 3, 10) / 20  # some classes are more frequent than others
    labels = np.random.default_rng(0).choice(10, count, p=shares).astype(np.uint8)
    train, validation = split_validation(labels, fraction, 0)
    assert sorted([*train, *validation]) == list(range(count))  # disjoint and complete
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    counts = np.bincount(labels[validation], minlength=10)
    assert (np.abs(counts - fraction * np.bincount(labels)) <= 1).all()
    assert 0.3 < validation.mean() / count < 0.7


@pytest.mark.parametrize(
    ("labels", "fraction"),
    [(np.arange(100) % 10, 0.001), (np.arange(100) % 10, 0.96), (np.repeat([0, 1], [899, 1]), 0.1)],
    ids=["small", "large", "rare"],
)
def test_fraction_that_leaves_no_image_of_a_class(labels: np.ndarray, fraction: float) -> None:
    with pytest.raises(DigitsError, match=rf"^decode\.validation_fraction {fraction}: .*$"):
        split_validation(labels, fraction, 0)


@pytest.fixture
def raw_dir(contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the `data/raw` of a project, the current folder, in which fetch has run."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(
        "dataset: mnist\ndecode:\n  validation_fraction: 0.1\n  seed: 0\n  added_repeats: 1\n"
    )
    write(contents, Path("data/raw"))
    return Path("data/raw")


def read_outputs() -> dict[str, bytes]:
    paths = (path for path in sorted(Path("data/decoded").rglob("*")) if path.is_file())
    return {str(path.relative_to("data/decoded")): path.read_bytes() for path in paths}


def pair_up(pixels: np.ndarray, labels: np.ndarray) -> list[tuple[bytes, int]]:
    """Scale images, and put each beside its label."""
    images = pixels.reshape(-1, 28, 28, 1) / np.float32(255)
    return [*zip(map(bytes, images), labels, strict=True)]


@pytest.mark.usefixtures("raw_dir")
def test_stage_writes_the_arrays_of_the_files(
    contents: Contents, capsys: pytest.CaptureFixture[str]
) -> None:
    main()
    said = "Synthetic: 135 train, 15 validation, 50 test images in data/decoded\n"
    assert capsys.readouterr().out == said
    card = load_card(Path("data/decoded/dataset.json"))
    assert (card.name, card.title, card.class_names) == ("mnist", "Synthetic", list("0123456789"))
    pixels, labels, test_pixels, test_labels = (
        np.frombuffer(contents[name], np.uint8) for name in NAMES
    )
    expected = pair_up(pixels[16:], labels[8:]), pair_up(test_pixels[16:], test_labels[8:])
    splits = [load_split(Path("data/decoded", x), 10) for x in ("train", "validation", "test")]
    train, validation, test = (
        [*zip(map(bytes, split.images), split.labels, strict=True)] for split in splits
    )
    assert (sorted(train + validation), test) == (sorted(expected[0]), expected[1])


def test_repeat_gives_the_same_bytes_and_another_seed_others(raw_dir: Path) -> None:
    main()
    first = read_outputs()
    for path in raw_dir.iterdir():  # as DVC leaves it where its cache is linked
        path.rename(path.name)
        path.symlink_to(Path(path.name).absolute())
    main()
    assert read_outputs() == first
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("seed: 0", "seed: 1"))
    main()
    changed = {path for path, data in read_outputs().items() if data != first[path]}
    assert "validation/images.npy" in changed
    assert not any(path.startswith("test/") for path in changed)


@pytest.mark.parametrize("data", [b"", b"<html>"])
def test_file_that_is_no_idx_leaves_the_last_good_outputs(data: bytes, raw_dir: Path) -> None:
    main()
    first = read_outputs()
    path = raw_dir / "t10k-labels-idx1-ubyte"
    path.write_bytes(data)
    with pytest.raises(DigitsError, match=f"^{path}: expected an IDX file, "):
        main()
    assert read_outputs() == first
