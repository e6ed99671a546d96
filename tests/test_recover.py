"""A killed `dvc exp run`: HEAD comes back to its branch, and no edit is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from projects import PARAMS_PATH, Project

from digits.commands import recover
from digits.commands.recover import EXEC_REFS, RWLOCK_PATH, RecoverError

DEAD = 2**22 + 1  # past the largest process id of Linux
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


def assert_whole(project: Project, branch: str = "main") -> None:
    assert ask(project, "symbolic-ref", "HEAD") == f"refs/heads/{branch}"
    assert ask(project, "for-each-ref", EXEC_REFS) == ""
    assert recover.recover() is None


def read_edit(project: Project) -> str:
    return (project.folder / "params.yaml").read_text()


def test_edits_and_the_branch_come_back(repository: Project) -> None:
    break_off(repository)
    (repository.folder / "params.yaml").write_text("mine")
    ask(repository, "add", "params.yaml")
    done = recover.recover()
    assert done
    assert "HEAD is on main again, files are as they were" in done
    assert_whole(repository)
    assert ask(repository, "status", "--porcelain") == "M params.yaml"  # not staged: not as DVC has
    assert read_edit(repository) == "mine"


def test_commits_made_since_are_on_the_branch(repository: Project) -> None:
    break_off(repository)
    (repository.folder / "params.yaml").write_text("mine")
    repository.commit("mine")
    recover.recover()
    assert_whole(repository)
    assert ask(repository, "log", "--max-count=1", "--format=%s", "main") == "mine"


def test_commit_of_an_experiment_is_not(repository: Project) -> None:
    start = break_off(repository)
    (repository.folder / "params.yaml").write_text("theirs")
    repository.commit("dvc: commit experiment 0123")
    recover.recover()
    assert_whole(repository)
    assert ask(repository, "rev-parse", "main") == start
    assert read_edit(repository) == "theirs"


def test_branch_that_has_moved_is_for_people_to_merge(repository: Project) -> None:
    start = break_off(repository)
    (repository.folder / "params.yaml").write_text("mine")
    repository.commit("mine")
    ask(repository, "update-ref", "refs/heads/main", f"{start}~1")
    with pytest.raises(RecoverError, match="`git branch rescued && git switch main`"):
        recover.recover()
    for command in ("branch rescued", "switch --quiet main"):  # the advice works
        ask(repository, *command.split())
    recover.recover()
    assert_whole(repository)
    assert ask(repository, "log", "--max-count=1", "--format=%s", "rescued") == "mine"


@pytest.mark.parametrize("target", ["main~1", "main"])
def test_head_that_people_detached_stays(repository: Project, target: str) -> None:
    commit = ask(repository, "rev-parse", target)
    ask(repository, "checkout", "--quiet", commit)
    assert recover.recover() is None
    assert ask(repository, "rev-parse", "HEAD") == commit
    repository.call("git", "symbolic-ref", "--quiet", "HEAD", status=1)


def test_head_that_people_detached_stays_beside_a_cut_lock(repository: Project) -> None:
    """As `git bisect` and CI leave it: by the full digest, too, which is how DVC does it."""
    commit = ask(repository, "rev-parse", "main~1")
    ask(repository, "checkout", "--quiet", commit)
    cut_lock(RWLOCK_PATH, "")
    assert "HEAD stays on no branch" in str(recover.recover())
    assert ask(repository, "rev-parse", "HEAD") == commit
    assert ask(repository, "status", "--porcelain", "--untracked-files=no") == ""
    repository.call("git", "symbolic-ref", "--quiet", "HEAD", status=1)
    note_killed_start(60)  # which began after that
    assert "HEAD stays on no branch" in str(recover.recover())
    for ref in ("EXEC_HEAD", "EXEC_BASELINE"):  # as did this one: DVC notes no checkout then
        ask(repository, "update-ref", f"{EXEC_REFS}/{ref}", commit)
        path = repository.folder / ".git" / EXEC_REFS / ref
        os.utime(path, (time.time() + 60,) * 2)
    assert "HEAD stays on no branch" in str(recover.recover())
    assert ask(repository, "rev-parse", "HEAD") == commit


@pytest.mark.parametrize("task", ["merge", "cherry-pick", "revert", "rebase"])
def test_what_git_has_not_ended_is_ended_first(repository: Project, task: str) -> None:
    """On the HEAD that the run has left, as people meet it when they go on."""
    other = ask(repository, "commit-tree", "-p", "HEAD~1", "-m", "x", "HEAD~1^{tree}")
    (repository.folder / "params.yaml").write_text("third")
    repository.commit("third")
    start = break_off(repository)
    ask(repository, "checkout", "--quiet", "-b", "theirs", other)
    (repository.folder / "params.yaml").write_text("theirs")
    repository.commit("theirs")
    ask(repository, "checkout", "--quiet", start)
    what = {"revert": "HEAD~1"}.get(task, "theirs")
    repository.call("git", task, what, status=1)
    before = ask(repository, "status")
    with pytest.raises(RecoverError, match=rf"`git {task} --abort`, then `make recover`"):
        recover.recover()
    assert ask(repository, "status") == before
    ask(repository, task, "--abort")
    ask(repository, "reflog", "expire", "--expire=now", "--all")
    assert recover.recover()
    assert ask(repository, "for-each-ref", EXEC_REFS) == ""


@pytest.fixture
def other(repository: Project) -> Project:
    """Return another worktree, within the first, on a branch of its own; not the current folder."""
    ask(repository, "worktree", "add", "--quiet", ".worktrees/a b", "-b", "other")
    return Project(repository.folder / ".worktrees/a b")


def test_run_that_was_killed_in_another_worktree_is_ended_there(
    repository: Project, other: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_off(other)
    with pytest.raises(RecoverError, match=r"`make -C '.*a b' recover`"):
        recover.recover()
    monkeypatch.chdir(other.folder)
    assert recover.recover()
    assert_whole(other, "other")
    monkeypatch.chdir(repository.folder)
    assert_whole(repository)


def test_run_in_another_worktree_goes_on(
    repository: Project, other: Project, tmp_path: Path
) -> None:
    start = break_off(other)
    with running(other.folder, tmp_path / "dvc"):
        assert recover.recover() is None
        assert ask(repository, "rev-parse", f"{EXEC_REFS}/EXEC_BASELINE") == start


def test_edits_put_aside_by_a_run_are_in_the_stash(repository: Project) -> None:
    (repository.folder / "params.yaml").write_text("mine")
    aside = ask(repository, "stash", "create")
    ask(repository, "restore", "params.yaml")
    break_off(repository, aside)
    done = recover.recover()
    assert done
    assert "`git stash pop` brings the edits" in done
    assert_whole(repository)
    ask(repository, "stash", "pop")
    assert read_edit(repository) == "mine"


def cut_lock(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(content)


def note_killed_start(age: int) -> None:
    """Leave DVC's note of a process that has the workspace to itself, and is dead."""
    RWLOCK_PATH.parent.mkdir(parents=True, exist_ok=True)
    RWLOCK_PATH.write_text(json.dumps({"write": {"workspace": {"pid": DEAD, "cmd": "dvc"}}}))
    moment = time.time() + age
    os.utime(RWLOCK_PATH, (moment, moment))


@pytest.mark.parametrize(("age", "found"), [(-1, "mine"), (60, "second")])
def test_only_a_stash_of_the_run_is_popped(repository: Project, age: int, found: str) -> None:
    """One that is older than the run is its owner's."""
    (repository.folder / "params.yaml").write_text("mine")
    ask(repository, "stash", "push", "--quiet")
    note_killed_start(age)
    assert recover.recover()
    assert read_edit(repository) == found
    assert_whole(repository)


@pytest.mark.parametrize("left", ["mine", "", "mine, and more"])
def test_file_that_a_start_left_half_written_is_as_before(repository: Project, left: str) -> None:
    (repository.folder / "params.yaml").write_text("mine")
    ask(repository, "stash", "push", "--quiet")
    (repository.folder / "params.yaml").write_text(left)
    note_killed_start(-1)  # DVC does so before it puts edits aside
    done = recover.recover()
    assert done
    assert "edits were brought back" in done
    assert read_edit(repository) == "mine"
    assert ("in `git stash list`" in done) == (left != "mine")
    if left != "mine":
        assert ask(repository, "show", "stash@{0}:params.yaml") == left


@pytest.mark.parametrize("path", recover.RWLOCK_PATHS, ids=str)
@pytest.mark.parametrize("content", ["", '{"write": {'])
def test_lock_that_was_cut_short_is_removed(repository: Project, path: Path, content: str) -> None:
    (repository.folder / "params.yaml").write_text("mine")
    cut_lock(path, content)
    assert recover.recover()
    assert not path.exists()
    assert read_edit(repository) == "mine"
    assert_whole(repository)


@pytest.mark.parametrize("content", ["{}", "[]", json.dumps({"write": {"workspace": {"pid": 1}}})])
def test_nothing_is_concluded_from_other_locks(repository: Project, content: str) -> None:
    RWLOCK_PATH.parent.mkdir(parents=True)
    RWLOCK_PATH.write_text(content)
    assert recover.recover() is None
    assert ask(repository, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_lock_of_a_killed_git_is_removed(repository: Project) -> None:
    break_off(repository)
    (repository.folder / ".git/index.lock").touch()
    recover.recover()
    assert_whole(repository)
    (repository.folder / "params.yaml").write_text("mine")
    repository.commit("Git goes on")


@contextmanager
def running(folder: Path, program: Path) -> Iterator[int]:
    """Have a program of that name, which may be `dvc`, run there; yield its process."""
    program.write_text("import sys; print(flush=True); sys.stdin.read()")
    command = [sys.executable, str(program)]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, **options) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


def test_run_that_goes_on_is_left_alone(repository: Project, tmp_path: Path) -> None:
    start = break_off(repository)
    with (
        running(repository.folder, tmp_path / "dvc") as process,
        pytest.raises(RecoverError, match=f"received process {process}"),
    ):
        recover.recover()
    assert ask(repository, "rev-parse", f"{EXEC_REFS}/EXEC_BASELINE") == start
    assert recover.recover()


def test_command_recovers_on_its_way(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "project")
    break_off(project)
    said = project.call("python", "-m", "digits", "experiments")
    assert "WARNING: a run of DVC had been killed: HEAD is on main again" in said
    assert ask(project, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert project.call("python", "-m", "digits", "recover").startswith("no killed")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_times(
    seed: int,
    trained: Project,
    retrained: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
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
        said = recover.recover() or ""
        broken += said != ""
        assert ask(project, "symbolic-ref", "HEAD") == "refs/heads/main", (number, delay, said)
        assert ask(project, "rev-parse", "HEAD") == start
        assert mine in (project.folder / "params.yaml").read_text(), (number, delay, said)
        assert (project.folder / "notes.txt").read_text() == mine
        assert ("`git stash" in said) == bool(ask(project, "stash", "list"))
        ask(project, "stash", "clear")
        ask(project, "reset", "--hard", "--quiet")
    assert broken > KILLS // 6
    # After all that, a run ends as it does elsewhere, and the next commit is on the branch.
    project.call("dvc", "checkout")
    longer = "recipes/cnn_optdigits.yaml:epochs=3"
    said = project.call("dvc", "exp", "run", "-S", longer, "--name", "whole")
    assert "Ran experiment(s): whole" in said
    project.commit("results")
    assert ask(project, "rev-parse", "main~1") == start
    assert PARAMS_PATH.read_text() != committed
    lock, undisturbed = ((it.folder / "dvc.lock").read_bytes() for it in (project, retrained))
    assert lock == undisturbed
