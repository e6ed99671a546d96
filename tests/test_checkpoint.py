"""An interrupted training goes on where it stopped, and ends in the same bytes."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from samples import FLATTEN, SOFTMAX, make_plan, make_recipe, spec

from digits.model import checkpoint as checkpoints
from digits.model import training
from digits.model.backend import tf
from digits.model.checkpoint import Checkpoint, identify_run, load_checkpoint
from digits.model.saving import write_model
from digits.model.training import Plan, train_recipe

HIDDEN = [FLATTEN, spec("Dropout", rate=0.5), spec("Dense", units=8, activation="relu"), SOFTMAX]
STRIDED = spec("Conv2D", filters=4, kernel_size=3, strides=3)
STOPPING = spec("EarlyStopping", patience=2, restore_best_weights=True)
PLATEAU = spec("ReduceLROnPlateau", patience=1, cooldown=1)
FAST = spec("Adam", learning_rate=0.05)
ENSEMBLE = {
    "label_smoothing": 0.1,
    "optimizer": spec("AdamW", learning_rate=0.01, weight_decay=0.01),
    "schedule": "one_cycle",
    "warmup_fraction": 0.2,
    "augmentation": {
        "shift": 1.0,
        "noise": {"probability": 0.3, "strength": 0.5},
        "fade_fraction": 0.5,
    },
    "ensemble_size": 2,
    "test_time_shift": 1,
    "temperature_scaling": True,
}
TRAININGS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "ensemble": ([STRIDED, spec("BatchNormalization"), spec("ReLU"), *HIDDEN], ENSEMBLE),
    "ema": (HIDDEN, {"optimizer": spec("Adam", use_ema=True)}),
    "accumulation": (HIDDEN, {"optimizer": spec("Adam", gradient_accumulation_steps=3)}),
    "loss scale": (HIDDEN, {"optimizer": spec("LossScaleOptimizer", inner_optimizer=spec("Adam"))}),
    "stopping": (HIDDEN, {"callbacks": {"watch": STOPPING}, "epochs": 9, "optimizer": FAST}),
    "plateau": (HIDDEN, {"callbacks": {"watch": PLATEAU}, "epochs": 5}),
    "recurrent": (
        [spec("Reshape", target_shape=[28, 28]), spec("LSTM", units=4, dropout=0.3), SOFTMAX],
        {},
    ),
    "random layers": ([spec("RandomRotation", factor=0.1), *HIDDEN], {}),
}


def train_bytes(plan: Plan, path: Path) -> tuple[list[object], list[bytes]]:
    """Train; return the results, and the checkpoint that a kill after each epoch would leave."""
    left: list[bytes] = []

    def report(_: pd.DataFrame, metrics: Mapping[str, Any]) -> None:
        if metrics["epoch_count"] > len(left):
            left.append(path.read_bytes())

    trained = train_recipe(plan, report, path)
    write_model(path.with_suffix(".keras"), trained.model)
    model = path.with_suffix(".keras").read_bytes()
    return [model, trained.history.to_csv(), trained.metrics], left


# In the fast suite within the second member; then after each epoch, the last ones included.
@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("ensemble", [5]),
        *(pytest.param(name, None, marks=pytest.mark.nightly) for name in TRAININGS),
    ],
)
def test_resumed_training_gives_the_same_bytes(
    name: str,
    epochs: list[int] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(training, "smoke_test", lambda _: None)  # test_networks.py is about it
    layers, changes = TRAININGS[name]
    plan = make_plan(make_recipe(*layers, **({"epochs": 3, "batch_size": 16} | changes)))
    whole, left = train_bytes(plan, tmp_path / "whole")
    assert name != "stopping" or 2 < len(left) < plan.recipe.epochs
    for epoch in epochs or range(1, len(left) + 1):
        path = tmp_path / f"{epoch}"
        path.write_bytes(left[epoch - 1])
        capfd.readouterr()
        resumed, _ = train_bytes(plan, path)
        assert capfd.readouterr().out.count("\nEpoch ") == len(left) - epoch
        assert resumed == whole, epoch


SAMPLE = Checkpoint(
    rows=[{"epoch": 1, "accuracy": 0.5, "loss": 0.1 + 0.2}],
    finished=[[np.arange(3.0), np.ones((2, 2), np.float32)]] * 2,
    state=[np.array(n, np.int64) for n in range(12)],  # more than ten: their order counts
    callbacks=[{"wait": 2, "best": 0.1, "best_weights": [np.zeros(2)]}, {"best_weights": None}],
    stopped=True,
)


def test_checkpoint_survives_the_disk_and_is_used_by_its_run_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "checkpoint.json"
    SAMPLE.write(path, "run")
    loaded = load_checkpoint(path, "run")
    np.testing.assert_equal(vars(loaded), vars(SAMPLE))
    assert loaded.state[0].dtype == np.int64
    assert load_checkpoint(tmp_path / "none.json", "run") == Checkpoint()
    assert capsys.readouterr().out == ""
    assert load_checkpoint(path, "another") == Checkpoint()
    assert capsys.readouterr().out.startswith(f"{path}: of another training, or damaged")
    whole = path.read_bytes()
    for position, byte in enumerate(whole):
        path.write_bytes(whole[:position] + bytes([byte ^ 1]) + whole[position + 1 :])
        assert load_checkpoint(path, "run") == Checkpoint(), position


def test_identity_depends_on_settings_data_code_and_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.zeros(3)
    monkeypatch.setattr(checkpoints, "CODE_DIR", tmp_path)
    (tmp_path / "code.py").write_text("one")
    first = identify_run("a", [array])
    assert identify_run("a", [copy.copy(array)]) == first
    others = [identify_run("b", [array]), identify_run("a", [array + 1])]
    with monkeypatch.context() as patch:
        patch.setattr(tf, "__version__", "0.0")
        others.append(identify_run("a", [array]))
    (tmp_path / "code.py").write_text("two")
    others.append(identify_run("a", [array]))
    assert len({first, *others}) == 5
