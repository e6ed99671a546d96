"""Corrupted images: each kind does what its name says, to every image by itself."""

import numpy as np
import pytest
from scipy.stats import poisson

from digits.evaluation.corruptions import KINDS, corrupt

BLACK = np.zeros((200, 28, 28), np.float32)
NOISY = np.random.default_rng(0).random((6, 28, 28), np.float32)


# Mean, standard deviation and mean of the left half of 50 images of a "T": what models are measured
# by is not to change unnoticed.
MEASURED = {
    "shot noise": (0.0775, 0.2459, 0.0770),
    "impulse noise": (0.1633, 0.3570, 0.1640),
    "glass blur": (0.0939, 0.1998, 0.0927),
    "motion blur": (0.0939, 0.2016, 0.1453),
    "shear": (0.0939, 0.2619, 0.0937),
    "scale": (0.0450, 0.1733, 0.0450),
    "rotate": (0.0938, 0.2563, 0.0937),
    "brightness": (0.5561, 0.1578, 0.5561),
    "translate": (0.0939, 0.2721, 0.0971),
    "stripe": (0.5939, 0.4798, 0.5939),
    "fog": (0.4300, 0.1328, 0.4265),
    "spatter": (0.1109, 0.2607, 0.1106),
    "dotted line": (0.1203, 0.2967, 0.1192),
    "zigzag": (0.1354, 0.3115, 0.1383),
    "canny edges": (0.0689, 0.2532, 0.0689),
    "inversion": (0.9061, 0.2721, 0.9061),
    "defocus": (0.0939, 0.1931, 0.0939),
}


@pytest.mark.parametrize("name", KINDS)
def test_measure_is_what_it_was(name: str) -> None:
    images = np.zeros((50, 28, 28), np.float32)
    images[:, 6:22, 12:16] = 1
    images[:, 6:9, 8:20] = 0.6
    corrupted = corrupt(name, images)
    measured = (corrupted.mean(), corrupted.std(), corrupted[:, :, :14].mean())
    assert measured == pytest.approx(MEASURED[name], abs=2e-4)


@pytest.mark.parametrize("name", KINDS)
def test_images_stay_images_each_corrupted_by_its_position_alone(name: str) -> None:
    before, others = NOISY.copy(), NOISY.copy()
    corrupted = corrupt(name, NOISY)
    assert corrupted.shape == NOISY.shape
    assert corrupted.dtype == np.float32
    assert 0 <= corrupted.min() < corrupted.max() <= 1
    assert (np.abs(corrupted - NOISY).max(axis=(1, 2)) > 0.1).all()
    others[[0, 1, 3, 5]] = 0.25
    np.testing.assert_array_equal(corrupt(name, others)[[2, 4]], corrupted[[2, 4]])
    np.testing.assert_array_equal(corrupt(name, NOISY[:2]), corrupted[:2])
    np.testing.assert_array_equal(NOISY, before)


def test_shot_noise_counts_photons_as_poisson_says() -> None:
    assert not corrupt("shot noise", BLACK).any()
    for brightness in (0.2, 1.0):
        noisy = corrupt("shot noise", np.full_like(BLACK, brightness))
        shares = np.bincount(np.rint(noisy * 3).astype(int).ravel(), minlength=4) / noisy.size
        expected = [*poisson.pmf([0, 1, 2], 3 * brightness), poisson.sf(2, 3 * brightness)]
        np.testing.assert_allclose(shares, expected, atol=0.005)
        np.testing.assert_allclose(noisy * 3, np.rint(noisy * 3), atol=1e-6)
