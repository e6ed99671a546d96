"""The DAG through the real `dvc`: which stages a change re-runs, and what people then see."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from projects import ALL, UP_TO_DATE, Project, list_runs, make_project

RECIPE = "recipes/cnn_optdigits.yaml"


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return trained.copy(tmp_path_factory.mktemp("dag") / "project")


def test_nothing_is_to_run_here_or_in_a_clone(project: Project) -> None:
    edges = re.findall(r'"(\w+)" -> "(\w+)"', project.call("dvc", "dag", "--dot"))
    assert set(pairwise(ALL)) <= set(edges)
    assert UP_TO_DATE in project.call("dvc", "repro")
    assert project.call("git", "status", "--porcelain") == ""
    project.call("dvc", "push")
    # As Git for Windows is set up; DVC's MD5s are of the bytes.
    project.call("git", "config", "--global", "core.autocrlf", "true")
    clone = project.clone(project.folder.with_name("clone"))
    assert UP_TO_DATE in clone.call("dvc", "repro", "--allow-missing", "--dry")
    clone.call("dvc", "pull")
    assert UP_TO_DATE in clone.call("dvc", "repro")


def test_epochs_are_diffed_and_the_former_are_restored_from_cache(
    retrained: Project, tmp_path: Path
) -> None:
    project = retrained.copy(tmp_path / "project")  # changed epochs, and saw what ran
    lock = project.call("git", "show", "HEAD~1:dvc.lock")
    params = json.loads(project.call("dvc", "params", "diff", "HEAD~1", "--json"))
    assert params == {RECIPE: {"epochs": {"old": 2, "new": 3, "diff": 1}}}
    metrics = json.loads(project.call("dvc", "metrics", "diff", "HEAD~1", "--json"))
    assert {"accuracy", "loss"} <= set(metrics["metrics/evaluate.json"])
    project.call("dvc", "plots", "diff", "HEAD~1", "--out", "page")
    page = (project.folder / "page/index.html").read_text()
    assert "samples.png" in page
    # Each table is drawn once, as the stage says that makes it.
    titles = re.findall(r'"title": \{"text": "([^"]+)"', page)
    assert len(titles) == len(list((project.folder / "plots").glob("*.csv")))
    assert {"Confusion matrix", "Learning curves"} <= set(titles)
    project.change("epochs: 3\n", "epochs: 2\n", RECIPE)
    assert list_runs(project.call("dvc", "repro")) == []
    assert (project.folder / "dvc.lock").read_text() == lock
    assert project.call("git", "diff", "HEAD~1", "--name-only") == ""
    project.change("  output:", "  dense2: {type: Dense, units: 8}\n  output:", RECIPE)
    changed = json.loads(project.call("dvc", "params", "diff", "HEAD~1", "--json"))[RECIPE]
    assert changed.keys() == {"layers.dense2.type", "layers.dense2.units"}  # a row an argument


def test_unselected_recipe_and_comment_rerun_nothing(project: Project) -> None:
    project.change("epochs: 8\n", "epochs: 9\n", "recipes/quick.yaml")
    project.change("# The parameters of", "# Another comment on", "params.yaml")
    (project.folder / "recipes/mine.yaml").write_text("epochs: 1\n")
    assert list_runs(project.call("dvc", "repro")) == []
    (project.folder / "recipes/mine.yaml").unlink()
    project.call("git", "restore", ".")


@pytest.mark.slow
def test_layers_that_change_places_train_again(project: Project) -> None:
    """To DVC a mapping has no order: without the recipe among the deps nothing would run."""
    flatten, dropout = "  flatten: {type: Flatten}\n", "  dropout: {type: Dropout, rate: 0.5}\n"
    project.change(flatten + dropout, dropout + flatten, RECIPE)
    assert json.loads(project.call("dvc", "params", "diff", "--json")) == {}
    assert list_runs(project.call("dvc", "repro", "train")) == ["train"]
    project.revert()


@pytest.mark.nightly
def test_unreachable_dataset_falls_back_loudly(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "mnist", "quick")
    facts = project.folder / "datasets/mnist.yaml"
    facts.write_text(re.sub(r"\n- (https|\.\.).*", "\n- nowhere", facts.read_text()))
    project.call("git", "commit", "--all", "--quiet", "--message", "no mirrors")
    output = project.call("python", "-m", "digits", "repro")
    assert "ERROR: mnist: no mirror gave train-images-idx3-ubyte\n" in output
    assert "What follows is NOT a result on mnist." in output
    assert "dvc exp run -S dataset=mnist -S train.recipe=quick" in output
    assert re.search(r"Optdigits, recipe cnn_optdigits: test accuracy \d\d\.\d\d%", output)
    assert project.load("data/predictions/test/scores.json")["dataset"] == "optdigits"
    assert "dataset: optdigits" in (project.folder / "params.yaml").read_text()


def test_other_failures_do_not_fall_back(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "mnist", "quick")
    project.change("timeout_seconds: 10", "timeout_seconds: 0")
    output = project.call("python", "-m", "digits", "repro", status=255)
    assert "fetch.timeout_seconds: expected greater than 0, received 0" in output
    assert "NOT a result" not in output
    assert "Traceback" not in output
