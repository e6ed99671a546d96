"""The five stages' `main`, in order, on a tiny synthetic dataset."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digits.artifacts import ArtifactError
from digits.backend import keras
from pipeline import analyze, decode, evaluate, fetch, train

PARAMS = """\
dataset: mnist
fetch:
  mirrors: {{mnist: [{mirror}]}}
  timeout_seconds: 1
  deadline_seconds: 1
decode: {{validation_fraction: 0.2, seed: 0}}
train: {{recipe: tiny, seed: 0, threads: 0, precision: float32}}
evaluate: {{batch_size: 16, sample_count: 10}}
analyze: {{gallery_count: 5}}
recipes:
  tiny:
    layers:
    - Flatten: {{}}
    - Dropout: {{rate: 0.1}}
    - Dense: {{units: 10, activation: softmax}}
    loss: categorical_crossentropy
    label_smoothing: 0.0
    optimizer: {{SGD: {{learning_rate: {learning_rate}}}}}
    schedule: constant
    warmup_fraction: 0.0
    augmentation: {{shift: 0.0, angle: 0.0, scale: 0.0, shear: 0.0}}
    epochs: 2
    batch_size: 32
    member_count: {members}
    prediction_shift: {shift}
"""
STAGES = (fetch, decode, train, evaluate, analyze)


def make_project(folder: Path, mirror: Path, **changes: str) -> Path:
    folder.mkdir()
    defaults = {"learning_rate": "0.01", "members": "1", "shift": "0"}
    params = PARAMS.format(mirror=mirror, **(defaults | changes))
    (folder / "params.yaml").write_text(params)
    return folder


def read_outputs(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def project(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: a project with the parameters and nothing else."""
    folder = make_project(tmp_path / "project", synthetic)
    monkeypatch.chdir(folder)
    return folder


def test_five_stages_agree_with_each_other(project: Path) -> None:
    for stage in STAGES:
        stage.main()
    evaluated = json.loads((project / "metrics/evaluate.json").read_bytes())
    errors = json.loads((project / "metrics/errors.json").read_bytes())
    history = pd.read_csv(project / "plots/history.csv")
    confusion = pd.read_csv(project / "plots/confusion.csv")
    table = pd.read_csv(project / "data/analysis/errors.csv")
    probabilities = np.load(project / "data/predictions/probabilities.npy")
    labels = np.load(project / "data/decoded/test/labels.npy")

    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    assert evaluated["dataset"] == "mnist"
    assert evaluated["recipe"] == "tiny"
    assert evaluated["image_count"] == len(labels) == confusion["count"].sum()
    assert evaluated["error_count"] == errors["error_count"] == len(wrong)
    assert evaluated["accuracy"] == round(1 - len(wrong) / len(labels), 6)
    assert confusion.query("true != predicted")["count"].sum() == len(wrong)
    assert sorted(table["index"]) == wrong.tolist()
    assert table["loss"].is_monotonic_decreasing
    assert list(history) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert history["epoch"].tolist() == [1, 2]


def test_evaluation_agrees_with_keras(project: Path) -> None:
    for stage in STAGES[:-1]:
        stage.main()
    model = keras.saving.load_model(project / "models/model.keras")
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = (np.load(project / f"data/decoded/test/{x}.npy") for x in ("images", "labels"))
    loss, accuracy = model.evaluate(images, labels, verbose=0)
    evaluated = json.loads((project / "metrics/evaluate.json").read_bytes())
    assert evaluated["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert evaluated["loss"] == pytest.approx(loss, rel=1e-5)


def test_twice_gives_equal_bytes(
    project: Path, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in STAGES:
        stage.main()
    again = make_project(tmp_path / "again", synthetic)
    monkeypatch.chdir(again)
    for stage in STAGES:
        stage.main()
    assert read_outputs(project) == read_outputs(again)


def test_diverged_training_leaves_no_model(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project", synthetic, learning_rate="1e+38"))
    for stage in (fetch, decode):
        stage.main()
    with pytest.raises(train.DivergedError, match="expected a finite loss"):
        train.main()
    assert not Path("models").exists()
    assert not Path("metrics").exists()


def test_members_are_joined_into_one_model(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project", synthetic, members="3", shift="2"))
    for stage in STAGES:
        stage.main()
    metrics = json.loads(Path("metrics/train.json").read_bytes())
    history = pd.read_csv("plots/history.csv")
    assert metrics["parameter_count"] == 3 * 7_850
    assert history["epoch"].tolist() == [1, 2]  # the members' mean
    assert json.loads(Path("metrics/evaluate.json").read_bytes())["recipe"] == "tiny"


def test_perfect_model_has_nothing_to_analyse(project: Path) -> None:
    for stage in (fetch, decode):
        stage.main()
    labels = np.load("data/decoded/test/labels.npy")
    folder = Path("data/predictions")
    folder.mkdir()
    np.save(folder / "labels.npy", labels)
    np.save(folder / "images.npy", np.zeros((len(labels), 28, 28), np.uint8))
    np.save(folder / "probabilities.npy", np.eye(10, dtype=np.float32)[labels])
    Path("metrics").mkdir()
    Path("metrics/evaluate.json").write_text('{"recipe": "perfect"}')
    analyze.main()
    errors = json.loads((project / "metrics/errors.json").read_bytes())
    assert errors["error_count"] == 0
    assert errors["most_confused_pair"] == "none"
    assert (project / "plots/errors.png").stat().st_size > 0


def test_stages_say_which_stage_is_missing(project: Path) -> None:
    assert not list(project.glob("data"))
    for stage in STAGES[1:]:
        with pytest.raises(ArtifactError, match="received none"):
            stage.main()


def test_progress_is_quiet_and_says_the_cost(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for stage in STAGES[:3]:
        stage.main()
    written = capfd.readouterr()
    assert (
        "tiny: 7,850 parameters, 0.01 million multiply-adds an image; 1 x 2 epochs" in written.out
    )
    assert "tiny: epoch 2/2" in written.out
    assert written.err == ""
    assert (project / "models/model.keras").is_file()
