"""A killed `dvc exp run`: HEAD comes back to its branch, and no edit is lost."""

import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from projects import Project

from digits.commands.recover import recover
from digits.dvc.git import GitError
from digits.errors import DigitsError

EXEC_REFS = "refs/exps/exec"
NOTHING = "no killed run of DVC has left anything"
KILLS = 30


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a repository of two commits on `main`, now the current folder."""
    project = Project(tmp_path / "project")
    project.folder.mkdir()
    monkeypatch.chdir(project.folder)
    project.call("git", "init", "--quiet", "--initial-branch=main")
    project.identify()
    for text in ("first", "second"):
        (project.folder / "params.yaml").write_text(text)
        project.commit(text)
    return project


def ask(project: Project, *arguments: str) -> str:
    return project.call("git", *arguments).strip()


def break_off(project: Project, aside: str = "HEAD") -> str:
    """Leave what a killed run leaves; return the commit it began at."""
    start = ask(project, "rev-parse", "HEAD")
    for name, target in {"BASELINE": start, "HEAD": start, "MERGE": aside}.items():
        ask(project, "update-ref", f"{EXEC_REFS}/EXEC_{name}", target)
    ask(project, "checkout", "--quiet", start)
    return start


def assert_whole(project: Project) -> None:
    assert ask(project, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert ask(project, "for-each-ref", EXEC_REFS) == ""
    assert recover() == NOTHING


def edit(project: Project, text: str = "mine") -> None:
    (project.folder / "params.yaml").write_text(text)


def test_edits_and_the_branch_come_back(repository: Project) -> None:
    break_off(repository)
    edit(repository)
    ask(repository, "add", "params.yaml")
    assert "HEAD is on main" in recover()
    assert_whole(repository)
    assert ask(repository, "status", "--porcelain") == "M params.yaml"  # not staged, as DVC had it
    assert (repository.folder / "params.yaml").read_text() == "mine"


def test_edits_that_dvc_had_put_aside_are_in_the_stash(repository: Project) -> None:
    edit(repository)
    aside = ask(repository, "stash", "create")
    ask(repository, "restore", "params.yaml")
    break_off(repository, aside)
    assert "`git stash list`" in recover()
    assert_whole(repository)
    ask(repository, "stash", "pop")
    assert (repository.folder / "params.yaml").read_text() == "mine"


def test_commit_of_an_experiment_is_no_persons(repository: Project) -> None:
    start = break_off(repository)
    edit(repository, "theirs")
    repository.commit("dvc: commit experiment 0123")
    recover()
    assert_whole(repository)
    assert ask(repository, "rev-parse", "main") == start
    assert (repository.folder / "params.yaml").read_text() == "theirs"


def test_commits_made_since_are_for_people_to_merge(repository: Project) -> None:
    break_off(repository)
    edit(repository)
    repository.commit("mine")
    with pytest.raises(DigitsError, match="`git branch rescued && git switch main`"):
        recover()
    for command in ("branch rescued", "switch --quiet main"):  # the advice works
        ask(repository, *command.split())
    recover()
    assert_whole(repository)
    assert ask(repository, "log", "--max-count=1", "--format=%s", "rescued") == "mine"


def test_killed_as_it_ends_or_before_anything_is_noted(repository: Project) -> None:
    """DVC forgets where the run began before it puts HEAD back; and it detaches HEAD to queue."""
    start = break_off(repository)
    for name in ("BASELINE", "MERGE"):
        ask(repository, "update-ref", "-d", f"{EXEC_REFS}/EXEC_{name}", start)
    assert "HEAD is on main" in recover()
    assert_whole(repository)
    ask(repository, "checkout", "--quiet", "--detach")
    lock = repository.folder / ".git/refs/exps/stash.lock"
    lock.touch()  # it would be in the way
    assert "HEAD is on main" in recover()
    assert not lock.exists()
    assert_whole(repository)


def test_head_that_people_detached_stays(repository: Project) -> None:
    """As `git bisect` and CI leave it, whether an experiment was killed there or not."""
    commit = ask(repository, "rev-parse", "main~1")
    ask(repository, "checkout", "--quiet", commit)
    assert recover() == NOTHING
    for ref in ("EXEC_HEAD", "EXEC_BASELINE"):  # DVC notes no checkout then
        ask(repository, "update-ref", f"{EXEC_REFS}/{ref}", commit)
    assert "HEAD is on no branch, as before" in recover()
    assert ask(repository, "rev-parse", "HEAD") == commit
    repository.call("git", "symbolic-ref", "--quiet", "HEAD", status=1)


def test_run_that_goes_on_is_left_alone(repository: Project, tmp_path: Path) -> None:
    start = break_off(repository)
    program = tmp_path / "dvc"
    program.write_text("import time; time.sleep(60)")
    with subprocess.Popen([sys.executable, str(program)]) as process:
        with pytest.raises(DigitsError, match=f"received process {process.pid}"):
            recover()
        process.kill()
    assert ask(repository, "rev-parse", f"{EXEC_REFS}/EXEC_BASELINE") == start
    assert recover() != NOTHING


def recover_as_told(folder: Path) -> str:
    """Recover; remove the locks that a kill has left, as Git and docs/troubleshooting.md say."""
    for lock in folder.glob(".dvc/tmp/**/rwlock"):
        lock.unlink()
    while True:
        try:
            return recover()
        except GitError as error:
            (lock_name,) = re.findall(r"'(\S+\.lock)'", str(error))
            (folder / lock_name).unlink()


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_times(
    seed: int, trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the kills are while DVC puts edits aside and begins, in its first seconds."""
    project = trained.copy(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    moments = random.Random(seed)  # noqa: S311 (no secret)
    committed = (project.folder / "params.yaml").read_text()
    start = ask(project, "rev-parse", "HEAD")
    broken = 0
    for number in range(KILLS // 2):
        mine = f"# edit {number}\n"
        (project.folder / "params.yaml").write_text(committed + mine)
        (project.folder / "notes.txt").write_text(mine)
        run = project.start("dvc", "exp", "run", "-S", f"train.seed={number}")
        delay = moments.uniform(1, 2.5) if number % 2 else moments.uniform(1, 9)
        try:
            run.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL if number % 3 else signal.SIGTERM)
            run.communicate()
        broken += recover_as_told(project.folder) != NOTHING
        assert ask(project, "symbolic-ref", "HEAD") == "refs/heads/main", (number, delay)
        assert ask(project, "rev-parse", "HEAD") == start
        kept = (project.folder / "params.yaml").read_text()
        for index in range(len(ask(project, "stash", "list").splitlines())):
            kept += ask(project, "show", f"stash@{{{index}}}:params.yaml")
        assert mine.strip() in kept, (number, delay)
        assert (project.folder / "notes.txt").read_text() == mine
        ask(project, "stash", "clear")
        ask(project, "reset", "--hard", "--quiet")
    assert broken > KILLS // 6
