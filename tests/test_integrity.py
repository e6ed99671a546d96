"""Damaged, missing and half-written objects: found, named and replaced, never used."""

import hashlib
import os
import re
from pathlib import Path

import pytest
from projects import UP_TO_DATE, Project
from sharing import MODEL, cache_path, damage, output_oid, read_commands, write_in_place

# As the page has them: `digits verify cache` and its options.
VERIFY, REPAIR, REPAIR_REMOTE = (words for _, *words in read_commands("Damage", {}))


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """Return a project that has pushed to a folder beside it."""
    project = trained.copy(tmp_path / "project")
    project.call("dvc", "push")
    return project


def test_whole_cache_and_remote_are_verified(project: Project) -> None:
    whole = r"the (cache|remote): all \d+ objects are whole\n"
    assert re.fullmatch(whole, project.digits(*VERIFY, "--remote"))
    project.call("dvc", "config", "--unset", "core.remote")
    assert re.fullmatch(whole, project.digits(*VERIFY))
    output = project.digits(*VERIFY, "--remote", status=1)
    assert "core.remote: expected a default remote, received none" in output


@pytest.mark.parametrize("name", [MODEL, "data/decoded/test/images.npy", "data/raw"])
def test_damaged_cache_is_named_and_repaired(project: Project, name: str) -> None:
    """A file's copy in the workspace, too: DVC has checked it out, and takes it for whole."""
    copy = project.folder / name
    if copy.is_file():
        oid = hashlib.md5(copy.read_bytes(), usedforsecurity=False).hexdigest()
        state = copy.stat()
        write_in_place(copy)
        os.utime(copy, ns=(state.st_atime_ns, state.st_mtime_ns))
    else:
        oid = output_oid(project, name)
    path = cache_path(project, oid)
    whole = path.read_bytes()
    write_in_place(path)
    output = project.digits(*VERIFY, status=1)
    assert f"({name})" in output
    assert "1 damaged; replace them from the remote: `digits verify cache --repair`" in output
    output = project.digits(*REPAIR)
    assert "objects are whole, 1 replaced from the remote" in output
    assert path.read_bytes() == whole
    assert copy.is_dir() or copy.read_bytes() == whole


def test_damaged_remote_is_repaired_and_what_nobody_has_is_removed(
    project: Project, tmp_path: Path
) -> None:
    oid = output_oid(project, MODEL)
    damage(project, oid)
    output = project.digits(*VERIFY, "--remote", status=1)
    assert f"({MODEL})" in output
    assert "`digits verify cache --remote --repair`" in output
    project.digits(*REPAIR_REMOTE)
    clone = project.clone(tmp_path / "clone")
    clone.call("dvc", "pull")
    assert UP_TO_DATE in clone.call("dvc", "repro")

    damage(project, oid)
    write_in_place(cache_path(project, oid))
    output = project.digits(*REPAIR, status=1)
    assert f"the remote: expected {oid}, received none that is whole" in output
    assert not cache_path(project, oid).exists()
