"""Ones get the upstroke of European handwriting, and no other digit does."""

import math

import numpy as np
import pytest
from samples import SOFTMAX, make_recipe, make_split
from scipy import ndimage

from digits.model.augmentation import add_upstroke
from digits.model.batches import make_batches
from digits.model.recipes import ONE
from digits.model.training import settle_recipe


def write_one(lean: float = 0.0) -> np.ndarray:
    """Return float32 (28, 28), a stroke from top to bottom that leans so many columns a row."""
    rows, columns = np.mgrid[-14:14, -14:14]
    away = np.abs(columns + lean * rows)
    return np.where(np.abs(rows) < 10, (2.0 - away).clip(0, 1), 0).astype(np.float32)


@pytest.mark.parametrize("length", [0.25, 0.75])
@pytest.mark.parametrize("angle", [30, 60])
def test_an_upstroke_leads_from_the_left_to_the_top(length: float, angle: float) -> None:
    one = write_one()
    written = add_upstroke(one, math.radians(angle), length)
    assert ndimage.center_of_mass(written) == pytest.approx(ndimage.center_of_mass(one), abs=0.3)
    rows, columns = (np.flatnonzero((written > 0.5).any(axis=axis)) for axis in (1, 0))
    assert np.ptp(rows) == pytest.approx(18, abs=1)  # the one is no higher than before
    foot = np.average(np.arange(28), weights=written[rows[-3]])
    assert columns[-1] - foot < 2
    reach = length * 16 * math.sin(math.radians(angle))
    assert foot - columns[0] == pytest.approx(reach + 1.5, abs=1.2)


def test_a_one_that_leans_far_would_be_a_seven() -> None:
    for one in (write_one(0.8), write_one(-0.8), np.zeros((28, 28), np.float32)):
        np.testing.assert_array_equal(add_upstroke(one, math.radians(40), 0.5), one)


def test_only_ones_get_it_and_each_epoch_others() -> None:
    split = make_split(400)
    split.images[:] = write_one()[..., np.newaxis]
    recipe = make_recipe(
        SOFTMAX, augmentation={"upstroke": 0.5}, loss="sparse_categorical_crossentropy"
    )
    batches, epoch = make_batches(split, recipe, 7, 10)

    def take(number: int) -> list[tuple[bytes, int]]:
        epoch.assign(number)
        return [(image.numpy().tobytes(), int(label)) for image, label in batches.unbatch()]

    first = take(0)
    plain = write_one().tobytes()
    changed = [label for image, label in first if image != plain]
    assert {*changed} == {ONE}
    assert len(changed) == pytest.approx(0.5 * (split.labels == ONE).sum(), rel=0.5)
    assert take(0) == first != take(1)


def test_a_dataset_without_a_class_one_has_no_upstrokes() -> None:
    recipe = make_recipe(SOFTMAX, augmentation={"upstroke": 0.5})
    for names, probability in ((["0", "1"], 0.5), (["shirt", "trousers"], 0.0), (["1", "2"], 0.0)):
        assert settle_recipe(recipe, names).augmentation.upstroke == probability
