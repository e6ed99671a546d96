"""Faults for the stages of a project: held at a given moment, killed, out of space, read-only."""

import errno
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from projects import UNSHARE, Project, works

PATIENCE_SECONDS = 120  # no test comes near it; it ends what would hang

# Python runs this file as it starts. In the stage of HOLD it counts the outputs: each is flushed
# to disk, under its temporary name, by fsync. The one that HOLD names waits for the pipe to close.
HOLD = """
import os, select, signal, sys

stage, _, number = os.environ.get("HOLD", "").partition(":")
if sys.orig_argv[1:] == ["-m", f"pipeline.{stage}"]:
    flush, left = os.fsync, int(number)
    wakeup, waker = os.pipe()  # a signal that comes just before the wait must end it, too
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)

    def hold(descriptor):
        global left
        flush(descriptor)
        left -= 1
        if left == 0:
            with open("held.tmp", "w") as file:
                print(os.getpid(), file=file)
            with open("pipe.tmp") as pipe:
                select.select([pipe, wakeup], [], [])

    os.fsync = hold
"""


def unprivileged() -> list[str]:
    """Return the command that takes away root's licence to write anywhere; others have none."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("nothing is read-only to root, and setpriv of util-linux is not there")
    capabilities = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities]


@dataclass(frozen=True)
class Held:
    """A run of `dvc` whose stage waits in the middle of writing an output."""

    dvc: subprocess.Popen[str]
    stage: int  # process id
    pipe: int  # descriptor; the stage goes on once it is closed

    def release(self) -> str:
        """Let the stage go on; return what the run has said when it ends."""
        os.close(self.pipe)
        return self.dvc.communicate(timeout=PATIENCE_SECONDS)[0]

    def end(self, victim: str, number: signal.Signals) -> str:
        """Send a signal to `dvc`, `stage` or `both`; return what was said once both have ended."""
        stage = os.pidfd_open(self.stage)
        match victim:
            case "dvc":
                self.dvc.send_signal(number)
            case "stage":
                os.kill(self.stage, number)
            case _:  # as a terminal does on Ctrl-C
                os.killpg(self.dvc.pid, number)
        ended, _, _ = select.select([stage], [], [], PATIENCE_SECONDS)
        os.close(stage)
        assert ended, "the stage has outlived the fault"
        return self.release()


@contextmanager
def holding(project: Project, stage: str, output: int) -> Iterator[Held]:
    """Run the stage again by `dvc repro`, up to the moment when it has flushed so many outputs."""
    hold = project.folder / "hold.tmp"
    hold.mkdir()
    (hold / "sitecustomize.py").write_text(HOLD)
    os.mkfifo(project.folder / "pipe.tmp")
    command = ("dvc", "repro", "--single-item", "--force", stage)
    with project.start(*command, PYTHONPATH=str(hold), HOLD=f"{stage}:{output}") as dvc:
        try:
            pipe = _open_once_read(project.folder / "pipe.tmp", dvc)
            yield Held(dvc, int((project.folder / "held.tmp").read_text()), pipe)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(dvc.pid, signal.SIGKILL)


def _open_once_read(path: Path, dvc: subprocess.Popen[str]) -> int:
    """Open a pipe for writing as soon as its reader is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while dvc.poll() is None and time.monotonic() < deadline:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(0.05)
    dvc.kill()
    raise AssertionError(f"the stage was not reached: {dvc.communicate()[0]}")


NAMESPACE = (*UNSHARE, "--mount")


def can_mount() -> bool:
    """Tell whether this system lets us mount a disk of our own."""
    return works(*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt")
