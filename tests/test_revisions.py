"""What other revisions hold: in a repository of others, under any name that somebody types."""

import re
import shutil
from pathlib import Path

import pytest
from projects import NO_CACHES, Project

from digits.dvc.revisions import load_record
from digits.errors import DigitsError


@pytest.fixture(scope="module")
def within(retrained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project of two runs, with both commits, as a subfolder of a repository."""
    outer = Project(tmp_path_factory.mktemp("outer") / "ours and others")
    inner = Project(outer.folder / "machine learning/digits")
    shutil.copytree(retrained.folder, inner.folder, symlinks=True, ignore=NO_CACHES)
    shutil.rmtree(inner.folder / ".git")
    (outer.folder / "README.md").write_text("of others")
    outer.start_repository()
    for revision in ("HEAD~1", "HEAD"):
        retrained.call("sh", "-c", f"git archive {revision} | tar -x -C '{inner.folder}'")
        outer.commit(revision)
    return inner


def test_subfolder_of_a_repository_is_compared(within: Project, two_runs: Project) -> None:
    command = ("compare", "HEAD~1", "HEAD")
    assert within.digits(*command) == two_runs.digits(*command)


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


def test_no_revision_and_no_repository_are_one_line(
    two_runs: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(two_runs.folder)
    for name in ("", "none", "HEAD^{tree}", "--output=x"):
        with pytest.raises(DigitsError, match=f"^{re.escape(name)}: expected a Git revision"):
            load_record(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DigitsError, match="not a git repository") as raised:
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
