"""`make tune` on several machines: clones of one Git remote, PostgreSQL, and an array of Slurm."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import clusters
import optuna
import psutil
import pytest
from imports import ROOT
from optuna.trial import TrialState
from projects import Project, lend_environment
from remotes import wait_until
from sharing import MODEL
from test_readme import read_blocks
from tuning import (
    SECONDS,
    TUNE,
    assert_untouched,
    find_best,
    kill,
    list_experiments,
    list_states,
    list_trainings,
    wait_for_end,
    wait_for_training,
    working,
    write_search,
)

from digits.commands.study import StudyError, explaining, open_storage

pytestmark = pytest.mark.nightly
STORAGE = "DIGITS_TUNE_STORAGE"
PAGE_URL = "postgresql+psycopg://maria:$PASSWORD@db.example.org/digits"


def read_commands(number: int, stand_ins: Mapping[str, str]) -> list[str]:
    """Return the commands of a block of the page, with values for its examples."""
    block = read_blocks("docs/scaling.md", "console")[number]
    for example, value in stand_ins.items():
        block = block.replace(example, value)
    return re.findall(r"^\$ (.*)", block, re.MULTILINE)


def make_machine(trained: Project, tmp_path: Path) -> Project:
    """Return a clone with a search, and data and results on a DVC remote; it has a Git remote."""
    project = trained.copy(tmp_path / "first/digits")
    shutil.copy(ROOT / "Makefile", project.folder)
    for lock in ROOT.glob("requirements*.lock"):
        shutil.copy(lock, project.folder)
    lend_environment(project)
    project.call("dvc", "remote", "modify", "team", "url", str(tmp_path / "store"))
    write_search(project, "[60, 50, 2, 3, 4]", "push: origin\n", heartbeat=5)
    project.call("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "remote.git"))
    project.call("git", "remote", "add", "origin", str(tmp_path / "remote.git"))
    project.call("dvc", "push", "--quiet")
    return project


def test_two_machines_lose_a_worker_and_their_database(trained: Project, tmp_path: Path) -> None:
    first = make_machine(trained, tmp_path)
    logs = tmp_path / "first.log", tmp_path / "second.log"
    with clusters.postgres() as database:
        secret = {STORAGE: database.url}
        examples = {PAGE_URL: database.url, "GIT_REMOTE": str(tmp_path / "remote.git")}
        create = read_commands(1, {**examples, " --trials 40": ""})
        assert "5 new trials of 5" in first.call("sh", "-ec", "\n".join(create))

        clone, *join = read_commands(2, examples)
        (tmp_path / "second").mkdir()
        Project(tmp_path / "second").call("sh", "-ec", clone)
        second = Project(tmp_path / "second/digits").identify()
        lend_environment(second)
        with (
            working(first, logs[0], secret) as lost,
            working(second, logs[1], command=["sh", "-ec", "\n".join(join)]) as worker,
        ):
            wait_for_training(first, lost, logs[0])
            wait_for_training(second, worker, logs[1])
            # No process that a worker starts has the password.
            assert list_trainings(first)
            for process in [*list_trainings(first), *list_trainings(second)]:
                assert database.secret not in "".join(process.environ().values())
            kill(lost)
            database.restart()
            wait_for_end(worker, logs[1])
        # The other machine's trial was begun once more; the restart has cost none.
        assert count_trials(database.url) == Counter({TrialState.COMPLETE: 5, TrialState.FAIL: 1})
        states = list_states(second, secret)
        epochs, advice = find_best(second, secret)
    assert states == ["complete"] * 5
    assert database.secret not in logs[0].read_text() + logs[1].read_text()
    assert_untouched(second)

    # A third machine takes the winner over, and trains nothing.
    third = Project(tmp_path / "third")
    third.folder.mkdir()
    third.call("git", "clone", "--quiet", str(tmp_path / "remote.git"), ".")
    name = advice.split()[-1]
    third.call("sh", "-ec", f"dvc exp pull origin {name} && dvc exp apply {name}")
    assert "up to date" in third.call("dvc", "repro", "train")
    assert epochs in (third.folder / "recipes/cnn_optdigits.yaml").read_text()
    assert (third.folder / MODEL).is_file()
    listed = third.call("dvc", "exp", "list", "--name-only", "origin").split()
    assert sorted(it.split("-")[2] for it in listed) == list("01234")


def test_database_that_restarts_is_waited_for_and_one_that_stays_away_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with clusters.postgres() as database:
        storage = open_storage(database.url, heartbeat_seconds=1)
        database.call("--mode=immediate", "stop")
        # It comes back in the first pause that is made for it.
        monkeypatch.setattr("time.sleep", lambda _: database.call("start"))
        assert storage.get_all_studies() == []
        database.call("--mode=immediate", "stop")
        monkeypatch.undo()
        refused = pytest.raises(StudyError, match="received OperationalError")
        with refused, explaining(database.url):
            storage.get_all_studies()
        database.call("start")
        storage.remove_session()
        storage.engine.dispose()


def count_trials(url: str) -> Counter[TrialState]:
    """Count the trials in the database, those that were lost or put back among them."""
    storage = open_storage(url)
    (name,) = optuna.get_all_study_names(storage)
    states = Counter(it.state for it in optuna.load_study(study_name=name, storage=storage).trials)
    storage.remove_session()
    storage.engine.dispose()
    return states


def submit(cluster: clusters.Slurm, project: Project, tmp_path: Path, url: str) -> None:
    """Submit the script of the page, for two tasks."""
    (script,) = read_blocks("docs/scaling.md", "sh")
    assert "--array=0-3" in script
    (project.folder / "tune.sh").write_text(script.replace("--array=0-3", "--array=0-1"))
    lend_environment(project)
    (command,) = read_commands(3, {"sbatch ": f"sbatch --output={tmp_path}/task-%a.log "})
    environment = {**project.environment, STORAGE: url, **cluster.environment}
    subprocess.run(command.split(), cwd=project.folder, env=environment, check=True)


def list_workers(cluster: clusters.Slurm, node: str) -> list[psutil.Process]:
    return [it for it in cluster.list_processes(node) if it.cmdline()[-2:] == ["tune", "work"]]


def find_task(cluster: clusters.Slurm, node: str) -> str:
    """Return the task that runs on a node."""
    (task,) = (it for it, (where, _) in cluster.list_tasks().items() if where == node)
    return task


@pytest.fixture
def array(trained: Project, tmp_path: Path) -> Iterator[tuple[clusters.Slurm, Project, str]]:
    """Yield a Slurm whose two nodes both train, in one clone; the clone; and the database."""
    project = write_search(trained.copy(tmp_path / "project"), "[100, 101, 102, 103]", heartbeat=5)
    with clusters.postgres() as database, clusters.slurm() as cluster:
        project.call("env", f"{STORAGE}={database.url}", *TUNE, "create")
        submit(cluster, project, tmp_path, database.url)
        secret = {STORAGE: database.url}
        wait_until(
            lambda: list_states(project, secret).count("running") == 2,
            "no two trials at a time",
            SECONDS,
        )
        yield cluster, project, database.url


def assert_done(cluster: clusters.Slurm, project: Project, url: str, lost: int) -> None:
    """Check that each trial has one result, and that so many were begun once more."""
    wait_until(lambda: not cluster.list_tasks(), "tasks do not end", SECONDS)
    assert list_states(project, {STORAGE: url}) == ["complete"] * 4
    assert [it.split("-")[2] for it in list_experiments(project)] == list("0123")
    assert count_trials(url) == Counter({TrialState.COMPLETE: 4, TrialState.FAIL: lost})


def test_node_of_slurm_dies_with_all_that_runs_there(
    array: tuple[clusters.Slurm, Project, str],
) -> None:
    cluster, project, url = array
    task = find_task(cluster, "node1")
    cluster.kill_node("node1")
    wait_until(lambda: cluster.list_tasks()[task][1] == "PENDING", "the task is not requeued")
    cluster.requeue_now(task)
    assert_done(cluster, project, url, lost=1)


def test_daemon_of_slurm_dies_and_its_worker_lives_beside_the_second_copy(
    array: tuple[clusters.Slurm, Project, str],
) -> None:
    cluster, project, url = array
    task = find_task(cluster, "node1")
    (worker,) = list_workers(cluster, "node1")
    cluster.kill_daemon("node1")
    wait_until(lambda: cluster.list_tasks()[task][1] == "PENDING", "the task is not requeued")
    cluster.requeue_now(task)
    wait_until(lambda: len(list_workers(cluster, "node2")) == 2, "the second copy does not start")
    assert worker.is_running()
    assert_done(cluster, project, url, lost=0)
