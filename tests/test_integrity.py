"""Damaged, missing and half-written objects: found, named and replaced, never used."""

import hashlib
import os
import re
from pathlib import Path

import pytest
from projects import UP_TO_DATE, Project
from sharing import MODEL, cache_path, damage, output_oid, read_commands, write_in_place


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """Return a project that has pushed to a folder beside it."""
    project = trained.copy(tmp_path / "project")
    project.call("dvc", "push")
    return project


def test_whole_cache_and_remote_are_verified(project: Project) -> None:
    whole = r"the (cache|remote): all \d+ objects are whole\n"
    assert re.fullmatch(whole, project.digits("verify", "cache", "--remote"))
    project.call("dvc", "config", "--unset", "core.remote")
    assert re.fullmatch(whole, project.digits("verify", "cache"))
    output = project.digits("verify", "cache", "--remote", status=1)
    assert "core.remote: expected a default remote, received none" in output


@pytest.mark.parametrize("name", [MODEL, "data/raw"])
def test_damaged_cache_is_named_and_repaired(project: Project, name: str) -> None:
    path = cache_path(project, output_oid(project, name))
    whole = path.read_bytes()
    write_in_place(path)
    output = project.digits("verify", "cache", status=1)
    assert f"({name})" in output
    assert "1 damaged; replace them from the remote: `digits verify cache --repair`" in output
    output = project.digits("verify", "cache", "--repair")
    assert "objects are whole, 1 replaced from the remote" in output
    assert path.read_bytes() == whole


def test_damage_in_the_cache_and_the_workspace_is_repaired_in_both(project: Project) -> None:
    """DVC has checked the copy out before, and takes it for whole ever after."""
    target = project.folder / "data/decoded/test/images.npy"
    whole = target.read_bytes()
    oid = hashlib.md5(whole, usedforsecurity=False).hexdigest()
    state = target.stat()
    for path in (cache_path(project, oid), target):
        write_in_place(path)
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
    project.digits("verify", "cache", "--repair")
    assert target.read_bytes() == whole


def test_damaged_remote_is_named_and_repaired(project: Project, tmp_path: Path) -> None:
    damage(project, output_oid(project, MODEL))
    output = project.digits("verify", "cache", "--remote", status=1)
    assert f"({MODEL})" in output
    assert "`digits verify cache --remote --repair`" in output
    project.digits("verify", "cache", "--remote", "--repair")
    clone = project.clone(tmp_path / "clone")
    clone.call("dvc", "pull")
    assert UP_TO_DATE in clone.call("dvc", "repro")


def test_damaged_everywhere_is_removed_and_named(project: Project) -> None:
    oid = output_oid(project, MODEL)
    damage(project, oid)
    write_in_place(cache_path(project, oid))
    output = project.digits("verify", "cache", "--repair", status=1)
    assert f"the remote: expected {oid}, received none that is whole" in output
    assert not cache_path(project, oid).exists()


@pytest.mark.nightly
def test_commands_of_the_page_run_as_written(project: Project) -> None:
    for title in ("Sharing", "Damage"):
        for program, *words in read_commands(title, {}):
            if program == "digits":
                project.digits(*words)
            else:
                project.call(program, *words)
