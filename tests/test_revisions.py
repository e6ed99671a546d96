"""What other revisions hold: in a repository of others, under any name that somebody types."""

import shutil
from pathlib import Path

import pytest
from projects import NO_CACHES, Project

from digits.dvc.git import GitError
from digits.dvc.revisions import load_record
from digits.errors import DigitsError


@pytest.fixture(scope="module")
def project(retrained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with two commits that trained for different times."""
    return retrained.copy(tmp_path_factory.mktemp("revisions") / "project")


@pytest.fixture(scope="module")
def within(retrained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the same project, with both commits, as a subfolder of somebody's repository."""
    outer = Project(tmp_path_factory.mktemp("outer") / "ours and others")
    inner = Project(outer.folder / "machine learning/digits")
    shutil.copytree(retrained.folder, inner.folder, symlinks=True, ignore=NO_CACHES)
    shutil.rmtree(inner.folder / ".git")
    (outer.folder / "README.md").write_text("of others")
    outer.call("git", "init", "--quiet", "--initial-branch=main")
    outer.identify()
    for revision in ("HEAD~1", "HEAD"):
        retrained.call("sh", "-c", f"git archive {revision} | tar -x -C '{inner.folder}'")
        outer.commit(revision)
    return inner


def test_subfolder_of_a_repository_is_compared(within: Project, project: Project) -> None:
    command = ("compare", "HEAD~1", "HEAD")
    assert within.digits(*command) == project.digits(*command)


@pytest.mark.nightly
def test_subfolder_of_a_repository_is_reported_and_has_experiments(within: Project) -> None:
    within.call("git", "checkout", "--quiet", "--", ".")
    within.call("dvc", "checkout")
    said = within.digits("pr-report", "HEAD~1")
    assert " fixed, " in said
    assert "recipes/cnn\\_optdigits.yaml | epochs | 2" in " ".join(said.split())
    within.call("dvc", "exp", "run", "--name", "inner", "-S", "train.seed=3", "train")
    within.call("git", "checkout", "--quiet", "--", ".")
    assert "inner" in within.digits("experiments")
    assert "inner" in within.digits("compare", "HEAD", "inner")
    assert within.digits("recover").startswith("no killed")


@pytest.mark.parametrize("name", ["", "none", "HEAD^{tree}", "--output=x"])
def test_name_of_no_revision_is_one_line(
    name: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    with pytest.raises(DigitsError) as raised:
        load_record(name)
    assert "expected a Git revision, a branch, an experiment with a result or" in str(raised.value)


def test_no_repository_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GitError, match="not a git repository") as raised:
        load_record("HEAD")
    assert str(raised.value).isprintable()


def test_first_run_elsewhere_names_the_way_on(trained: Project, tmp_path: Path) -> None:
    """The committed run's data was never pushed: a fresh clone has a run of its own to keep."""
    clone = trained.clone(tmp_path / "clone")
    clone.call("dvc", "remote", "modify", "--local", "team", "url", str(tmp_path / "none"))
    said = clone.digits("compare", "HEAD", "workspace", status=1)
    assert "in this clone's cache or on its remote" in said
    assert "`make repro && git add --all && git commit`" in said
    assert said.count("\n") == 1
