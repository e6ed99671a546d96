"""The model by name: the commands of docs/sharing.md, typed as written, got from elsewhere."""

from pathlib import Path

import pytest
from projects import Project
from sharing import MODEL, read_commands

TITLE = "The model by name"
ADDRESS = "/srv/git/digits.git"


def type_block(project: Project, number: int, stand_ins: dict[str, str]) -> None:
    for command in read_commands(TITLE, stand_ins, number):
        project.call(*command)


@pytest.mark.nightly
def test_model_is_had_by_name_as_written(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "team/digits")
    project.call("dvc", "push")
    address = str(tmp_path / "digits.git")
    project.call("git", "clone", "--quiet", "--bare", ".", address)
    project.call("git", "remote", "add", "origin", address)
    user = Project(tmp_path / "user/app")
    user.folder.mkdir(parents=True)
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
