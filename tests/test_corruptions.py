"""Corrupted images: each does what its name says, and the score of a model under them."""

import math

import numpy as np
import pandas as pd
import pytest

from digits.data.splits import Split
from digits.evaluation.corruptions import CORRUPTIONS, measure_robustness, score_robustness

CENTRE = 13.5


def dot(row: int, column: int, count: int = 4) -> np.ndarray:
    images = np.zeros((count, 28, 28), np.float32)
    images[:, row - 1 : row + 2, column - 1 : column + 2] = 1
    return images


def locate(image: np.ndarray) -> tuple[float, float]:
    grid = np.arange(28)
    mass = image.sum()
    return float(image.sum(axis=1) @ grid / mass), float(image.sum(axis=0) @ grid / mass)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_no_strength_leaves_the_images_alone(name: str) -> None:
    images = np.random.default_rng(0).random((5, 28, 28), np.float32)
    np.testing.assert_allclose(CORRUPTIONS[name].apply(images, 0.0), images, atol=1e-6)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_images_stay_images_and_the_original_is_untouched(name: str) -> None:
    images = np.random.default_rng(0).random((5, 28, 28), np.float32)
    before = images.copy()
    for strength in CORRUPTIONS[name].strengths:
        corrupted = CORRUPTIONS[name].apply(images, strength)
        assert corrupted.shape == images.shape
        assert corrupted.dtype == np.float32
        assert corrupted.min() >= 0
        assert corrupted.max() <= 1 + 1e-6
        np.testing.assert_array_equal(corrupted, CORRUPTIONS[name].apply(images, strength))
    np.testing.assert_array_equal(images, before)


def test_shift_goes_to_all_four_sides() -> None:
    moved = CORRUPTIONS["shift"].apply(dot(12, 15), 3)
    assert [locate(image) for image in moved] == [(12, 18), (15, 15), (12, 12), (9, 15)]


def test_rotation_turns_about_the_centre_both_ways() -> None:
    turned = CORRUPTIONS["rotation"].apply(dot(6, 14), 20)
    angles = []
    for image in turned:
        row, column = locate(image)
        angles.append(math.degrees(math.atan2(column - CENTRE, CENTRE - row)))
    start = math.degrees(math.atan2(14 - CENTRE, CENTRE - 6))
    assert sorted(abs(angle - start) for angle in angles) == pytest.approx([20] * 4, abs=1)
    assert np.sign(angles).tolist() == [-np.sign(angles[1]), np.sign(angles[1])] * 2


def test_noise_has_the_deviation_it_says() -> None:
    grey = np.full((50, 28, 28), 0.5, np.float32)
    noisy = CORRUPTIONS["noise"].apply(grey, 0.1)
    assert noisy.std() == pytest.approx(0.1, rel=0.02)
    assert noisy.mean() == pytest.approx(0.5, abs=0.002)


def test_blur_spreads_as_far_as_it_says_and_keeps_the_ink() -> None:
    image = np.zeros((1, 28, 28), np.float32)
    image[0, 14, 14] = 1
    blurred = CORRUPTIONS["blur"].apply(image, 2.0)[0]
    assert blurred.sum() == pytest.approx(1, abs=1e-3)
    variance = blurred.sum(axis=0) @ (np.arange(28) - 14.0) ** 2
    assert math.sqrt(variance) == pytest.approx(2, rel=0.02)


def test_contrast_shrinks_about_the_mean_of_the_image() -> None:
    images = np.random.default_rng(0).random((3, 28, 28), np.float32)
    flat = CORRUPTIONS["contrast"].apply(images, 0.75)
    np.testing.assert_allclose(flat.mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(flat.std(axis=(1, 2)), images.std(axis=(1, 2)) / 4, rtol=1e-4)


def test_inversion_swaps_ink_and_paper() -> None:
    images = np.random.default_rng(0).random((3, 28, 28), np.float32)
    np.testing.assert_allclose(CORRUPTIONS["inversion"].apply(images, 1.0), 1 - images, atol=1e-6)


def test_robustness_scores_every_strength_on_images_from_all_over_the_split() -> None:
    count = 40
    labels = (np.arange(count) % 2).astype(np.uint8)
    images = np.zeros((count, 28, 28, 1), np.float32)
    images[labels == 1] = 0.9
    asked = []

    def predict(batch: np.ndarray) -> np.ndarray:
        asked.append(len(batch))
        return (batch.mean(axis=(1, 2, 3)) > 0.82).astype(int)

    table = measure_robustness(predict, Split(images, labels), count=20)
    strengths = [len(corruption.strengths) for corruption in CORRUPTIONS.values()]
    assert len(table) == sum(strengths) + len(strengths)
    assert asked == [20, *(20 * number for number in strengths)]  # the images as they are, once
    assert (table[table["strength"] == 0]["accuracy"] == 1).all()
    accuracy = table.set_index(["corruption", "strength"])["accuracy"]
    assert accuracy["inversion", 1.0] == 0
    assert accuracy["contrast", 0.8] == 1
    # Full of 0.9, an image shifted by two pixels has a mean of 0.84; by three, one of 0.80.
    assert accuracy["shift"].to_list() == [1, 1, 1, 0.5, 0.5]


def test_robustness_weighs_every_corruption_the_same() -> None:
    rows = [("a", 0, 1.0), ("a", 1, 0.8), ("a", 2, 0.4), ("b", 0, 1.0), ("b", 1, 0.2)]
    table = pd.DataFrame(rows, columns=["corruption", "strength", "accuracy"])
    assert score_robustness(table) == pytest.approx((0.6 + 0.2) / 2)
