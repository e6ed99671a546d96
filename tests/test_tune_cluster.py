"""`digits tune` on several machines: clones of a Git remote, PostgreSQL, the script for Slurm."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from projects import Project, lend_environment
from remotes import HOST, choose_port, make_secret
from test_pages import read_blocks
from tuning import SECONDS, TunedProject, kill


class Database(NamedTuple):
    """A PostgreSQL; `control` calls its `pg_ctl`."""

    url: str
    secret: str
    control: Callable[..., None]


@pytest.fixture
def database() -> Iterator[Database]:
    """Yield a server of the test's own that asks for a password, ended with the test."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # Debian has it on no path
    binaries = (found[-1] if found else Path(str(shutil.which("initdb")))).parent
    # pytest keeps its folders to their owner; PostgreSQL refuses to be root.
    with tempfile.TemporaryDirectory() as own:
        folder, port, secret = Path(own), choose_port(), make_secret()
        become: list[str] = []
        if os.getuid() == 0:
            become = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        password, data = folder / "password", f"--pgdata={folder / 'data'}"
        password.write_text(secret)
        password.chmod(0o644)
        initdb = [*become, str(binaries / "initdb"), data, "--username=maria", "--no-sync"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={password}"]
        subprocess.run(initdb, check=True, cwd="/", capture_output=True)
        options = f"-c listen_addresses={HOST} -c port={port} -c unix_socket_directories={folder}"
        command = [*become, str(binaries / "pg_ctl"), data, "--silent", "--wait"]
        command += [f"--log={folder / 'log'}", f"--options={options}"]

        def control(*words: str) -> None:
            # Its output goes with the server's, which stays: a pipe would be waited for.
            subprocess.run([*command, *words], check=True, cwd="/", stdin=subprocess.DEVNULL)

        control("start")
        try:
            url = f"postgresql+psycopg://maria:{secret}@{HOST}:{port}/postgres"
            yield Database(url, secret, control)
        finally:
            control("--mode=immediate", "stop")


@pytest.mark.nightly
def test_two_machines_lose_a_worker_and_their_database(
    trained: Project, tmp_path: Path, database: Database
) -> None:
    """Each works by the script that docs/scaling.md has for Slurm."""
    first = TunedProject(trained.copy(tmp_path / "first").folder, database.url)
    first.call("dvc", "remote", "modify", "team", "url", str(tmp_path / "store"))
    first.write_search("[60, 50, 40, 2, 3, 4]", "push: origin\n", every_seconds=5)
    first.call("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "remote.git"))
    first.call("git", "remote", "add", "origin", str(tmp_path / "remote.git"))
    first.call("dvc", "push", "--quiet")
    second, third = (TunedProject(tmp_path / name, database.url) for name in ("second", "third"))
    for clone in (second, third):
        first.call("git", "clone", "--quiet", str(tmp_path / "remote.git"), str(clone.folder))
        clone.identify().call("dvc", "pull", "--quiet")
    assert "6 new trials of 6" in first.tune("create")
    (script,) = read_blocks("docs/scaling.md", "sh")
    for machine in (first, second):
        lend_environment(machine)
        (machine.folder / "tune.sh").write_text(script)
    logs, call = (tmp_path / "first.log", tmp_path / "second.log"), ("sh", "tune.sh")
    with first.working(logs[0], call) as lost, second.working(logs[1], call) as worker:
        first.wait_for_training(lost, logs[0])
        second.wait_for_training(worker, logs[1])
        # No process that a worker starts has the password.
        trainings = [*first.list_trainings(), *second.list_trainings()]
        assert len(trainings) == 4
        assert not [own for own in trainings if database.secret in str(own.environ())]
        kill(lost)
        with first.working(logs[0], call) as interrupted:
            first.wait_for_training(interrupted, logs[0])
            # As after a crash: connections are cut, and what was not committed is lost.
            database.control("--mode=immediate", "restart")
            kill(interrupted, signal.SIGTERM)
        assert worker.wait(SECONDS) == 0, logs[1].read_text()
    # One trial was lost and begun once more; interrupt and restart have cost none.
    assert Counter(second.list_states()) == {"complete": 6, "lost": 1}
    second.assert_untouched()
    third.take_winner()  # and trains nothing
    assert database.secret not in logs[0].read_text() + logs[1].read_text()
    listed = third.call("dvc", "exp", "list", "--name-only", "origin").split()
    assert len([name for name in listed if name.startswith("small-")]) == 6
