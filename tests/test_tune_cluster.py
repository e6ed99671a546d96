"""`digits tune` on several machines: clones of a Git remote, PostgreSQL, and an array of Slurm."""

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import clusters
import psutil
import pytest
from projects import Project, lend_environment
from remotes import wait_until
from test_pages import read_blocks
from tuning import (
    SECONDS,
    assert_untouched,
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

from digits.commands.tune.study import STORAGE_VARIABLE

pytestmark = pytest.mark.nightly


def test_two_machines_lose_a_worker_and_their_database(trained: Project, tmp_path: Path) -> None:
    first = trained.copy(tmp_path / "first")
    first.call("dvc", "remote", "modify", "team", "url", str(tmp_path / "store"))
    write_search(first, "[60, 50, 40, 2, 3, 4]", "push: origin\n", heartbeat=5)
    first.call("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "remote.git"))
    first.call("git", "remote", "add", "origin", str(tmp_path / "remote.git"))
    first.call("dvc", "push", "--quiet")
    machines = []
    for name in ("second", "third"):
        machines.append(Project(tmp_path / name))
        first.call("git", "clone", "--quiet", str(tmp_path / "remote.git"), str(tmp_path / name))
        machines[-1].identify().call("dvc", "pull", "--quiet")
    second, third = machines
    logs = tmp_path / "first.log", tmp_path / "second.log"
    with clusters.postgres() as database:
        assert "6 new trials of 6" in tune(first, "create", url=database.url)
        with (
            working(first, logs[0], database.url) as lost,
            working(second, logs[1], database.url) as worker,
        ):
            wait_for_training(first, lost, logs[0])
            wait_for_training(second, worker, logs[1])
            # No process that a worker starts has the password.
            trainings = [*list_trainings(first), *list_trainings(second)]
            assert len(trainings) == 4
            assert not [own for own in trainings if database.secret in str(own.environ())]
            kill(lost)
            with working(first, logs[0], database.url) as interrupted:
                wait_for_training(first, interrupted, logs[0])
                database.restart()
                kill(interrupted, signal.SIGTERM)
            assert worker.wait(SECONDS) == 0, logs[1].read_text()
        # One trial was lost and begun once more; interrupt and restart have cost none.
        assert Counter(list_states(second, database.url)) == {"complete": 6, "lost": 1}
        assert_untouched(second)
        take_winner(third, database.url)  # and trains nothing
    assert database.secret not in logs[0].read_text() + logs[1].read_text()
    listed = third.call("dvc", "exp", "list", "--name-only", "origin").split()
    assert len([name for name in listed if name.startswith("small-")]) == 6


@pytest.fixture
def array(trained: Project, tmp_path: Path) -> Iterator[tuple[clusters.Slurm, Project, str]]:
    """Yield a Slurm whose two nodes both train, in one clone; the clone; and the database."""
    project = write_search(trained.copy(tmp_path / "project"), "[100, 101, 102, 103]", heartbeat=5)
    lend_environment(project)
    (script,) = read_blocks("docs/scaling.md", "sh")
    (project.folder / "tune.sh").write_text(script.replace("--array=0-3", "--array=0-1"))
    with clusters.postgres() as database, clusters.slurm() as cluster:
        tune(project, "create", url=database.url)
        subprocess.run(
            ["sbatch", f"--output={tmp_path}/task-%a.log", "tune.sh"],
            cwd=project.folder,
            env=project.environment | {STORAGE_VARIABLE: database.url} | cluster.environment,
            check=True,
        )
        both = ["running", "running", "waiting", "waiting"]
        wait_until(lambda: list_states(project, database.url) == both, "no two trials", SECONDS)
        yield cluster, project, database.url


def list_workers(cluster: clusters.Slurm, node: str) -> list[psutil.Process]:
    started = cluster.list_processes(node)
    return [process for process in started if process.cmdline()[-2:] == ["tune", "work"]]


@pytest.mark.parametrize("kill_node", [True, False], ids=["node", "daemon"])
def test_node_of_slurm_dies_with_its_worker_or_without(
    kill_node: bool,  # noqa: FBT001
    array: tuple[clusters.Slurm, Project, str],
) -> None:
    cluster, project, url = array
    (worker,) = list_workers(cluster, "node1")
    (task,) = (name for name, (node, _) in cluster.list_tasks().items() if node == "node1")
    if kill_node:
        cluster.kill_node("node1")
    else:
        cluster.daemons["node1"].kill()
    wait_until(lambda: cluster.list_tasks()[task][1] == "PENDING", "the task is not requeued")
    cluster.call("scontrol", "update", f"JobId={task}", "StartTime=now")  # not in two minutes
    if not kill_node:  # the worker lives on beside the second copy
        wait_until(lambda: len(list_workers(cluster, "node2")) == 2, "no second copy")
        assert worker.is_running()
    wait_until(lambda: not cluster.list_tasks(), "tasks do not end", SECONDS)
    assert Counter(list_states(project, url)) == Counter(complete=4, lost=int(kill_node))
    assert len(list_experiments(project)) == 4
