"""A project that is tuned: a small study, its workers, and what must be true afterwards."""

import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from projects import Project
from remotes import wait_until

from digits.commands.tune.study import STORAGE_VARIABLE

SEARCH = """\
name: small
metrics: {{val_accuracy: 1}}
direction: maximize
sampler: grid
seeds: [0]
settings:
  recipes/cnn_optdigits.yaml:optimizer.learning_rate: 0.002
space:
  recipes/cnn_optdigits.yaml:epochs:
    values: {epochs}
heartbeat_seconds: {heartbeat}
"""
SECONDS = 600  # no test comes near it
TUNE = ("python", "-m", "digits", "tune")
WORK = (*TUNE, "work")


def kill(worker: psutil.Popen, number: signal.Signals = signal.SIGKILL) -> int:
    worker.send_signal(number)
    return int(worker.wait(timeout=60))


@dataclass(frozen=True)
class TunedProject(Project):
    """A project and the database of its study: one in the project unless it has an address."""

    url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {STORAGE_VARIABLE: self.url}

    def write_search(
        self, epochs: str, more: str = "", *, every_seconds: int = 1
    ) -> "TunedProject":
        """Commit a search of a few short trials; a worker silent for three beats has lost its.

        Where it matters how many are lost, a beat must outlast the moments at which a machine
        stalls.
        """
        text = SEARCH.format(epochs=epochs, heartbeat=every_seconds)
        (self.folder / "tune.yaml").write_text(text + more)
        self.commit("what is searched")
        return self

    def tune(self, *words: str, status: int = 0) -> str:
        return self.call(*TUNE, *words, status=status)

    @contextmanager
    def working(self, log: Path, command: Sequence[str] = WORK) -> Iterator[psutil.Popen]:
        """Have a worker work, in a session of its own; end with it whatever it has started."""
        with (
            log.open("ab") as output,
            psutil.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
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
                for process in (worker, *started, *self.list_trainings()):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()

    def list_trainings(self) -> list[psutil.Process]:
        """List what works in the clones of the workers: DVC and its stages."""
        clones, found = self.folder.resolve() / ".dvc/tmp/tune", []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(clones):
                    found.append(process)
        return found

    def is_training(self) -> bool:
        """Tell whether an epoch of a trial has ended: the training is under way."""
        for path in (self.folder / ".dvc/tmp/tune").glob("*/clone/metrics/train.json"):
            with suppress(OSError):
                if re.search('"epoch_count": [1-9]', path.read_text()):
                    return True
        return False

    def wait_for_training(self, worker: psutil.Popen, log: Path) -> None:
        begun = "the training has not begun"
        wait_until(lambda: self.is_training() or worker.poll() is not None, begun, SECONDS)
        assert worker.poll() is None, log.read_text()

    def list_states(self) -> list[str]:
        """Return how the trials stand, from what `status` prints."""
        return re.findall(r"^ *\d+  +(\w+)", self.tune("status"), re.MULTILINE)

    def list_experiments(self) -> list[int]:
        """Return the numbers of the trials that have an experiment."""
        refs = self.call("git", "for-each-ref", "--format=%(refname)", "refs/exps")
        return sorted(int(number) for number in re.findall(r"/small-\w+-(\d+)-", refs))

    def take_winner(self) -> None:
        """Do what `best` says, and check that it brings the best trial with its model."""
        ((epochs, advice),) = re.findall(
            r"(?ms)yaml:epochs=(\d+)$.*to make it the recipe: ([^\n]*)", self.tune("best")
        )
        self.call("sh", "-ec", advice)
        recipe = (self.folder / "recipes/cnn_optdigits.yaml").read_text()
        assert f"\nepochs: {epochs}\n" in recipe
        assert (self.folder / "models/model.keras").is_file()
        assert "up to date" in self.call("dvc", "repro", "train")

    def assert_untouched(self) -> None:
        """Check that the checkout is as its user has left it, and no clone is left in it."""
        assert self.call("git", "symbolic-ref", "HEAD") == "refs/heads/main\n"
        assert self.call("git", "status", "--porcelain", "--untracked-files=no") == ""
        assert self.call("git", "stash", "list") == ""
        assert [path.name for path in (self.folder / ".dvc/tmp/tune").iterdir()] == ["lock"]
