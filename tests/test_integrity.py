"""Damaged, missing and half-written objects: found, named and replaced, never used."""

import hashlib
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import remotes
from imports import ROOT
from projects import UP_TO_DATE, Project
from remotes import Line, Remote, Server, wait_until
from sharing import (
    MODEL,
    cache_path,
    configure,
    damage,
    output_oid,
    read_commands,
    write_in_place,
)

MEGABYTE = 1 << 20  # of eight that are pushed


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """Return a project that has pushed to a folder beside it."""
    project = trained.copy(tmp_path / "project")
    project.call("dvc", "push")
    return project


def test_whole_cache_and_remote_are_verified(project: Project) -> None:
    assert "the cache: " in project.call("python", "-m", "digits", "verify", "cache")
    output = project.call("python", "-m", "digits", "verify", "cache", "--remote")
    assert output.endswith("objects, 0 replaced from the cache; all are whole.\n")
    project.call("dvc", "config", "--unset", "core.remote")
    output = project.call("python", "-m", "digits", "verify", "cache")
    assert output.endswith("objects, 0 replaced from the remote; all are whole.\n")
    assert "core.remote" in project.call(
        "python", "-m", "digits", "verify", "cache", "--remote", status=1
    )


@pytest.mark.parametrize("name", [MODEL, "data/raw"])
def test_damaged_cache_is_named_and_repaired(project: Project, name: str) -> None:
    path = cache_path(project, output_oid(project, name))
    whole = path.read_bytes()
    write_in_place(path)
    output = project.call("python", "-m", "digits", "verify", "cache", status=1)
    assert f"({name})" in output
    assert "1 damaged; replace them from the remote" in output
    assert "`digits verify cache --repair`" in output
    output = project.call("python", "-m", "digits", "verify", "cache", "--repair")
    assert "1 replaced from remote team; all are whole." in output
    assert path.read_bytes() == whole
    assert UP_TO_DATE in project.call("dvc", "repro")


@pytest.mark.parametrize("name", [MODEL, "data/decoded/test/images.npy"])
def test_damage_in_the_cache_and_the_workspace_is_repaired_in_both(
    name: str, project: Project
) -> None:
    """DVC has checked the copy out before, and takes it for whole ever after."""
    target = project.folder / name
    whole = target.read_bytes()
    oid = hashlib.md5(whole, usedforsecurity=False).hexdigest()
    state = target.stat()
    for path in (cache_path(project, oid), target):
        write_in_place(path)
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
    project.call("python", "-m", "digits", "verify", "cache", "--repair")
    assert target.read_bytes() == whole


def test_conflict_in_the_lock_is_one_line(project: Project) -> None:
    lock = project.folder / "dvc.lock"
    lock.write_text(f"<<<<<<< HEAD\n{lock.read_text()}")
    said = project.call("python", "-m", "digits", "verify", "cache", status=1)
    assert "dvc.lock" in said
    assert "Traceback" not in said


def test_damaged_remote_is_named_and_repaired(project: Project, tmp_path: Path) -> None:
    damage(project, output_oid(project, MODEL))
    output = project.call("python", "-m", "digits", "verify", "cache", "--remote", status=1)
    assert f"({MODEL})" in output
    assert "`digits verify cache --remote --repair`" in output
    project.call("python", "-m", "digits", "verify", "cache", "--remote", "--repair")
    clone = project.clone(tmp_path / "clone")
    clone.call("dvc", "pull")
    assert UP_TO_DATE in clone.call("dvc", "repro")


def test_damaged_everywhere_is_removed_and_named(project: Project) -> None:
    oid = output_oid(project, MODEL)
    damage(project, oid)
    write_in_place(cache_path(project, oid))
    output = project.call("python", "-m", "digits", "verify", "cache", "--repair", status=1)
    assert f"remote team: expected {oid}, received none that is whole" in output
    assert not cache_path(project, oid).exists()


def test_missing_object_is_named(project: Project, tmp_path: Path) -> None:
    oid = output_oid(project, MODEL)
    (tmp_path / "digits-remote/files/md5" / oid[:2] / oid[2:]).unlink()
    clone = project.clone(tmp_path / "clone")
    output = clone.call("dvc", "pull", status=1)
    assert MODEL in output
    # What is there has come.
    assert (clone.folder / "data/raw").is_dir()


def expand(command: list[str]) -> list[str]:
    """Return what a `make` command runs in the end; another command as it is."""
    if command[0] != "make":
        return command
    # Not in the project of the tests, which has no Makefile.
    shown = subprocess.run(
        ["make", "--dry-run", *command[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return shlex.split(shown.stdout.splitlines()[-1])


@pytest.mark.nightly
def test_commands_of_the_page_run_as_written(project: Project) -> None:
    for title in ("Sharing data, models and results", "Damage"):
        for command in read_commands(title, {}):
            output = project.call(*expand(command))
            if command == ["dvc", "repro"]:
                assert UP_TO_DATE in output


# Broken off


@pytest.fixture(
    params=[
        remotes.wsgidav,
        remotes.moto,
        *(
            pytest.param(server, marks=pytest.mark.nightly)
            for server in (remotes.swift, remotes.sshd, remotes.apache)
        ),
    ],
    ids=lambda server: server.__name__,
)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    folder = tmp_path / "server"
    folder.mkdir()
    server: Server = request.param
    with server(folder) as remote:
        yield remote


def kill_while_held(project: Project, line: Line, *command: str) -> None:
    """Start a command, kill it once the line holds its traffic, and open the line again."""
    with project.start(*command) as process:
        try:
            wait_until(lambda: line.held.is_set() or process.poll() is not None, "not held")
            running = process.poll() is None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            line.open()
        assert running, process.communicate()[0]


@pytest.mark.nightly
def test_killed_push_and_pull_are_completed_by_the_next(
    remote: Remote, trained: Project, tmp_path: Path
) -> None:
    assert remote.port
    with remotes.line(remote.port, MEGABYTE) as line:
        behind = remote.through(line.server_address[1])
        first = trained.copy(tmp_path / "first")
        configure(first, behind, once=True)
        first.commit("remote")
        kill_while_held(first, line, "dvc", "push")
        first.call("dvc", "push")
        # Half an object may lie there under a whole one's name: the page's way out.
        first.call("python", "-m", "digits", "verify", "cache", "--remote", "--repair")
        first.call("dvc", "push")

        second = first.clone(tmp_path / "second")
        configure(second, behind)
        line.narrow(MEGABYTE)
        kill_while_held(second, line, "dvc", "pull")
        second.call("dvc", "pull")
        assert UP_TO_DATE in second.call("dvc", "repro")
        second.call("python", "-m", "digits", "verify", "cache", "--remote")
