"""The five stages' `main`, in order, on a tiny synthetic dataset."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import TEST_COUNT, TRAIN_COUNT, draw_images, publish, publish_dataset
from layouts import change_facts
from predictions import make_predictions
from projects import write_params

from digits.errors import DigitsError
from digits.evaluation.predictions import write_predictions
from digits.files import ArtifactError, write_json
from digits.model.backend import keras
from digits.model.loading import load_model
from digits.model.objects import NetworkError
from digits.paths import SCORES_PATH, TEST_PREDICTIONS_DIR
from pipeline import analyze, decode, evaluate, fetch, train

PARAMS = """\
dataset: mnist
fetch: {timeout_seconds: 1, deadline_seconds: 1}
decode: {validation_fraction: 0.2, seed: 0, added_repeats: 1}
train: {recipe: tiny, seed: 0, devices: 1, threads: 0}
evaluate: {batch_size: 16, sample_count: 3, robustness_count: 20}
analyze: {gallery_count: 3, gallery_pair_limit: 2}
"""
RECIPE = """\
layers:
  flatten: {type: Flatten}
  dropout: {type: Dropout, rate: 0.1}
  output: {type: Dense, units: classes, activation: softmax}
loss: categorical_crossentropy
optimizer: {type: SGD, learning_rate: 0.01}
epochs: 2
batch_size: 32
"""
RECIPE_PATH = Path("recipes/tiny.yaml")
STAGES = (fetch, decode, train, evaluate, analyze)


def make_project(folder: Path, dataset: str = "mnist") -> Path:
    (folder / "recipes").mkdir(parents=True)
    write_params(folder, PARAMS.replace("mnist", dataset))
    (folder / RECIPE_PATH).write_text(RECIPE)
    return folder


@pytest.fixture
def project(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 (the files of `dataset: mnist`)
    """Return the current folder: a project with the parameters and nothing else."""
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def decoded(project: Path) -> Path:
    """Return the current folder: a project in which two stages have run."""
    for stage in (fetch, decode):
        stage.main()
    return project


def load(path: str) -> dict[str, Any]:
    return json.loads(Path(path).read_bytes())


def change(before: str, after: str) -> None:
    """Change the recipe of the current project."""
    text = RECIPE_PATH.read_text()
    assert text.count(before) == 1, before
    RECIPE_PATH.write_text(text.replace(before, after))


@pytest.mark.usefixtures("decoded")
def test_five_stages_agree_with_each_other() -> None:
    for stage in (train, evaluate, analyze):
        stage.main()
    evaluated = load("data/predictions/test/scores.json")
    errors = load("data/analysis/summary.json")
    names = ("confusion", "robustness", "val_robustness", "reliability", "rejection")
    tables = [pd.read_csv(f"plots/{name}.csv") for name in names]
    confusion, robustness, chosen, reliability, rejection = tables
    table = pd.read_csv("data/analysis/errors.csv")
    labels = np.load("data/decoded/test/labels.npy")
    predicted = np.load("data/predictions/test/probabilities.npy").argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    # The test set.
    assert load("metrics/evaluate.json").items() < evaluated.items()
    assert (evaluated["dataset"], evaluated["recipe"]) == ("mnist", "tiny")
    assert evaluated["image_count"] == len(labels) == confusion["count"].sum()
    assert evaluated["error_count"] == errors["error_count"] == len(wrong)
    assert evaluated["accuracy"] == round(1 - len(wrong) / len(labels), 6)
    assert confusion.query("true != predicted")["count"].sum() == len(wrong)
    assert sorted(table["index"]) == wrong.tolist()
    assert reliability["count"].sum() == len(labels)
    gaps = (reliability["accuracy"] - reliability["confidence"]).abs() * reliability["count"]
    assert evaluated["calibration_error"] == pytest.approx(gaps.sum() / len(labels), abs=1e-5)
    assert rejection["accuracy"].iloc[0] == pytest.approx(evaluated["accuracy"])
    # Corruptions, of the test set and of validation.
    trained = load("metrics/train.json")
    for table, metrics, prefix in ((robustness, evaluated, ""), (chosen, trained, "val_")):
        assert table["group"].tolist() == ["apart", *["unseen"] * 15, "apart", "apart"]
        mean = table.query("group == 'unseen'")["accuracy"].mean()
        assert metrics[f"{prefix}robustness"] == pytest.approx(mean, abs=1e-5)
    assert chosen["accuracy"][0] == pytest.approx(trained["val_accuracy"], abs=1e-5)
    # Labels that are in dispute.
    disputed = np.isin(wrong, [3, 14])
    assert errors["disputed_error_count"] == disputed.sum()
    undisputed = 1 - (~disputed).sum() / (len(labels) - 2)
    assert errors["undisputed_accuracy"] == pytest.approx(undisputed, abs=1e-6)
    assert errors["label_issue_count"] == len(pd.read_csv("data/analysis/label_issues.csv"))
    # Keras by itself.
    model = keras.saving.load_model("models/model.keras")
    loss, accuracy = model.evaluate(np.load("data/decoded/test/images.npy"), labels, verbose=0)
    assert evaluated["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert evaluated["loss"] == pytest.approx(loss, rel=1e-5)


def test_refused_recipe_writes_nothing_and_a_diverged_training_no_model(
    decoded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change("units: classes", "units: 8")
    with pytest.raises(NetworkError, match="to give 10 probabilities"):
        train.main()
    assert {path.name for path in decoded.iterdir()} == {"data", "params.yaml", "recipes"}
    RECIPE_PATH.write_text(RECIPE)
    change("learning_rate: 0.01", "learning_rate: 1e+38")
    # It diverges there, too.
    monkeypatch.setattr("digits.model.training.smoke_test", lambda _: None)
    with pytest.raises(DigitsError, match="tiny, epoch 1: expected a finite loss"):
        train.main()
    assert not (decoded / "models/model.keras").exists()


def test_training_is_quiet_and_writes_its_scores_while_it_runs(
    decoded: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[int | None, int, bool]] = []

    def look(*arguments: Any) -> None:
        write(*arguments)
        history = pd.read_csv("plots/history.csv")
        metrics = load("metrics/train.json")
        seen.append((metrics.get("epoch_count"), len(history), "val_loss" in metrics))

    write = train.write_results
    monkeypatch.setattr(train, "write_results", look)
    train.main()
    assert seen == [(0, 0, False), (1, 1, True), (2, 2, True), (None, 2, True)]
    written = capfd.readouterr()
    assert "Total params: 7,85" in written.out
    assert re.findall(r"(?m)^Epoch (\d)/2$", written.out) == ["1", "2"]
    assert "\r" not in written.out
    (warning,) = written.err.splitlines()  # of an epoch of four steps
    assert warning.startswith("WARNING: tiny takes 8 steps on 120 images")
    assert (decoded / "models/model.keras").is_file()


@pytest.mark.usefixtures("decoded")
def test_losses_are_plain_cross_entropy() -> None:
    change("softmax", "softmax, kernel_regularizer: l2")
    change("  dropout:", "  penalty: {type: ActivityRegularization, l2: 0.1}\n  dropout:")
    change("epochs: 2", "epochs: 2\nlabel_smoothing: 0.2")
    train.main()
    model = keras.saving.load_model("models/model.keras")
    images, labels = (np.load(f"data/decoded/validation/{x}.npy") for x in ("images", "labels"))
    given = model.predict(images, verbose=0)
    expected = -np.log(given[np.arange(len(labels)), labels]).mean()
    for loss in (
        pd.read_csv("plots/history.csv")["val_loss"].iloc[-1],
        load("metrics/train.json")["val_loss"],
        model.evaluate(images, labels, verbose=0)[0],
    ):
        assert loss == pytest.approx(expected, rel=1e-4)


def test_two_classes(synthetic: Path, project: Path) -> None:
    """A dataset is a file: no recipe and no module knows how many classes it has."""
    change_facts(**publish_dataset(synthetic, ["no", "yes"]))
    for stage in STAGES:
        stage.main()
    assert np.load("data/predictions/test/probabilities.npy").shape == (50, 2)
    assert pd.read_csv("plots/classes.csv")["class"].tolist() == ["no", "yes"]
    assert load_model(project / "models/model.keras", 2).count_params() == 785 * 2


def test_letters_as_emnist_has_them_and_an_ensemble(synthetic: Path, project: Path) -> None:
    """Labels from 1, images on their side; and a class that no test image shows."""
    names = [f"rune {number}" for number in range(26)]
    facts = publish_dataset(synthetic, names) | {"label_values": 1, "transpose": True}
    for split, (count, seed) in {"train": (TRAIN_COUNT, 0), "test": (TEST_COUNT, 1)}.items():
        images, labels = draw_images(count, seed, 26)
        shown = labels != (25 if split == "test" else -1)
        for kind, array in {"images": images.transpose(0, 2, 1), "labels": labels + 1}.items():
            name = facts[f"{split}_{kind}"]["name"]
            facts[f"{split}_{kind}"] = publish(synthetic, name, array[shown])
    change_facts(**facts)
    more = "ensemble_size: 3\ntest_time_shift: 2\ntemperature_scaling: true\n"
    RECIPE_PATH.write_text(RECIPE + more)
    for stage in STAGES:
        stage.main()
    found = np.load("data/decoded/test/images.npy")[..., 0]
    np.testing.assert_allclose(255 * found, images[shown], atol=1e-4)
    table = pd.read_csv("plots/classes.csv")
    assert table["class"].tolist() == names[:25]
    recall = load("data/predictions/test/scores.json")["recall"]
    assert recall == pytest.approx(table["recall"].mean(), abs=1e-5)
    assert len(pd.read_csv("plots/confusion.csv")) == 26**2
    assert pd.read_csv("plots/history.csv")["epoch"].tolist() == [1, 2]  # the members' mean
    assert load_model(project / "models/model.keras", 26).count_params() == 3 * 785 * 26


def test_perfect_model_has_nothing_to_analyse(decoded: Path) -> None:
    labels = np.load("data/decoded/test/labels.npy")
    write_predictions(TEST_PREDICTIONS_DIR, make_predictions(labels, labels))
    write_json(SCORES_PATH, {"recipe": "perfect"})
    analyze.main()
    summary = load("data/analysis/summary.json")
    assert {value for name, value in summary.items() if name.endswith("_count")} == {0}
    assert summary["most_confused_pair"] == "none"
    assert summary["coverage_at_999"] == summary["undisputed_accuracy"] == 1
    assert (decoded / "plots/errors.png").stat().st_size > 0


def test_stages_say_which_stage_is_missing(project: Path) -> None:
    assert not list(project.glob("data"))
    for stage in STAGES[1:]:
        with pytest.raises(ArtifactError, match="received none"):
            stage.main()
