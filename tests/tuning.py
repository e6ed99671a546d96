"""Small studies in projects of the tests, their workers, and what must be true afterwards."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from projects import Project
from remotes import wait_until

from digits.commands.tune.study import STORAGE_VARIABLE

SEARCH = """\
name: small
metrics:
  val_accuracy: 1
direction: maximize
sampler: grid
seeds:
- 0
settings:
  recipes/cnn_optdigits.yaml:optimizer.learning_rate: 0.002
space:
  recipes/cnn_optdigits.yaml:epochs:
    values: {epochs}
heartbeat_seconds: {heartbeat}
"""
SECONDS = 600  # no test comes near it
TUNE = ("python", "-m", "digits", "tune")


def write_search(project: Project, epochs: str, more: str = "", heartbeat: int = 1) -> Project:
    """Commit a search of a few short trials; a worker that is silent for three beats has lost its.

    Where it matters how many are lost, a beat must outlast the moments at which a machine stalls.
    """
    text = SEARCH.format(epochs=epochs, heartbeat=heartbeat)
    (project.folder / "tune.yaml").write_text(text + more)
    project.commit("what is searched")
    return project


@contextmanager
def working(project: Project, log: Path, url: str = "") -> Iterator[psutil.Popen]:
    """Have a worker work, in a session of its own; end with it whatever it has started."""
    with (
        log.open("ab") as output,
        psutil.Popen(
            [*TUNE, "work"],
            cwd=project.folder,
            env=project.environment | {STORAGE_VARIABLE: url},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as worker,
    ):
        try:
            yield worker
        finally:
            started = worker.children(recursive=True) if worker.is_running() else []
            for process in (worker, *started, *list_trainings(project)):
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def list_trainings(project: Project) -> list[psutil.Process]:
    """List what works in the clones of a project's workers: DVC and its stages."""
    clones = project.folder.resolve() / ".dvc/tmp/tune"
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(clones):
                found.append(process)
    return found


def is_training(project: Project) -> bool:
    """Tell whether an epoch of a trial has ended: the training is under way."""
    for path in (project.folder / ".dvc/tmp/tune").glob("*/clone/metrics/train.json"):
        with suppress(OSError):
            if re.search('"epoch_count": [1-9]', path.read_text()):
                return True
    return False


def wait_for_training(project: Project, worker: psutil.Popen, log: Path) -> None:
    wait_until(
        lambda: is_training(project) or worker.poll() is not None,
        "the training has not begun",
        SECONDS,
    )
    assert worker.poll() is None, log.read_text()


def kill(worker: psutil.Popen, number: signal.Signals = signal.SIGKILL) -> int:
    worker.send_signal(number)
    return int(worker.wait(timeout=60))


def tune(project: Project, *words: str, status: int = 0, url: str = "") -> str:
    return project.call("env", f"{STORAGE_VARIABLE}={url}", *TUNE, *words, status=status)


def list_states(project: Project, url: str = "") -> list[str]:
    """Return how the trials stand, from what `status` prints."""
    said = tune(project, "status", url=url)
    return re.findall(r"^ *\d+  +(\w+)", said, re.MULTILINE)


def list_experiments(project: Project) -> list[int]:
    """Return the numbers of the trials that have an experiment."""
    refs = project.call("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    names = [ref.rpartition("/")[2] for ref in refs if "/small-" in ref]
    return sorted(int(name.split("-")[2]) for name in names)


def take_winner(project: Project, url: str = "") -> None:
    """Do what `best` says, and check that it brings the best trial with its model."""
    said = tune(project, "best", url=url)
    ((epochs, advice),) = re.findall(
        r"yaml:epochs=(\d+)$.*to make it the recipe: ([^\n]*)", said, re.DOTALL | re.MULTILINE
    )
    project.call("sh", "-ec", advice)
    recipe = (project.folder / "recipes/cnn_optdigits.yaml").read_text()
    assert f"\nepochs: {epochs}\n" in recipe
    assert (project.folder / "models/model.keras").is_file()
    assert "up to date" in project.call("dvc", "repro", "train")


def assert_untouched(project: Project) -> None:
    """Check that the checkout is as its user has left it, and no clone is left in it."""
    assert project.call("git", "symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert project.call("git", "status", "--porcelain", "--untracked-files=no") == ""
    assert project.call("git", "stash", "list") == ""
    assert [path.name for path in (project.folder / ".dvc/tmp/tune").iterdir()] == ["lock"]
