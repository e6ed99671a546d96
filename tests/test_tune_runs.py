"""`digits tune` with real trainings on one machine: kills, a full disk, pruning, the winner."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from faults import NAMESPACE, can_mount
from projects import Project
from remotes import wait_until
from tuning import (
    assert_untouched,
    is_training,
    kill,
    list_experiments,
    list_states,
    list_trainings,
    take_winner,
    tune,
    wait_for_training,
    working,
    write_search,
)

LONG = "[60, 2]"  # epochs: long enough to be interrupted in the first


@contextmanager
def broken_off(trained: Project, tmp_path: Path) -> Iterator[tuple[Project, psutil.Popen]]:
    """Yield a project and a worker in the middle of its first training."""
    project = write_search(trained.copy(tmp_path / "project"), LONG)
    tune(project, "create")
    log = tmp_path / "log"
    with working(project, log) as worker:
        wait_for_training(project, worker, log)
        yield project, worker


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
    tune(project, "work")
    assert list_states(project) == ["lost", "complete", "complete"]
    assert "complete (retry of 0)" in " ".join(tune(project, "status").split())
    assert list_experiments(project) == [1, 2]
    assert_untouched(project)
    take_winner(project)


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_worker_gives_its_trial_back(
    number: signal.Signals, trained: Project, tmp_path: Path
) -> None:
    with broken_off(trained, tmp_path) as (project, worker):
        assert kill(worker, number) == 128 + signal.SIGINT
        assert (tmp_path / "log").read_text().splitlines()[-1] == "ERROR: interrupted"
        assert not list_trainings(project)
        assert list_states(project) == ["waiting", "waiting"]
        assert_untouched(project)
    tune(project, "work")
    assert list_states(project) == ["complete", "complete"]
    assert list_experiments(project) == [0, 1]


FULL_DISK = """
mkdir -p .dvc/tmp/tune
mount -t tmpfs -o size=100m tmpfs .dvc/tmp/tune
python -m digits tune work & worker=$!
until grep -qs '"epoch_count": [1-9]' .dvc/tmp/tune/*/clone/metrics/train.json; do sleep 0.1; done
fallocate --length "$(df --output=avail -k .dvc/tmp/tune | tail -n 1)KiB" .dvc/tmp/tune/filler
status=0
wait "$worker" || status=$?
echo "exit status $status"
"""


@pytest.mark.nightly
@pytest.mark.skipif(not can_mount(), reason="this system lets us mount no disk of our own")
def test_full_disk_ends_the_worker_and_its_trial_waits(trained: Project, tmp_path: Path) -> None:
    project = write_search(trained.copy(tmp_path / "project"), LONG)
    tune(project, "create")
    said = project.call(*NAMESPACE, "sh", "-euc", FULL_DISK)
    assert "No space left on device" in said
    assert "exit status 1\n" in said
    assert list_states(project) == ["waiting", "waiting"]
    tune(project, "work")
    assert list_states(project) == ["complete", "complete"]


@pytest.mark.nightly
def test_two_workers_in_one_clone_while_its_user_goes_on(trained: Project, tmp_path: Path) -> None:
    project = write_search(trained.copy(tmp_path / "project"), "[40, 30, 2, 3]")
    assert "4 new trials of 4" in tune(project, "create")
    with working(project, tmp_path / "one") as one, working(project, tmp_path / "other") as other:
        wait_until(lambda: list_states(project).count("running") == 2, "no two trials at a time")
        project.call("git", "switch", "--quiet", "--create", "mine")
        project.change("epochs: 2\n", "epochs: 5\n", "recipes/cnn_optdigits.yaml")
        project.commit("meanwhile")
        (project.folder / "params.yaml").write_text("edited")
        assert [one.wait(), other.wait()] == [0, 0], (tmp_path / "one").read_text()
    assert (project.folder / "params.yaml").read_text() == "edited"
    assert project.call("git", "symbolic-ref", "HEAD") == "refs/heads/mine\n"
    project.call("git", "restore", "params.yaml")
    project.call("git", "switch", "--quiet", "main")
    assert_untouched(project)
    assert list_states(project) == ["complete"] * 4
    assert list_experiments(project) == [0, 1, 2, 3]
    take_winner(project)
    for picture in ("history", "importance"):
        assert list((project.folder / "tune").glob(f"small-*/{picture}.png")), picture
    assert "tune" not in project.call("git", "status", "--porcelain")


@pytest.mark.nightly
def test_hopeless_trial_ends_early_and_one_that_fails_is_not_tried_again(
    trained: Project, tmp_path: Path
) -> None:
    """In a subfolder of a repository, too, on a path on which temporary runs of DVC die.

    Optuna's median takes five trials to judge the sixth by.
    """
    outer = Project(tmp_path / "Übung #1")
    project = trained.copy(outer.folder / "machine learning/digits")
    shutil.rmtree(project.folder / ".git")
    outer.call("git", "init", "--quiet", "--initial-branch=main")
    outer.identify()
    write_search(project, "[50]", "pruner: median\nwarmup_epochs: 2\n")
    rates = "[0.002, 0.0021, 0.0022, 0.0023, 0.0024, 0.0000001, -1.0]"
    project.change("yaml:optimizer.learning_rate: 0.002\n", "yaml:epochs: 30\n", "tune.yaml")
    before = "yaml:epochs:\n    values: [50]"
    project.change(before, f"yaml:optimizer.learning_rate:\n    values: {rates}", "tune.yaml")
    project.commit("rates")
    tune(project, "create")
    said = tune(project, "work")
    assert list_states(project) == [*["complete"] * 5, "pruned", "failed"]
    assert "optimizer.learning_rate: expected 0 or more, received -1.0" in said
    assert list_experiments(project) == [0, 1, 2, 3, 4]
    assert_untouched(project)


@pytest.mark.nightly
def test_checkout_that_is_not_the_studys_is_refused(trained: Project, tmp_path: Path) -> None:
    project = write_search(trained.copy(tmp_path / "project"), "[2]")
    project.change("  validation_fraction: 0.1\n", "  validation_fraction: 0.2\n")
    for action in ("create", "work"):
        said = tune(project, action, status=1)
        assert "expected everything committed, received changes in params.yaml" in said
    project.commit("another split, whose images dvc.lock does not have")
    assert "received an older one, brought up to date now: commit it" in tune(
        project, "create", status=1
    )
    assert "study: expected one of [], received 'small-" in tune(project, "status", status=1)
    project.commit("its images")
    assert "1 new trials of 1" in tune(project, "create")
    *_, delete = tune(project, "status").splitlines()
    project.call("sh", "-ec", delete.removeprefix("to delete it: "))
    assert "study: expected one of [], received 'small-" in tune(project, "work", status=1)
