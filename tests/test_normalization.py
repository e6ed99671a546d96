"""Handwriting in MNIST's form: 20 pixels tall, the centre of mass in the middle."""

import numpy as np
import pytest

from digits.data.splits import Card
from digits.evaluation.optdigits_accuracy import load_optdigits, score_optdigits
from digits.imaging.normalization import centre

DIGITS = [*"0123456789"]


def bar(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    ink = np.zeros(shape)
    ink[rows, columns] = 1
    return ink


def find_middle(image: np.ndarray) -> tuple[float, float]:
    grid = np.arange(28)
    return image.sum(axis=1) @ grid / image.sum(), image.sum(axis=0) @ grid / image.sum()


@pytest.mark.parametrize(
    "ink",
    [
        bar((8, 8), slice(0, 8), slice(2, 6)),
        bar((900, 700), slice(100, 700), slice(400, 700)),
        bar((40, 40), slice(10, 30), slice(5, 15)),
    ],
    ids=["small", "large", "of the right size"],
)
def test_any_size_anywhere_becomes_twenty_by_ten_in_the_middle(ink: np.ndarray) -> None:
    image = centre(ink)
    assert image.shape == (28, 28)
    assert image.dtype == np.float32
    assert find_middle(image) == pytest.approx((14, 14), abs=0.05)
    assert image.sum() == pytest.approx(20 * 10, rel=0.03)
    assert image.max() == pytest.approx(1, abs=0.01)
    rows, columns = (image.max(axis=axis) > 0.5 for axis in (1, 0))
    assert rows.sum() == pytest.approx(20, abs=1)
    assert columns.sum() == pytest.approx(10, abs=1)


def test_strokes_that_shrink_turn_grey_and_none_is_skipped() -> None:
    lines = np.zeros((400, 400))
    lines[::10] = 1  # one pixel each, two a pixel of the result
    lines[:, [0, -1]] = 1
    image = centre(lines)
    assert image[6:22, 8:20] == pytest.approx(0.1, abs=0.02)


def test_nothing_written_is_an_empty_image() -> None:
    assert not centre(np.zeros((9, 7))).any()


def test_optdigits_are_the_embedded_digits_centred() -> None:
    other = load_optdigits()
    assert other.images.shape == (1797, 28, 28, 1)
    assert other.images.dtype == np.float32
    middles = [find_middle(image) for image in other.images[:100, ..., 0]]
    assert np.abs(np.array(middles) - 14).max() < 0.6


@pytest.mark.parametrize(
    ("name", "class_names", "expected"),
    [
        ("mnist", DIGITS, {"optdigits_accuracy": 183 / 1797}),
        ("optdigits", DIGITS, {}),
        ("emnist", [*DIGITS, "A"], {}),
    ],
)
def test_models_that_read_digits_and_have_not_learnt_these_are_judged(
    name: str, class_names: list[str], expected: dict[str, float]
) -> None:
    card = Card(name=name, title=name, class_names=class_names, image_counts={})
    scored = score_optdigits(lambda images: np.full(len(images), 3), card)
    assert scored == pytest.approx(expected)
