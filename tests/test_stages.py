"""The five stages' `main`, in order, on a tiny synthetic dataset."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import forge_mnist, publish, publish_dataset

from digits.data import datasets, idx
from digits.files import ArtifactError
from digits.model.backend import keras
from digits.model.checkpoint import DivergedError
from digits.model.networks import build_network
from digits.model.objects import NetworkError
from digits.model.recipes import load_recipe
from digits.model.saving import load_model, write_model
from pipeline import analyze, decode, evaluate, fetch, train

PARAMS = """\
dataset: {dataset}
fetch:
  timeout_seconds: 1
  deadline_seconds: 1
decode: {{validation_fraction: 0.2, seed: 0, added_repeats: 1}}
train: {{recipe: tiny, seed: 0, devices: 1, threads: 0}}
evaluate: {{batch_size: 16, sample_count: 3, robustness_count: 20}}
analyze: {{gallery_count: 3, gallery_pair_limit: 2}}
"""
RECIPE = """\
layers:
  flatten: {{type: Flatten}}
  dropout: {{type: Dropout, rate: 0.1}}
  output: {{type: Dense, units: classes, activation: softmax}}
loss: categorical_crossentropy
optimizer: {{type: SGD, learning_rate: {learning_rate}}}
epochs: 2
batch_size: 32
ensemble_size: {members}
test_time_shift: {shift}
temperature_scaling: {scaling}
"""
RECIPE_PATH = Path("recipes/tiny.yaml")
STAGES = (fetch, decode, train, evaluate, analyze)


def make_project(folder: Path, **changes: str) -> Path:
    folder.mkdir()
    defaults = {
        "dataset": "mnist",
        "learning_rate": "0.01",
        "members": "1",
        "shift": "0",
        "scaling": "false",
    }
    values = defaults | changes
    (folder / "recipes").mkdir()
    (folder / "params.yaml").write_text(PARAMS.format(**values))
    (folder / "recipes/tiny.yaml").write_text(RECIPE.format(**values))
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project in which all stages have run: to be read and copied, never changed."""
    with pytest.MonkeyPatch.context() as patch:
        forge_mnist(tmp_path_factory.mktemp("forged"), patch)
        folder = make_project(tmp_path_factory.mktemp("finished") / "project")
        patch.chdir(folder)
        for stage in STAGES:
            stage.main()
    return folder


@pytest.fixture
def project(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 (the files of `dataset: mnist`)
    """Return the current folder: a project with the parameters and nothing else."""
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: a copy of the finished project."""
    folder = shutil.copytree(finished, tmp_path / "copied")
    monkeypatch.chdir(folder)
    return folder


def test_five_stages_agree_with_each_other(finished: Path) -> None:
    project = finished
    evaluated = json.loads((project / "data/predictions/test/scores.json").read_bytes())
    errors = json.loads((project / "data/analysis/summary.json").read_bytes())
    history = pd.read_csv(project / "plots/history.csv")
    confusion = pd.read_csv(project / "plots/confusion.csv")
    table = pd.read_csv(project / "data/analysis/errors.csv")
    probabilities = np.load(project / "data/predictions/test/probabilities.npy")
    labels = np.load(project / "data/decoded/test/labels.npy")

    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    metrics = json.loads((project / "metrics/evaluate.json").read_bytes())
    assert metrics.items() < evaluated.items()
    assert evaluated["dataset"] == "mnist"
    assert evaluated["recipe"] == "tiny"
    assert evaluated["image_count"] == len(labels) == confusion["count"].sum()
    assert evaluated["error_count"] == errors["error_count"] == len(wrong)
    assert evaluated["accuracy"] == round(1 - len(wrong) / len(labels), 6)
    assert confusion.query("true != predicted")["count"].sum() == len(wrong)
    assert sorted(table["index"]) == wrong.tolist()
    assert table["loss"].is_monotonic_decreasing
    robustness = pd.read_csv(project / "plots/robustness.csv")
    reliability = pd.read_csv(project / "plots/reliability.csv")
    rejection = pd.read_csv(project / "plots/rejection.csv")
    issues = pd.read_csv(project / "data/analysis/label_issues.csv")
    chosen = pd.read_csv(project / "plots/val_robustness.csv")
    trained = json.loads((project / "metrics/train.json").read_bytes())
    for table, metrics, prefix in ((robustness, evaluated, ""), (chosen, trained, "val_")):
        assert table["group"].tolist() == ["apart", *["unseen"] * 15, "apart", "apart"]
        mean = table.query("group == 'unseen'")["accuracy"].mean()
        assert metrics[f"{prefix}robustness"] == pytest.approx(mean, abs=1e-5)
        assert metrics[f"{prefix}robustness_unseen"] == metrics[f"{prefix}robustness"]
        assert f"{prefix}robustness_seen" not in metrics
    assert chosen["accuracy"][0] == pytest.approx(trained["val_accuracy"], abs=1e-5)
    assert 0 < evaluated["other_hands"] < 1
    assert reliability["count"].sum() == len(labels)
    gaps = (reliability["accuracy"] - reliability["confidence"]).abs() * reliability["count"]
    assert evaluated["calibration_error"] == pytest.approx(gaps.sum() / len(labels), abs=1e-5)
    assert rejection["accuracy"].iloc[0] == pytest.approx(evaluated["accuracy"])
    assert errors["label_issue_count"] == len(issues)
    disputed = [3, 14]
    assert errors["disputed_error_count"] == sum(index in disputed for index in wrong)
    others = len(labels) - len(disputed)
    undisputed = 1 - sum(index not in disputed for index in wrong) / others
    assert errors["undisputed_accuracy"] == pytest.approx(undisputed, abs=1e-6)
    assert list(history) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert history["epoch"].tolist() == [1, 2]


def test_evaluation_agrees_with_keras(finished: Path) -> None:
    project = finished
    model = keras.saving.load_model(project / "models/model.keras")
    images, labels = (np.load(project / f"data/decoded/test/{x}.npy") for x in ("images", "labels"))
    loss, accuracy = model.evaluate(images, labels, verbose=0)
    evaluated = json.loads((project / "data/predictions/test/scores.json").read_bytes())
    assert evaluated["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert evaluated["loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.usefixtures("synthetic")
def test_diverged_training_leaves_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project", learning_rate="1e+38"))
    monkeypatch.setattr(
        "digits.model.training.smoke_test", lambda _: None
    )  # it diverges there, too
    for stage in (fetch, decode):
        stage.main()
    with pytest.raises(DivergedError, match="tiny, epoch 1: expected a finite loss"):
        train.main()
    assert not Path("models/model.keras").exists()


@pytest.mark.usefixtures("synthetic")
def test_refused_recipe_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project", learning_rate="1"))
    for stage in (fetch, decode):
        stage.main()
    with pytest.raises(NetworkError, match=r"optimizer: .* should be float"):
        train.main()
    assert {path.name for path in Path().iterdir()} == {"data", "params.yaml", "recipes"}


def test_training_is_quiet_and_writes_its_scores_while_it_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[int, int, bool]] = []

    def look(*arguments: Any) -> None:
        write(*arguments)
        history = (project / "plots/history.csv").read_text().splitlines()
        metrics = json.loads((project / "metrics/train.json").read_bytes())
        seen.append((metrics.get("epoch_count"), len(history) - 1, "val_loss" in metrics))

    change(RECIPE_PATH, "epochs: 2", "epochs: 3")
    for stage in (fetch, decode):
        stage.main()
    write = train.write_results
    monkeypatch.setattr(train, "write_results", look)
    train.main()
    assert seen == [(0, 0, False), (1, 1, True), (2, 2, True), (3, 3, True), (None, 3, True)]
    assert pd.read_csv("plots/history.csv")["epoch"].tolist() == [1, 2, 3]
    written = capfd.readouterr()
    assert (
        "tiny: 7,850 parameters in 3 layers\n  flatten 784, dropout 784, output 10\n" in written.out
    )
    assert re.search(
        r"^tiny, epoch 3 of 3: accuracy 0\.\d+, loss .*, \d+ s$", written.out, re.MULTILINE
    )
    assert "\r" not in written.out
    (warning,) = written.err.splitlines()  # of an epoch of four steps
    assert warning.startswith("WARNING: tiny takes 12 steps on 120 images")
    assert (project / "models/model.keras").is_file()


def change(path: Path, before: str, after: str) -> None:
    """Change a file of the current project."""
    text = path.read_text()
    assert text.count(before) == 1, before
    path.write_text(text.replace(before, after))


@pytest.mark.usefixtures("copied")
def test_losses_are_plain_cross_entropy() -> None:
    change(RECIPE_PATH, "softmax", "softmax, kernel_regularizer: l2")
    penalty = "  penalty: {type: ActivityRegularization, l2: 0.1}\n"
    change(RECIPE_PATH, "  dropout:", f"{penalty}  dropout:")
    change(RECIPE_PATH, "epochs: 2", "epochs: 2\nlabel_smoothing: 0.2")
    train.main()
    model = keras.saving.load_model("models/model.keras")
    images, labels = (np.load(f"data/decoded/validation/{x}.npy") for x in ("images", "labels"))
    given = model.predict(images, verbose=0)
    expected = -np.log(given[np.arange(len(labels)), labels]).mean()
    history = pd.read_csv("plots/history.csv")
    metrics = json.loads(Path("metrics/train.json").read_bytes())
    assert history["val_loss"].iloc[-1] == pytest.approx(expected, rel=1e-4)
    assert metrics["val_loss"] == pytest.approx(expected, rel=1e-4)
    assert model.evaluate(images, labels, verbose=0)[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("synthetic")
def test_members_are_joined_into_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project", members="3", shift="2", scaling="true"))
    for stage in STAGES:
        stage.main()
    metrics = json.loads(Path("metrics/train.json").read_bytes())
    history = pd.read_csv("plots/history.csv")
    scores = ["val_accuracy", "val_loss", "val_robustness", "val_robustness_unseen"]
    assert list(metrics) == ["compute_dtype", *scores]
    assert load_model(Path("models/model.keras"), 10).count_params() == 3 * 7_850
    assert history["epoch"].tolist() == [1, 2]  # the members' mean
    assert json.loads(Path("data/predictions/test/scores.json").read_bytes())["recipe"] == "tiny"


@pytest.mark.parametrize("class_count", [2, 26])
def test_any_number_of_classes(
    class_count: int, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataset is a file: no recipe and no module knows how many classes it has."""
    names = [f"rune {number}" for number in range(class_count)]
    facts = publish_dataset(synthetic, names)
    (datasets.DATASETS_DIR / "runes.yaml").write_text(json.dumps(facts))
    monkeypatch.chdir(make_project(tmp_path / "project", dataset="runes"))
    for stage in STAGES:
        stage.main()
    assert np.load("data/predictions/test/probabilities.npy").shape == (50, class_count)
    assert pd.read_csv("plots/classes.csv")["class"].tolist() == names
    assert len(pd.read_csv("plots/confusion.csv")) == class_count**2
    metrics = json.loads(Path("data/predictions/test/scores.json").read_bytes())
    assert metrics["dataset"] == "runes"


def test_letters_from_1_transposed_and_one_untested(
    synthetic: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As EMNIST is: labels from 1, images on their side; and a class that no test image shows."""
    names = list("ABCDE")
    facts: dict[str, Any] = publish_dataset(synthetic, names)
    monkeypatch.chdir(make_project(tmp_path / "upright", dataset="upright"))
    (datasets.DATASETS_DIR / "upright.yaml").write_text(json.dumps(facts))
    fetch.main()
    decode.main()
    upright = {name: np.load(f"data/decoded/{name}/images.npy") for name in ("train", "test")}
    for path in Path("data/raw").iterdir():
        array = idx.decode(path.read_bytes())
        turned = array + 1 if array.ndim == 1 else array.transpose(0, 2, 1)
        if path.name.startswith("t10k"):
            labels = np.load("data/decoded/test/labels.npy")
            turned = turned[labels != 4]
        facts |= {
            key: publish(synthetic, path.name, turned)
            for key, value in facts.items()
            if isinstance(value, dict) and value["name"] == path.name
        }
    monkeypatch.chdir(make_project(tmp_path / "project", dataset="letters"))
    facts |= {"label_values": 1, "transpose": True}
    (datasets.DATASETS_DIR / "letters.yaml").write_text(json.dumps(facts))
    for stage in STAGES:
        stage.main()
    np.testing.assert_array_equal(np.load("data/decoded/train/images.npy"), upright["train"])
    assert len(np.load("data/decoded/test/images.npy")) == 40
    assert "test labels: expected all classes, received no image of E" in capsys.readouterr().err
    assert pd.read_csv("plots/classes.csv")["class"].tolist() == names[:4]
    scored = json.loads(Path("data/predictions/test/scores.json").read_bytes())
    table = pd.read_csv("plots/classes.csv")
    assert scored["recall"] == pytest.approx(table["recall"].mean(), abs=1e-5)
    assert "E" not in Path("data/predictions/test/report.txt").read_text()


def test_recipe_of_another_number_of_classes_is_refused(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = publish_dataset(synthetic, ["odd", "even"])
    (datasets.DATASETS_DIR / "parity.yaml").write_text(json.dumps(facts))
    folder = make_project(tmp_path / "project", dataset="parity")
    change(folder / RECIPE_PATH, "units: classes", "units: 10")
    monkeypatch.chdir(folder)
    fetch.main()
    decode.main()
    message = "to give 2 probabilities, as `units: classes` does, received shape .None, 10."
    with pytest.raises(NetworkError, match=message):
        train.main()
    assert not Path("models").exists()


def predict_perfectly(**changes: object) -> None:
    """Write the predictions of a model that is always right, and metrics that may not be theirs."""
    for stage in (fetch, decode):
        stage.main()
    labels = np.load("data/decoded/test/labels.npy")
    folder = Path("data/predictions/test")
    folder.mkdir(parents=True)
    np.save(folder / "labels.npy", labels)
    np.save(folder / "images.npy", np.zeros((len(labels), 28, 28), np.uint8))
    np.save(folder / "probabilities.npy", np.eye(10, dtype=np.float32)[labels])
    facts = {"recipe": "perfect", "dataset": "mnist", "image_count": 50, "error_count": 0}
    Path("data/predictions/test/scores.json").write_text(json.dumps(facts | changes))


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("key", "value"),
    [("dataset", "kmnist"), ("dataset", None), ("image_count", 10_000), ("error_count", 1)],
)
def test_predictions_of_another_test_set_are_refused(key: str, value: object) -> None:
    predict_perfectly(**{key: value})
    reason = rf"^data/predictions/test: expected {key} {value!r}, .*$"
    with pytest.raises(ArtifactError, match=reason):
        analyze.main()
    assert not Path("data/analysis/summary.json").exists()


def test_perfect_model_has_nothing_to_analyse(project: Path) -> None:
    predict_perfectly()
    analyze.main()
    errors = json.loads((project / "data/analysis/summary.json").read_bytes())
    assert errors["error_count"] == 0
    assert errors["most_confused_pair"] == "none"
    assert errors["coverage_at_999"] == 1
    assert errors["label_issue_count"] == errors["disputed_error_count"] == 0
    assert errors["undisputed_accuracy"] == 1
    assert (project / "plots/errors.png").stat().st_size > 0


def write_blank_model(bias: float) -> None:
    """Write a model that gives every image the same probabilities, with a bias on class 3."""
    recipe = load_recipe("tiny").suit_classes(10)
    network = build_network("tiny", recipe)
    network.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    weights = network.get_weights()
    weights[0][:] = 0
    weights[1][:] = 0
    weights[1][3] = bias
    network.set_weights(weights)
    write_model(Path("models/model.keras"), network)


@pytest.mark.slow
def test_constant_model_is_evaluated_and_analysed(copied: Path) -> None:
    project = copied
    write_blank_model(bias=1.0)
    # A processor may round the last images of a batch otherwise: here each is a batch.
    change(Path("params.yaml"), "evaluate: {batch_size: 16", "evaluate: {batch_size: 1")
    evaluate.main()
    analyze.main()
    evaluated = json.loads((project / "data/predictions/test/scores.json").read_bytes())
    errors = json.loads((project / "data/analysis/summary.json").read_bytes())
    assert evaluated["accuracy"] == errors["most_confused_count"] / 50 == 0.1
    assert evaluated["precision"] == pytest.approx(0.01)
    labels = np.load("data/decoded/test/labels.npy")
    chosen = labels[np.linspace(0, 49, 20).round().astype(int)]
    assert evaluated["robustness"] == pytest.approx((chosen == 3).mean(), abs=1e-6)
    assert errors["error_count"] == 45
    assert errors["coverage_at_999"] == 0
    assert len(pd.read_csv(project / "plots/rejection.csv")) == 1


def test_model_that_gives_no_numbers_is_refused(copied: Path) -> None:
    shutil.rmtree(copied / "data/predictions")
    write_blank_model(bias=float("nan"))
    with pytest.raises(ArtifactError, match="expected finite probabilities, received NaN"):
        evaluate.main()
    assert not (copied / "data/predictions/test/scores.json").exists()


def test_stages_say_which_stage_is_missing(project: Path) -> None:
    assert not list(project.glob("data"))
    for stage in STAGES[1:]:
        with pytest.raises(ArtifactError, match="received none"):
            stage.main()
