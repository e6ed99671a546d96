"""A training that was broken off goes on where it stood, and ends in the same bytes."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import DIGIT_NAMES, draw_images
from ruamel.yaml import YAML
from samples import FLATTEN, SOFTMAX, make_plan, make_recipe, name_layers, spec

from digits.data.splits import Card, write_card, write_split
from digits.files import write_bytes
from digits.model import checkpoint as checkpoints
from digits.model import training
from digits.model.backend import tf
from digits.model.checkpoint import Checkpoint, identify_run, load_checkpoint
from digits.model.saving import write_model
from digits.model.training import Plan, train_recipe
from pipeline import decode, train

PARAMS = {"train": {"recipe": "tiny", "seed": 3, "threads": 0, "devices": 1}}
RECIPE: dict[str, Any] = {
    "layers": name_layers(
        [
            spec("Conv2D", filters=4, kernel_size=3, strides=3),
            spec("BatchNormalization"),
            spec("ReLU"),
            FLATTEN,
            spec("Dropout", rate=0.5),
            spec("Dense", units=10, activation="softmax"),
        ]
    ),
    "loss": "categorical_crossentropy",
    "label_smoothing": 0.1,
    "optimizer": spec("AdamW", learning_rate=0.01, weight_decay=0.01),
    "schedule": "one_cycle",
    "warmup_fraction": 0.2,
    "augmentation": {
        "shift": 1.0,
        "angle": 5.0,
        "noise": {"probability": 0.3, "strength": 0.5},
        "polarity": 0.1,
        "fade_fraction": 0.5,
    },
    "epochs": 3,
    "batch_size": 16,
    "ensemble_size": 2,
    "test_time_shift": 1,
    "temperature_scaling": True,
}
RESULTS = ("models/model.keras", "metrics/train.json", "plots/history.csv")
PATH = Path("models/checkpoint.json")


def make_folder(folder: Path) -> Path:
    images, labels = draw_images(100, seed=0)
    scaled = decode.scale_pixels(images)
    write_split(folder / "data/decoded/train", [scaled[:80]], labels[:80])
    write_split(folder / "data/decoded/validation", [scaled[80:]], labels[80:])
    card = Card(name="bars", title="Bars", class_names=DIGIT_NAMES, image_counts={"train": 80})
    write_card(folder / "data/decoded/dataset.json", card)
    (folder / "recipes").mkdir()
    YAML().dump(PARAMS, folder / "params.yaml")
    YAML().dump(RECIPE, folder / "recipes/tiny.yaml")
    return folder


@dataclass(frozen=True)
class Training:
    """What a training left that nothing disturbed, and its checkpoints on the way, by epoch."""

    results: dict[str, bytes]
    checkpoints: dict[int, bytes]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Train, and keep what a crash after each epoch would have left."""
    checkpoints: dict[int, bytes] = {}

    def write_and_keep(history: pd.DataFrame, metrics: Mapping[str, Any]) -> None:
        write(history, metrics)
        if "epoch_count" in metrics:  # it is not over
            checkpoints[metrics["epoch_count"]] = PATH.read_bytes()

    write = train.write_results
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(make_folder(tmp_path_factory.mktemp("undisturbed")))
        patch.setattr(train, "write_results", write_and_keep)
        train.main()
        return Training({name: Path(name).read_bytes() for name in RESULTS}, checkpoints)


# Within the first member, at its last epoch, within the second, at the very end.
@pytest.mark.parametrize(
    "epochs", [*(pytest.param(epochs, marks=pytest.mark.nightly) for epochs in (1, 3, 6)), 5]
)
def test_resumed_training_gives_the_same_bytes(
    epochs: int,
    undisturbed: Training,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(make_folder(tmp_path))
    write_bytes(PATH, undisturbed.checkpoints[epochs])
    train.main()
    shown = capfd.readouterr().out
    assert f"resuming after epoch {(epochs - 1) % 3 + 1}\n" in shown
    assert shown.count("\nEpoch ") == 6 - epochs
    assert {name: Path(name).read_bytes() for name in RESULTS} == undisturbed.results
    assert not PATH.exists()


HIDDEN: list[dict[str, Any]] = [
    FLATTEN,
    spec("Dropout", rate=0.5),
    spec("Dense", units=8, activation="relu"),
    SOFTMAX,
]
ROWS = spec("Reshape", target_shape=[28, 28])
STOPPING = spec("EarlyStopping", patience=2, restore_best_weights=True)
PLATEAU = spec("ReduceLROnPlateau", patience=1, cooldown=1)
FAST = spec("Adam", learning_rate=0.05)
TRAININGS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "ema": (HIDDEN, {"optimizer": spec("Adam", use_ema=True)}),
    "accumulation": (HIDDEN, {"optimizer": spec("Adam", gradient_accumulation_steps=3)}),
    "loss scale": (HIDDEN, {"optimizer": spec("LossScaleOptimizer", inner_optimizer=spec("Adam"))}),
    "stopping": (HIDDEN, {"callbacks": {"watch": STOPPING}, "epochs": 9, "optimizer": FAST}),
    "plateau": (HIDDEN, {"callbacks": {"watch": PLATEAU}, "epochs": 5}),
    "recurrent": ([ROWS, spec("LSTM", units=4, dropout=0.3), SOFTMAX], {}),
    "random layers": ([spec("RandomRotation", factor=0.1), *HIDDEN], {}),
}


def train_bytes(plan: Plan, path: Path) -> tuple[bytes, list[bytes]]:
    """Train; return the model, and the checkpoint that a kill after each epoch would leave."""
    left: list[bytes] = []

    def report(_: pd.DataFrame, metrics: Mapping[str, Any]) -> None:
        if metrics["epoch_count"] > len(left):
            left.append(path.read_bytes())

    trained = train_recipe(plan, report, path)
    write_model(path.with_suffix(".keras"), trained.model)
    return path.with_suffix(".keras").read_bytes(), left


@pytest.mark.nightly
@pytest.mark.parametrize(("layers", "changes"), TRAININGS.values(), ids=TRAININGS)
def test_any_training_resumes_after_any_epoch(
    layers: list[dict[str, Any]],
    changes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(training, "smoke_test", lambda _: None)  # test_networks.py is about it
    recipe = make_recipe(*layers, **({"epochs": 3, "batch_size": 16} | changes))
    plan = make_plan(recipe)
    whole, left = train_bytes(plan, tmp_path / "whole")
    if "EarlyStopping" in str(recipe.callbacks):
        assert 2 < len(left) < recipe.epochs
    for epoch, checkpoint in enumerate(left, 1):
        path = tmp_path / f"{epoch}"
        path.write_bytes(checkpoint)
        capfd.readouterr()
        resumed, _ = train_bytes(plan, path)
        assert f"resuming after epoch {epoch}\n" in capfd.readouterr().out
        assert resumed == whole, epoch


@pytest.mark.nightly
@pytest.mark.parametrize("fault", ["another seed", "half a file"])
def test_checkpoint_of_another_run_or_a_damaged_one_is_not_used(
    fault: str,
    undisturbed: Training,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(make_folder(tmp_path))
    whole = undisturbed.checkpoints[2]
    write_bytes(PATH, whole[: len(whole) // 2] if fault == "half a file" else whole)
    if fault == "another seed":
        params = Path("params.yaml").read_text()
        Path("params.yaml").write_text(params.replace("seed: 3", "seed: 4"))
    train.main()
    assert "resuming" not in capfd.readouterr().out
    same = {name: Path(name).read_bytes() for name in RESULTS} == undisturbed.results
    assert same == (fault == "half a file")


SAMPLE = Checkpoint(
    rows=[{"epoch": 1, "accuracy": 0.5, "loss": 0.1 + 0.2}],
    finished=[[np.arange(3.0), np.ones((2, 2), np.float32)]] * 2,
    state=[np.array(n, np.int64) for n in range(12)],  # more than ten: their order counts
    callbacks=[{"wait": 2, "best": 0.1, "best_weights": [np.zeros(2)]}, {"best_weights": None}],
    stopped=True,
)


def test_checkpoint_survives_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    SAMPLE.write(path, "run")
    loaded = load_checkpoint(path, "run")
    np.testing.assert_equal(vars(loaded), vars(SAMPLE))
    assert loaded.state[0].dtype == np.int64
    assert load_checkpoint(path, "another") == Checkpoint()
    assert load_checkpoint(tmp_path / "none.json", "run") == Checkpoint()
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert load_checkpoint(path, "run") == Checkpoint(), position


def test_identity_depends_on_settings_data_code_and_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.zeros(3)
    monkeypatch.setattr(checkpoints, "CODE_DIR", tmp_path)
    (tmp_path / "code.py").write_text("one")
    first = identify_run("a", [array])
    assert identify_run("a", [copy.copy(array)]) == first
    assert identify_run("b", [array]) != first
    assert identify_run("a", [array + 1]) != first
    with monkeypatch.context() as patch:
        patch.setattr(tf, "__version__", "0.0")
        assert identify_run("a", [array]) != first
    (tmp_path / "code.py").write_text("two")
    assert identify_run("a", [array]) != first
