"""One training on several devices: the same network but for rounding, and the same bytes twice.

TensorFlow splits this machine's processor into two devices, in a process of its own: a process
that has computed cannot split it any more.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imports import ROOT
from samples import FLATTEN, SOFTMAX, make_plan, make_recipe, spec

from digits.errors import DigitsError
from digits.model.loading import load_model
from digits.model.training import smoke_test

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path

from digits.errors import DigitsError
from digits.model.backend import tf

processor = tf.config.list_physical_devices("CPU")[0]
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(processor, halves)

from samples import FLATTEN, SOFTMAX, make_plan, make_recipe, spec
from test_devices import CHANGES, LAYERS
from digits.model.saving import write_model
from digits.model.training import train_recipe

folder = Path(sys.argv[1])
plan = make_plan(make_recipe(*LAYERS, SOFTMAX, **CHANGES), image_count=200)
checkpoints = []


def keep(*_):
    checkpoints.append((folder / "checkpoint").read_bytes())


for name, devices in {"one": 1, "two": 2, "again": 2}.items():
    trained = train_recipe(replace(plan, devices=devices), keep, folder / "checkpoint")
    write_model(folder / f"{name}.keras", trained.model)
    (folder / f"{name}.csv").write_text(trained.history.to_csv())
    (folder / "checkpoint").unlink()
try:
    odd = plan.recipe.model_copy(update={"batch_size": 33})
    train_recipe(replace(plan, devices=2, recipe=odd))
except DigitsError as error:
    print(error)
# As a crash after the first epoch of the last one would have left it.
(folder / "checkpoint").write_bytes(checkpoints[-2])
trained = train_recipe(replace(plan, devices=2), checkpoint_path=folder / "checkpoint")
write_model(folder / "resumed.keras", trained.model)
"""
LAYERS: list[dict[str, Any]] = [
    spec("Conv2D", filters=4, kernel_size=3, strides=3, use_bias=False),
    spec("BatchNormalization"),
    spec("ReLU"),
    FLATTEN,
]
CHANGES: dict[str, Any] = {
    "optimizer": spec("SGD", learning_rate=0.1, momentum=0.9),
    "augmentation": {"shift": 1.0, "noise": {"probability": 0.5, "strength": 0.5}},
    "epochs": 2,
    "batch_size": 34,  # the last batch has 30 images
    "temperature_scaling": True,
}


@pytest.mark.slow
def test_two_devices_learn_what_one_does_to_the_same_bytes_twice_and_resumed(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    call = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    said = subprocess.check_output(call, cwd=tmp_path, env=environment, text=True)
    assert "resuming after epoch 1" in said
    assert "expected a divisor of 33, the images of a batch, received 2" in said
    one, two = (load_model(tmp_path / f"{name}.keras", 10).get_weights() for name in ("one", "two"))
    for alone, shared in zip(one, two, strict=True):
        np.testing.assert_allclose(shared, alone, atol=2e-4)
    assert any((shared != alone).any() for alone, shared in zip(one, two, strict=True))
    models = [(tmp_path / f"{name}.keras").read_bytes() for name in ("two", "again", "resumed")]
    assert models[0] == models[1] == models[2]
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "two.csv").read_text()


def test_fewer_devices_than_asked_for_are_one_line() -> None:
    plan = replace(make_plan(make_recipe(FLATTEN, SOFTMAX)), devices=2)
    with pytest.raises(DigitsError, match=r"^train.devices: expected at most 1, .*received 2$"):
        smoke_test(plan)
