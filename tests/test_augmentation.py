"""Images are moved and seen through a camera, each by its own draw, as far as a recipe says."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from digits.model.augmentation import BLURS, EFFECTS, corrupt, distort
from digits.model.backend import tf
from digits.model.recipes import Augmentation

SEED = tf.constant([0, 1], tf.int64)
COUNT = 400


def draw_blot() -> np.ndarray:
    """Return float32 (28, 28), grey paper with a darker blot of rugged edges."""
    noise = np.random.default_rng(0).random((28, 28))
    return (0.2 + 0.6 * (ndimage.gaussian_filter(noise, 2) > 0.5)).astype(np.float32)


def copy(image: np.ndarray) -> tf.Tensor:
    return tf.constant(np.repeat(image[np.newaxis, ..., np.newaxis], COUNT, axis=0))


def apply(name: str, amount: float, image: np.ndarray) -> np.ndarray:
    """Apply an effect, always by the same amount, to copies of an image, (28, 28); (n, 28, 28)."""
    return EFFECTS[name](copy(image), tf.fill([COUNT, 1, 1, 1], amount), SEED).numpy()[..., 0]


def corrupt_blots(
    limits: dict[str, Any], progress: float = 0.0, seed: tf.Tensor = SEED
) -> np.ndarray:
    """Return copies of the blot, (n, 28, 28), after the effects."""
    model = Augmentation.model_validate(limits)
    return corrupt(copy(draw_blot()), seed, model, tf.constant(progress)).numpy()[..., 0]


def count_changed(images: np.ndarray) -> int:
    return int((images != draw_blot()).any(axis=(1, 2)).sum())


DX, DY = 7.5, 4.5  # of the dot, from the centre
ARC = math.hypot(DX, DY) * math.radians(20)


@pytest.mark.parametrize(
    ("limits", "x_farthest", "y_farthest"),
    [
        ({"shift": 3.0}, 3.0, 3.0),
        ({"angle": 20.0}, ARC, ARC),
        ({"scale": 0.2}, DX * 0.2, DY * 0.2),
        ({"shear": 0.3}, DY * 0.3, 0.0),
    ],
    ids=str,
)
def test_limit_moves_a_dot_no_farther_than_it_says(
    limits: dict[str, float], x_farthest: float, y_farthest: float
) -> None:
    images = np.zeros((COUNT, 28, 28, 1), np.float32)
    images[:, 17:20, 20:23] = 1
    moved = distort(tf.constant(images), SEED, Augmentation.model_validate(limits)).numpy()
    for axis, start, farthest in ((1, DX, x_farthest), (2, DY, y_farthest)):
        ink = moved.sum(axis=(axis, 3))
        moves = np.abs(ink @ np.arange(28) / ink.sum(axis=1) - 13.5 - start)
        assert farthest * 0.5 <= moves.max() <= farthest + 0.25  # for the bilinear blur


@pytest.mark.parametrize("name", EFFECTS)
def test_effect_is_applied_to_its_share_of_the_images(name: str) -> None:
    effect = 0.3 if name == "polarity" else {"probability": 0.3, "strength": 0.5}
    images = corrupt_blots({name: effect})
    if name == "brightness":  # strengths are drawn from nothing to the most
        light = (images - draw_blot()).max(axis=(1, 2))
        assert light.max() <= 0.5 + 1e-6
        assert np.histogram(light[light > 0], 4, (0, 0.5))[0].min() > COUNT / 80
    assert 0.2 * COUNT < count_changed(images) < 0.4 * COUNT
    assert images.min() >= 0
    assert images.max() <= 1
    np.testing.assert_array_equal(images, corrupt_blots({name: effect}))
    other = corrupt_blots({name: effect}, seed=tf.constant([0, 2], tf.int64))
    assert (images != other).any()


def test_images_draw_for_themselves_and_for_each_effect() -> None:
    """Whether an image gets noise has nothing to do with polarity."""
    noise, polarity = {"noise": {"probability": 0.5, "strength": 0.5}}, {"polarity": 0.5}
    by_noise, by_polarity, by_any = (
        (corrupt_blots(limits) != draw_blot()).any(axis=(1, 2))
        for limits in (noise, polarity, noise | polarity)
    )
    np.testing.assert_array_equal(by_any, by_noise | by_polarity)
    assert 0.15 * COUNT < (by_noise & by_polarity).sum() < 0.35 * COUNT


def test_chances_fall_evenly_to_nothing_over_the_last_part() -> None:
    counts = [
        count_changed(corrupt_blots({"polarity": 0.5, "fade_fraction": 0.5}, progress))
        for progress in (0.0, 0.5, 0.75, 1.0)
    ]
    assert counts[0] == counts[1] == count_changed(corrupt_blots({"polarity": 0.5}, 0.999))
    assert counts[2] == pytest.approx(counts[0] / 2, rel=0.3)
    assert counts[3] == 0


def test_strokes_grow_or_shrink_by_a_pixel() -> None:
    image = draw_blot()
    images = apply("thickness", 1.0, image)
    grown = (images == ndimage.grey_dilation(image, (3, 3))).all(axis=(1, 2))
    shrunk = np.isclose(images, ndimage.grey_erosion(image, (3, 3))).all(axis=(1, 2))
    assert (grown | shrunk).all()
    assert 0.4 * COUNT < grown.sum() < 0.6 * COUNT


def test_blur_is_a_gaussian() -> None:
    image = np.zeros((28, 28), np.float32)
    image[10:18, 12:16] = 1
    for deviation in BLURS:
        expected = ndimage.gaussian_filter(image, deviation, mode="constant")
        np.testing.assert_allclose(apply("blur", deviation, image)[0], expected, atol=5e-3)
    peaks = [apply("blur", by, image)[0].max() for by in (*BLURS[:2], sum(BLURS[:2]) / 2)]
    assert peaks[1] < peaks[2] < peaks[0]


def test_contrast_sinks_polarity_turns_and_noise_is_added() -> None:
    image = draw_blot()
    half = (image + image.mean()) / 2
    np.testing.assert_allclose(apply("contrast", 0.5, image)[0], half, rtol=1e-5)
    np.testing.assert_allclose(apply("polarity", 0.5, image)[0], 1 - image)
    added = apply("noise", 0.25, image) - image
    assert (added.mean(), added.std()) == pytest.approx((0, 0.25), abs=0.003)
