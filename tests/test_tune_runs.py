"""`make tune` with real trainings on one machine: two workers, kills, pruning, the winner."""

import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from projects import Project
from remotes import wait_until
from sharing import MODEL
from tuning import (
    TUNE,
    assert_untouched,
    find_best,
    is_training,
    kill,
    list_experiments,
    list_states,
    list_trainings,
    wait_for_end,
    wait_for_training,
    working,
    write_search,
)

LONG = "[60, 2]"  # epochs: long enough to be broken off in the first


@contextmanager
def broken_off(trained: Project, tmp_path: Path) -> Iterator[tuple[Project, psutil.Popen]]:
    """Yield a project and a worker in the middle of its first training."""
    project = write_search(trained.copy(tmp_path / "project"), LONG)
    project.call(*TUNE, "create")
    log = tmp_path / "log"
    with working(project, log) as worker:
        wait_for_training(project, worker, log)
        yield project, worker


def end_study(project: Project) -> None:
    """Have another worker run what is left, and check that nothing is missing or twice there."""
    project.call(*TUNE, "work")
    assert list_states(project) == ["complete"] * 2
    assert [name.split("-")[2] for name in list_experiments(project)] == ["0", "1"]
    assert_untouched(project)


@pytest.mark.nightly
def test_two_workers_in_one_clone_while_its_user_goes_on(trained: Project, tmp_path: Path) -> None:
    project = write_search(trained.copy(tmp_path / "project"), "[40, 30, 2, 3]")
    assert "4 new trials of 4" in project.call(*TUNE, "create")
    assert list_states(project) == ["waiting"] * 4
    first, second = tmp_path / "first", tmp_path / "second"
    with working(project, first) as one, working(project, second) as other:
        wait_until(lambda: list_states(project).count("running") == 2, "no two trials at a time")
        project.call("git", "switch", "--quiet", "--create", "mine")
        project.change("epochs: 2\n", "epochs: 5\n", "recipes/cnn_optdigits.yaml")
        project.commit("meanwhile")
        (project.folder / "params.yaml").write_text("edited")
        wait_for_end(one, first)
        wait_for_end(other, second)
    assert (project.folder / "params.yaml").read_text() == "edited"
    assert project.call("git", "symbolic-ref", "HEAD") == "refs/heads/mine\n"
    project.call("git", "restore", "params.yaml")
    project.call("git", "switch", "--quiet", "main")
    assert_untouched(project)

    assert list_states(project) == ["complete"] * 4
    names = list_experiments(project)
    assert [name.split("-")[2:] for name in names] == [[ticket, "0"] for ticket in "0123"]
    listed = project.call("python", "-m", "digits", "experiments")
    for epochs in (40, 30, 2, 3):
        assert f"epochs 2 → {epochs}" in listed or epochs == 2
    best, advice = find_best(project)
    assert advice.startswith("dvc exp apply small-")
    for picture in ("history", "importance"):
        assert list((project.folder / "tune").glob(f"small-*/{picture}.png")), picture
    project.call(*advice.split())
    assert best in (project.folder / "recipes/cnn_optdigits.yaml").read_text()
    assert (project.folder / MODEL).is_file()
    assert "up to date" in project.call("dvc", "repro", "train")


@pytest.mark.slow
def test_killed_worker_takes_its_training_with_it_and_the_next_one_goes_on(
    trained: Project, tmp_path: Path
) -> None:
    with broken_off(trained, tmp_path) as (project, worker):
        assert len(list_trainings(project)) == 2
        kill(worker)
        wait_until(lambda: not list_trainings(project), "the training has outlived its worker")
        assert is_training(project), "it has come to its end all the same"
        assert list_states(project) == ["running", "waiting"]
        end_study(project)


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_worker_puts_its_trial_back(
    number: signal.Signals, trained: Project, tmp_path: Path
) -> None:
    with broken_off(trained, tmp_path) as (project, worker):
        assert kill(worker, number) == 128 + signal.SIGINT
        assert (tmp_path / "log").read_text().splitlines()[-1] == "ERROR: interrupted"
        assert not list_trainings(project)
        assert list_states(project) == ["waiting", "waiting"]
        assert_untouched(project)
        end_study(project)


@pytest.mark.nightly
def test_hopeless_trial_ends_early_and_one_that_fails_is_not_tried_again(
    trained: Project, tmp_path: Path
) -> None:
    """Optuna's median takes five trials to judge the sixth by."""
    more = "pruner: median\nwarmup_epochs: 2\n"
    project = trained.copy(tmp_path / "project")
    write_search(project, "[50]", more)
    text = (project.folder / "tune.yaml").read_text()
    rates = "[0.002, 0.0021, 0.0022, 0.0023, 0.0024, 0.0000001, -1.0]"
    text = text.replace(
        "yaml:epochs:\n    values: [50]", f"yaml:optimizer.learning_rate:\n    values: {rates}"
    )
    text = text.replace("yaml:optimizer.learning_rate: 0.002\n", "yaml:epochs: 30\n")
    (project.folder / "tune.yaml").write_text(text)
    project.commit("rates")
    project.call(*TUNE, "create")
    said = project.call(*TUNE, "work")
    assert list_states(project) == [*["complete"] * 5, "pruned", "failed"]
    assert "optimizer.learning_rate: expected 0 or more, received -1.0" in said
    tickets = [name.split("-")[2] for name in list_experiments(project)]
    assert tickets == ["0", "1", "2", "3", "4"]
    assert_untouched(project)
    project.call("dvc", "exp", "show", "--no-pager")


@pytest.mark.nightly
def test_study_in_a_subfolder_of_a_repository(trained: Project, tmp_path: Path) -> None:
    """On a path, too, on which temporary runs of DVC die."""
    outer = Project(tmp_path / "Übung #1")
    inner = trained.copy(outer.folder / "machine learning/digits")
    shutil.rmtree(inner.folder / ".git")
    outer.call("git", "init", "--quiet", "--initial-branch=main")
    outer.identify()
    write_search(inner, "[3]")
    inner.call(*TUNE, "create")
    inner.call(*TUNE, "work")
    assert list_states(inner) == ["complete"]
    _, advice = find_best(inner)
    inner.call(*advice.split())
    assert "up to date" in inner.call("dvc", "repro", "train")


@pytest.mark.nightly
def test_dirty_checkout_and_unknown_commit_are_refused(trained: Project, tmp_path: Path) -> None:
    project = write_search(trained.copy(tmp_path / "project"))
    project.call(*TUNE, "create")
    project.change("epochs: 2\n", "epochs: 5\n", "recipes/cnn_optdigits.yaml")
    for action in ("create", "work"):
        said = project.call(*TUNE, action, status=1)
        assert (
            "expected everything committed, received changes in recipes/cnn_optdigits.yaml" in said
        )
    project.commit("another commit")
    said = project.call(*TUNE, "work", status=1)
    assert re.search(r"study: expected one of \['small-\w+'\], received 'small-\w+'", said)
    assert "Traceback" not in said
