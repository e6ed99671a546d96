"""`digits tune` with real trainings on one machine: kills, pruning, the winner."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from projects import Project
from remotes import wait_until
from tuning import TunedProject, kill

LONG = "[60, 2]"  # epochs: long enough to be interrupted in the first


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> TunedProject:
    return TunedProject(trained.copy(tmp_path / "project").folder)


@contextmanager
def broken_off(project: TunedProject, log: Path) -> Iterator[psutil.Popen]:
    """Yield a worker in the middle of its first training."""
    project.write_search(LONG).tune("create")
    with project.working(log) as worker:
        project.wait_for_training(worker, log)
        yield worker


@pytest.mark.slow
def test_killed_worker_takes_its_training_with_it_and_the_next_one_goes_on(
    project: TunedProject, tmp_path: Path
) -> None:
    with broken_off(project, tmp_path / "log") as worker:
        assert len(project.list_trainings()) == 2
        kill(worker)
        wait_until(lambda: not project.list_trainings(), "the training has outlived its worker")
        assert project.is_training(), "it has come to its end all the same"
        assert project.list_states() == ["running", "waiting"]
    project.tune("work")
    assert project.list_states() == ["lost", "complete", "complete"]
    assert project.list_experiments() == [1, 2]
    project.assert_untouched()
    project.take_winner()


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_worker_gives_its_trial_back(
    number: signal.Signals, project: TunedProject, tmp_path: Path
) -> None:
    with broken_off(project, tmp_path / "log") as worker:
        assert kill(worker, number) == 128 + signal.SIGINT
        assert (tmp_path / "log").read_text().splitlines()[-1] == "ERROR: interrupted"
        assert not project.list_trainings()
        assert project.list_states() == ["waiting", "waiting"]
        project.assert_untouched()
    project.tune("work")
    assert project.list_states() == ["complete", "complete"]
    assert project.list_experiments() == [0, 1]


@pytest.mark.nightly
def test_two_workers_in_one_clone_while_its_user_goes_on(
    project: TunedProject, tmp_path: Path
) -> None:
    project.write_search("[40, 30, 2, 3]").tune("create")
    logs = tmp_path / "one", tmp_path / "other"
    with project.working(logs[0]) as one, project.working(logs[1]) as other:
        wait_until(lambda: project.list_states().count("running") == 2, "no two trials at a time")
        project.call("git", "switch", "--quiet", "--create", "mine")
        project.change("epochs: 2\n", "epochs: 5\n", "recipes/cnn_optdigits.yaml")
        project.commit("meanwhile")
        (project.folder / "params.yaml").write_text("edited")
        assert [one.wait(), other.wait()] == [0, 0], logs[0].read_text()
    assert (project.folder / "params.yaml").read_text() == "edited"
    assert project.call("git", "symbolic-ref", "HEAD") == "refs/heads/mine\n"
    project.call("git", "restore", "params.yaml")
    project.call("git", "switch", "--quiet", "main")
    project.assert_untouched()
    assert project.list_states() == ["complete"] * 4
    assert project.list_experiments() == [0, 1, 2, 3]
    project.take_winner()
    assert "tune" not in project.call("git", "status", "--porcelain")


@pytest.mark.nightly
def test_hopeless_trial_ends_early_and_one_that_fails_is_not_tried_again(
    trained: Project, tmp_path: Path
) -> None:
    """In a subfolder of a repository, too, on a path on which temporary runs of DVC die.

    Optuna's median takes five trials to judge the sixth by.
    """
    outer = Project(tmp_path / "Übung #1")
    project = TunedProject(trained.copy(outer.folder / "machine learning/digits").folder)
    shutil.rmtree(project.folder / ".git")
    outer.call("git", "init", "--quiet", "--initial-branch=main")
    outer.identify()
    project.write_search("[50]", "pruner: median\nwarmup_epochs: 2\n")
    rates = "[0.002, 0.0021, 0.0022, 0.0023, 0.0024, 0.0000001, -1.0]"
    project.change("yaml:optimizer.learning_rate: 0.002\n", "yaml:epochs: 30\n", "tune.yaml")
    before = "yaml:epochs:\n    values: [50]"
    project.change(before, f"yaml:optimizer.learning_rate:\n    values: {rates}", "tune.yaml")
    project.commit("rates")
    project.tune("create")
    said = project.tune("work")
    assert project.list_states() == [*["complete"] * 5, "pruned", "failed"]
    assert "optimizer.learning_rate: expected 0 or more, received -1.0" in said
    assert project.list_experiments() == [0, 1, 2, 3, 4]
    project.assert_untouched()


@pytest.mark.nightly
def test_checkout_that_is_not_the_studys_is_refused(project: TunedProject) -> None:
    project.write_search("[2]")
    project.change("  validation_fraction: 0.1\n", "  validation_fraction: 0.2\n")
    for action in ("create", "work"):
        assert "received changes in params.yaml" in project.tune(action, status=1)
    project.commit("another split, whose images dvc.lock does not have")
    assert "received an older one, brought up to date now" in project.tune("create", status=1)
    assert "study: expected one of [], received 'small-" in project.tune("status", status=1)
    project.commit("its images")
    assert "1 new trials of 1" in project.tune("create")
    *_, delete = project.tune("status").splitlines()
    project.call("sh", "-ec", delete.removeprefix("to delete it: "))
    assert "study: expected one of [], received 'small-" in project.tune("work", status=1)
