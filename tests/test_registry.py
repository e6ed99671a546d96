"""The model by name: the commands of docs/sharing.md, typed as written, got from elsewhere."""

import shutil
from pathlib import Path

import pytest
from projects import Project
from sharing import MODEL, read_commands

TITLE = "The model by name"
ADDRESS = "/srv/git/digits.git"


def type_block(project: Project, number: int, stand_ins: dict[str, str]) -> None:
    for command in read_commands(TITLE, stand_ins, number):
        project.call(*command)


def publish(project: Project, folder: Path) -> str:
    """Clone without a working tree; return the address."""
    address = str(folder / "digits.git")
    project.call("git", "clone", "--quiet", "--bare", ".", address)
    project.call("git", "remote", "add", "origin", address)
    return address


def make_user(folder: Path) -> Project:
    folder.mkdir(parents=True)
    return Project(folder)


@pytest.mark.nightly
def test_model_is_had_by_name_as_written(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "team/digits")
    project.call("dvc", "push")
    address = publish(project, tmp_path)
    user = make_user(tmp_path / "user/app")
    # What the page warns of; without it, its first block would be needless.
    said = user.call("dvc", "get", address, MODEL, "-o", "x", status=255)
    assert "No storage files available" in said

    type_block(project, 0, {"/srv/digits": str(tmp_path / "store")})
    type_block(project, 1, {})
    model = (project.folder / MODEL).read_bytes()
    project.folder.rename(tmp_path / "away")  # nobody needs what is on the author's disk
    type_block(user, 2, {ADDRESS: address})
    received = {path.name: path.read_bytes() for path in user.folder.glob("*.keras")}
    assert received == dict.fromkeys(("digits.keras", "production.keras", "main.keras"), model)


@pytest.mark.nightly
def test_model_of_a_subfolder_is_had_by_name(trained: Project, tmp_path: Path) -> None:
    outer = Project(tmp_path / "outer")
    inner = trained.copy(outer.folder / "team/digits")
    shutil.rmtree(inner.folder / ".git")
    outer.call("git", "init", "--quiet", "--initial-branch=main")
    inner.call("dvc", "remote", "modify", "team", "url", str(tmp_path / "store"))
    outer.identify().commit("all")
    inner.call("dvc", "push")
    address, name = publish(outer, tmp_path), "team/digits:digits-classifier"
    inner.call("gto", "register", name, "--version", "v1.0.0")
    inner.call("git", "push", "--quiet", "--tags", "origin")
    user = make_user(tmp_path / "user")
    user.call("dvc", "artifacts", "get", address, name, "--rev", "v1.0.0", "-o", "digits.keras")
    assert (user.folder / "digits.keras").read_bytes() == (inner.folder / MODEL).read_bytes()
