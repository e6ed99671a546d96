"""The score of a model under corruptions, of kinds that training has seen and of others."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digits.data.splits import Split
from digits.evaluation.corruptions import KINDS, MNIST_C, Kind
from digits.evaluation.robustness import (
    CLEAN,
    group_kinds,
    load_groups,
    measure_robustness,
    subsample,
    summarize_robustness,
)
from digits.files import ArtifactError, write_table

AFFINE = {"shift": 2.0, "angle": 10.0, "scale": 0.1, "shear": 0.0}


def test_every_kind_is_scored_on_all_images_a_new_one_too() -> None:
    labels = np.arange(40) % 2
    images = np.zeros((40, 28, 28, 1), np.float32)
    images[labels == 1] = 0.9
    asked = []

    def predict(batch: np.ndarray) -> np.ndarray:
        asked.append(batch.shape)
        return (batch.mean(axis=(1, 2, 3)) > 0.45).astype(int)

    kinds = KINDS | {"night": Kind(lambda images, _: images / 10)}
    table = measure_robustness(predict, Split(images, labels), group_kinds(AFFINE), kinds)
    assert asked == [images.shape] * len(table)
    table = table.set_index("corruption")
    assert table.index.tolist() == [CLEAN, *kinds]
    accuracy = table["accuracy"]
    assert accuracy[CLEAN] == accuracy["translate"] == 1
    assert accuracy["inversion"] == 0
    assert accuracy["brightness"] == accuracy["canny edges"] == accuracy["night"] == 0.5
    assert table["group"].to_dict() == group_kinds(AFFINE) | {"night": "apart"}


def test_kinds_that_an_augmentation_resembles_are_seen() -> None:
    groups = group_kinds(AFFINE)
    assert groups.keys() == {CLEAN, *KINDS}
    assert [name for name in groups if groups[name] == "seen"] == ["scale", "rotate", "translate"]
    assert [name for name in groups if groups[name] == "apart"] == [CLEAN, "inversion", "defocus"]
    for chance, group in ((0.0, "unseen"), (0.1, "seen")):
        blurred = group_kinds({"blur": {"probability": chance, "strength": 1.0}, "noise": None})
        assert (blurred["motion blur"], blurred["shot noise"]) == (group, "unseen")
    every = group_kinds({kind.resembles: 0.1 for kind in MNIST_C.values() if kind.resembles})
    unseen = [name for name in every if every[name] == "unseen"]
    assert unseen == ["stripe", "dotted line", "zigzag", "canny edges"]


def test_mean_is_over_the_kinds_of_the_benchmark_alone() -> None:
    groups = ["seen", "seen", "unseen", "apart"]
    table = pd.DataFrame({"group": groups, "accuracy": [0.9, 0.8, 0.4, 1.0]})
    scored = summarize_robustness(table)
    expected = {"robustness": 0.7, "robustness_seen": 0.85, "robustness_unseen": 0.4}
    assert scored == pytest.approx(expected)
    scored = summarize_robustness(table[2:], "val_")
    assert scored == pytest.approx({"val_robustness": 0.4, "val_robustness_unseen": 0.4})


def test_groups_are_those_that_training_wrote(tmp_path: Path) -> None:
    path = tmp_path / "val_robustness.csv"
    table = pd.DataFrame(group_kinds(AFFINE).items(), columns=["corruption", "group"])
    table["accuracy"] = 0.5
    write_table(path, table)
    assert load_groups(path) == group_kinds(AFFINE)
    for damaged in (table[1:], table.assign(group="maybe"), table.drop(columns="group")):
        write_table(path, damaged)
        with pytest.raises(ArtifactError, match=r"val_robustness\.csv: expected"):
            load_groups(path)


def test_images_are_chosen_from_all_over_the_split() -> None:
    split = Split(np.arange(100).reshape(-1, 1, 1, 1), np.arange(100))
    chosen = subsample(split, 4)
    assert chosen.labels.tolist() == chosen.images.ravel().tolist() == [0, 33, 66, 99]
    assert subsample(split, 1000).labels.tolist() == split.labels.tolist()
