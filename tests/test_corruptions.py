"""Corrupted images: each kind does what its name says, to every image by itself."""

import math

import numpy as np
import pytest
from scipy.stats import poisson

from digits.evaluation.corruptions import KINDS, MNIST_C, corrupt

CENTRE = 13.5
BLACK = np.zeros((200, 28, 28), np.float32)
NOISY = np.random.default_rng(0).random((6, 28, 28), np.float32)


def dot(row: int, column: int, count: int = 40) -> np.ndarray:
    images = np.zeros((count, 28, 28), np.float32)
    images[:, row - 1 : row + 2, column - 1 : column + 2] = 1
    return images


def locate(images: np.ndarray) -> np.ndarray:
    """Return the centre of mass of each image as (row, column) from the middle."""
    grid = np.arange(28) - CENTRE
    mass = images.sum(axis=(1, 2))
    return np.stack([images.sum(axis=2) @ grid, images.sum(axis=1) @ grid], axis=1) / mass[:, None]


def test_kinds_are_the_fifteen_of_the_benchmark_and_two_more() -> None:
    assert len(MNIST_C) == 15
    assert [*KINDS][15:] == ["inversion", "defocus"]


@pytest.mark.parametrize("name", KINDS)
def test_images_stay_images_and_the_original_is_untouched(name: str) -> None:
    before = NOISY.copy()
    corrupted = corrupt(name, NOISY)
    assert corrupted.shape == NOISY.shape
    assert corrupted.dtype == np.float32
    assert corrupted.min() >= 0
    assert corrupted.max() <= 1
    assert (np.abs(corrupted - NOISY).max(axis=(1, 2)) > 0.1).all()
    np.testing.assert_array_equal(corrupted, corrupt(name, NOISY))
    np.testing.assert_array_equal(NOISY, before)


@pytest.mark.parametrize("name", KINDS)
def test_image_at_a_position_does_not_depend_on_the_others(name: str) -> None:
    corrupted = corrupt(name, NOISY)
    np.testing.assert_array_equal(corrupt(name, NOISY[:2]), corrupted[:2])
    others = NOISY.copy()
    others[[0, 1, 3, 5]] = 0.25
    np.testing.assert_array_equal(corrupt(name, others)[[2, 4]], corrupted[[2, 4]])


STILL = ("scale", "brightness", "stripe", "canny edges")  # no draw is in them


@pytest.mark.parametrize("name", [name for name in MNIST_C if name not in STILL])
def test_equal_images_at_other_positions_fare_otherwise(name: str) -> None:
    assert len(np.unique(corrupt(name, np.repeat(NOISY[:1], 20, axis=0)), axis=0)) > 1


def test_shot_noise_counts_photons_as_poisson_says() -> None:
    assert not corrupt("shot noise", BLACK).any()
    for brightness in (0.2, 1.0):
        noisy = corrupt("shot noise", np.full_like(BLACK, brightness))
        shares = np.bincount(np.rint(noisy * 3).astype(int).ravel(), minlength=4) / noisy.size
        expected = [*poisson.pmf([0, 1, 2], 3 * brightness), poisson.sf(2, 3 * brightness)]
        np.testing.assert_allclose(shares, expected, atol=0.005)
        np.testing.assert_allclose(noisy * 3, np.rint(noisy * 3), atol=1e-6)


def test_impulse_noise_makes_as_many_pixels_black_as_white() -> None:
    noisy = corrupt("impulse noise", np.full_like(BLACK, 0.5))
    assert (noisy == 0).mean() == pytest.approx(0.085, abs=0.003)
    assert (noisy == 1).mean() == pytest.approx(0.085, abs=0.003)
    assert set(np.unique(noisy)) == {0, 0.5, 1}


def test_glass_keeps_the_ink_and_spreads_it_farther_than_its_blurs() -> None:
    blurred = corrupt("glass blur", dot(14, 14))
    np.testing.assert_allclose(blurred.sum(axis=(1, 2)), 9, rtol=0.01)
    rows, columns = np.indices((28, 28)) - 14
    variance = (blurred * (rows**2 + columns**2)).sum(axis=(1, 2)).mean() / 9
    assert variance > 4 / 3 + 2 * 2 * 0.7**2 + 0.5  # of the dot, of two blurs, of the swaps


def test_motion_smears_to_the_left_and_up_or_down() -> None:
    moved = corrupt("motion blur", dot(14, 16))
    np.testing.assert_allclose(moved.sum(axis=(1, 2)), 9, rtol=1e-3)
    down, right = (locate(moved) - locate(dot(14, 16))).T
    # The mean of half a Gaussian of 3 pixels, sampled at whole ones.
    weights = np.exp(-(np.arange(11) ** 2) / 18)
    mean = weights @ np.arange(11) / weights.sum()
    np.testing.assert_allclose(np.hypot(down, right), mean, atol=0.25)
    assert (right < 0).all()
    assert (np.abs(down) < np.abs(right) + 0.3).all()
    assert down.min() < -0.5
    assert down.max() > 0.5
    assert not moved[:, :, 18:].any()


def test_shear_moves_rows_by_their_distance_from_the_middle() -> None:
    down, right = (locate(corrupt("shear", dot(6, 14))) - locate(dot(6, 14))).T
    np.testing.assert_allclose(down, 0, atol=0.01)
    np.testing.assert_allclose(np.abs(right), 0.4 * 7.5, atol=0.01)
    assert {*np.sign(right)} == {-1, 1}


def test_scale_brings_all_nearer_to_the_middle() -> None:
    np.testing.assert_allclose(
        locate(corrupt("scale", dot(6, 18))), 0.7 * locate(dot(6, 18)), atol=0.1
    )


def test_rotation_turns_about_the_middle_both_ways() -> None:
    row, column = locate(dot(6, 14))[0]
    turned = locate(corrupt("rotate", dot(6, 14)))
    angles = np.arctan2(turned[:, 1], -turned[:, 0]) - math.atan2(column, -row)
    np.testing.assert_allclose(np.abs(angles), 0.4, atol=0.01)
    assert {*np.sign(angles)} == {-1, 1}
    np.testing.assert_allclose(np.hypot(*turned.T), math.hypot(row, column), atol=0.05)


def test_translation_goes_to_all_four_corners() -> None:
    moved = np.rint(locate(corrupt("translate", dot(14, 14))) - locate(dot(14, 14))).astype(int)
    assert {*map(tuple, moved.tolist())} == {(3, 3), (3, -3), (-3, 3), (-3, -3)}


def test_brightness_adds_a_half() -> None:
    np.testing.assert_allclose(corrupt("brightness", NOISY), np.minimum(NOISY + 0.5, 1), atol=1e-6)


def test_stripes_invert_a_quarter_at_each_side() -> None:
    striped = corrupt("stripe", NOISY)
    np.testing.assert_array_equal(striped[:, :, 7:21], NOISY[:, :, 7:21])
    for side in (slice(0, 7), slice(21, 28)):
        np.testing.assert_allclose(striped[:, :, side], 1 - NOISY[:, :, side], atol=1e-6)


def test_fog_leaves_a_quarter_of_the_contrast_and_is_smooth() -> None:
    images = np.zeros((2_000, 28, 28), np.float32)
    images[:, 10:18, 10:18] = 1
    fog = (4 * corrupt("fog", images) - images) / 3
    assert -1e-6 < fog.min() < fog.max() < 1 + 1e-6
    # A height map by the diamond-square algorithm, 28 pixels of 256: means of 400 such maps.
    assert fog.mean() == pytest.approx(0.518, abs=0.03)
    assert fog.std(axis=(1, 2)).mean() == pytest.approx(0.059, abs=0.01)
    for distance, expected in {1: 0.0104, 4: 0.0307, 16: 0.0957}.items():
        steps = fog[:, :, distance:] - fog[:, :, :-distance]
        assert math.sqrt((steps**2).mean()) == pytest.approx(expected, rel=0.2)
    assert not corrupt("fog", BLACK).any()


def test_mud_covers_ink_and_paper_alike() -> None:
    grey = 63 / 255
    on_paper, on_ink = corrupt("spatter", BLACK), corrupt("spatter", BLACK + 1)
    assert on_paper.max() == pytest.approx(grey, abs=1e-4)
    assert on_ink.min() == pytest.approx(grey, abs=1e-4)
    covered = on_paper > 0
    np.testing.assert_array_equal(covered, on_ink < 1)
    assert 0.05 < covered.mean() < 0.4
    assert on_paper[covered].min() > 0.8 * grey - 1e-6


def test_dotted_line_is_straight_and_has_gaps() -> None:
    lines = corrupt("dotted line", BLACK)
    dots = np.arange(28) % 4 >= 2
    assert not lines[:, :, ~dots].any()
    assert (lines[:, :, dots].max(axis=1) > 0.5).all()
    middles = np.stack([line[:, dots].argmax(axis=0) for line in lines])
    places = np.flatnonzero(dots)
    for line in middles:
        straight = np.polyval(np.polyfit(places, line, 1), places)
        assert np.abs(line - straight).max() <= 1
    assert {*middles[:, 0]} >= {*range(3, 24)}  # from any height


def test_zigzag_has_six_teeth() -> None:
    lines = corrupt("zigzag", BLACK)
    assert not lines[:, :, :2].any()
    assert not lines[:, :, 25:].any()
    whole = [line for line in lines if (line[0] + line[-1]).max() == 0]  # cut off at no edge
    assert len(whole) > 50
    along = np.arange(23)
    for line in whole:
        middles = line[:, 2:25].argmax(axis=0)
        teeth = middles - np.polyval(np.polyfit(along, middles, 1), along)
        turns = np.sign(teeth[[2, 6, 10, 14, 18, 22]])
        assert turns.tolist() == [1, -1, 1, -1, 1, -1]
        assert np.abs(teeth).max() < 3.5


def test_edges_of_a_square_are_its_outline() -> None:
    square = np.zeros((3, 28, 28), np.float32)
    square[1, 8:20, 8:20] = 1
    square[2, 8:20, 8:20] = 0.02  # too faint
    edges = corrupt("canny edges", square)
    assert not edges[[0, 2]].any()
    assert set(np.unique(edges)) == {0, 1}
    near = np.zeros((28, 28), bool)
    near[7:21, 7:21] = True
    near[9:19, 9:19] = False
    assert not edges[1][~near].any()
    assert edges[1][7:9, 10:18].any(axis=0).all()
    assert edges[1][10:18, 19:21].any(axis=1).all()


def test_faint_edges_stay_where_they_lead_on_from_strong_ones() -> None:
    ramp = np.zeros((2, 28, 28), np.float32)
    ramp[:, :, 14:] = np.linspace(0.03, 0.5, 28)[
        :, np.newaxis
    ]  # 4 times as steep, on Sobel's scale
    ramp[1] = ramp[1].clip(max=0.05)
    connected, alone = corrupt("canny edges", ramp)
    faint = slice(2, 5)
    assert connected[faint, 12:16].any(axis=1).all()
    assert not alone[faint, 12:16].any()


def test_inversion_swaps_ink_and_paper() -> None:
    np.testing.assert_allclose(corrupt("inversion", NOISY), 1 - NOISY, atol=1e-6)


def test_defocus_spreads_as_far_as_it_says_and_keeps_the_ink() -> None:
    image = np.zeros((1, 28, 28), np.float32)
    image[0, 14, 14] = 1
    blurred = corrupt("defocus", image)[0]
    assert blurred.sum() == pytest.approx(1, abs=1e-3)
    variance = blurred.sum(axis=0) @ (np.arange(28) - 14.0) ** 2
    assert math.sqrt(variance) == pytest.approx(1.5, rel=0.02)
