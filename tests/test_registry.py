"""The model by name: docs/sharing.md, typed as written, got from elsewhere."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import remotes
from imports import ROOT
from projects import UP_TO_DATE, Project
from remotes import Server
from sharing import MODEL, read_block
from test_readme import type_block

PAGE = "docs/sharing.md"
SECTION = "The model by name"
USE = """
import keras
import numpy as np

model = keras.saving.load_model("digits.keras", compile=False)
np.save("probabilities.npy", model.predict(np.load("images.npy")))
"""


@pytest.mark.nightly
@pytest.mark.parametrize("server", [remotes.local_folder, remotes.http_server])
def test_model_is_had_by_name_as_written(
    server: Server, retrained: Project, tmp_path: Path
) -> None:
    project = retrained.copy(tmp_path / "team/digits")
    other = project.call("git", "rev-parse", "HEAD").strip()  # another training, in the cache
    project.call("git", "reset", "--quiet", "--hard", "HEAD~1")
    project.call("dvc", "checkout")
    project.call("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "digits.git"))
    project.call("git", "remote", "add", "origin", str(tmp_path / "digits.git"))
    address, version, get = (read_block(SECTION, number) for number in range(3))
    (tmp_path / "server").mkdir()
    with server(tmp_path / "server") as remote:
        stand_ins = {"/srv/git": str(tmp_path), **remote.stand_ins}
        if remote.read_only:
            address = read_block("A public remote")

        def type_(project: Project, block: str) -> str:
            for example, value in stand_ins.items():
                block = block.replace(example, value)
            return type_block(project, block)

        type_(project, address)
        type_(project, version)
        first = (project.folder / MODEL).read_bytes()
        project.call("git", "cherry-pick", other)
        project.call("dvc", "checkout")
        second = (project.folder / MODEL).read_bytes()
        project.call("dvc", "push")
        project.call("git", "push", "--quiet", "origin", "HEAD")
        project.call("gto", "register", "digits-classifier", "--bump-minor")
        project.call("git", "push", "--quiet", "--tags")
        # Nobody needs what is on the author's disk.
        project.folder.rename(tmp_path / "away")

        user = Project(tmp_path / "user/app")
        user.folder.mkdir(parents=True)
        type_(user, get)
        received = {path.name: path.read_bytes() for path in user.folder.iterdir()}
        assert received == {
            "digits.keras": first,
            "production.keras": first,
            "main.keras": second,
        }
        # What a clone pulls is whole and needs no setting.
        user.call("git", "clone", "--quiet", str(tmp_path / "digits.git"), str(tmp_path / "clone"))
        clone = Project(tmp_path / "clone")
        clone.call("dvc", "pull")
        assert UP_TO_DATE in clone.call("dvc", "repro")
    use(user, np.load(clone.folder / "data/decoded/test/images.npy"))


def use(user: Project, images: np.ndarray) -> None:
    """Use the model as any Keras user does, without this project."""
    np.save(user.folder / "images.npy", images)
    user.call(sys.executable, "-I", "-c", USE)
    probabilities = np.load(user.folder / "probabilities.npy")
    assert probabilities.shape == (len(images), 10)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.nightly
def test_relative_remote_is_not_found_from_elsewhere(trained: Project, tmp_path: Path) -> None:
    """What the page warns of; without it, its first block would be needless."""
    project = trained.copy(tmp_path / "team/digits")
    project.call("dvc", "push")
    project.call("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "digits.git"))
    output = project.call("dvc", "get", str(tmp_path / "digits.git"), MODEL, "-o", "x", status=255)
    assert "No storage files available" in output
    assert "No storage files available" in (ROOT / PAGE).read_text()


@pytest.mark.nightly
def test_model_of_a_subfolder_is_had_by_name_as_written(trained: Project, tmp_path: Path) -> None:
    """The names without a colon, which GTO takes, are those that DVC does not find."""
    outer, address = Project(tmp_path / "outer"), str(tmp_path / "digits.git")
    inner = trained.copy(outer.folder / "team/digits")
    shutil.rmtree(inner.folder / ".git")
    outer.call("git", "init", "--quiet")
    inner.call("dvc", "remote", "modify", "team", "url", str(tmp_path / "digits"))
    outer.identify().commit("all")
    inner.call("dvc", "push")
    outer.call("git", "clone", "--quiet", "--bare", ".", address)
    outer.call("git", "remote", "add", "origin", address)
    for command in (("register",), ("assign", "--stage", "production")):
        name = "team/digits:digits-classifier"
        inner.call("gto", command[0], name, "--version", "v1.0.0", *command[1:])
    inner.call("gto", "register", "team/digits/digits-classifier", "--version", "v1.0.0")
    inner.call("git", "push", "--quiet", "--tags")
    model = (inner.folder / MODEL).read_bytes()
    outer.folder.rename(tmp_path / "away")

    user = Project(tmp_path / "user/app")
    user.folder.mkdir(parents=True)
    for stage in (("--rev", "v1.0.0"), ("--stage", "production")):
        user.call("dvc", "artifacts", "get", address, name, *stage, "-o", f"{stage[1]}.keras")
        assert (user.folder / f"{stage[1]}.keras").read_bytes() == model
    slash = ("dvc", "artifacts", "get", address, "team/digits/digits-classifier", "-o", "x")
    assert "you are not inside of a DVC repository" in user.call(*slash, status=1)
