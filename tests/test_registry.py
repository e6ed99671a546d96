"""The model by name: docs/model-registry.md, typed as written, got from elsewhere."""

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
from test_readme import read_blocks, type_block

PAGE = "docs/model-registry.md"
USE = """
import numpy as np

images = np.load("images.npy")
{script}
np.save("probabilities.npy", probabilities)
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
    address, version, later, get, import_, *_ = read_blocks(PAGE, "console")
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
        assert "v1.1.0" in type_(project, later)
        # Nobody needs what is on the author's disk.
        project.folder.rename(tmp_path / "away")

        user = Project(tmp_path / "user/app")
        user.folder.mkdir(parents=True)
        type_(user, get)
        received = {path.name: path.read_bytes() for path in user.folder.iterdir()}
        assert received == {
            "digits.keras": first,
            "production.keras": first,
            "newest.keras": second,
            "same.keras": first,
        }
        user.call("git", "init", "--quiet")
        user.call("dvc", "init", "--quiet")
        type_(user, import_)
        assert (user.folder / "imported.keras").read_bytes() == second
        # What a clone pulls is whole and needs no setting.
        user.call("git", "clone", "--quiet", str(tmp_path / "digits.git"), str(tmp_path / "clone"))
        clone = Project(tmp_path / "clone")
        clone.call("dvc", "pull")
        assert UP_TO_DATE in clone.call("dvc", "repro")
    use(user, np.load(clone.folder / "data/decoded/test/images.npy"))


def use(user: Project, images: np.ndarray) -> None:
    """Run the page's lines; the model must be one that reads digits, without this project."""
    np.save(user.folder / "images.npy", images)
    (script,) = read_blocks(PAGE, "python")
    user.call(sys.executable, "-I", "-c", USE.format(script=script))
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
    give, get = read_blocks(PAGE, "console")[-2:]
    type_block(inner, give)
    inner.call("gto", "register", "team/digits/digits-classifier", "--version", "v1.0.0")
    inner.call("git", "push", "--quiet", "--tags")
    model = (inner.folder / MODEL).read_bytes()
    outer.folder.rename(tmp_path / "away")

    user = Project(tmp_path / "user/app")
    user.folder.mkdir(parents=True)
    user.call("git", "init", "--quiet")
    user.call("dvc", "init", "--quiet")
    type_block(user, get.replace("/srv/git/digits.git", address))
    for name in ("digits", "production", "same", "imported"):
        assert (user.folder / f"{name}.keras").read_bytes() == model
    slash = ("dvc", "artifacts", "get", address, "team/digits/digits-classifier", "-o", "x")
    assert "you are not inside of a DVC repository" in user.call(*slash, status=1)
