"""`make recover`: end what a killed `dvc exp run` has left behind, and keep every edit.

DVC runs an experiment on a detached HEAD, with its bookkeeping in `refs/exps/exec`, and puts both
right when it ends or is interrupted. After SIGTERM or `kill -9` they stay (treeverse/dvc 9260): the
next commit is on no branch, and later experiments hang below an old commit or have no result. A
file of locks that was being written then is cut short, and every DVC fails at it.
"""

import json
import re
import shlex
import sys
from argparse import Namespace
from pathlib import Path

import psutil

from digits.dvc.git import ask_git, describe_task, try_git
from digits.errors import DigitsError

EXEC_REFS = "refs/exps/exec"
EXPERIMENT_STASH = "refs/exps/stash"
# What DVC keeps while an experiment runs; EXEC_HEAD stays after each.
LEFT_REFS = (f"{EXEC_REFS}/EXEC_BASELINE", f"{EXEC_REFS}/EXEC_MERGE", EXPERIMENT_STASH)
DETACHED = re.compile(r"checkout: moving from (\S+) to ([0-9a-f]{40})")  # DVC writes it in full
RWLOCK_PATH = Path(".dvc/tmp/exps/rwlock")  # who has the workspace to himself
RWLOCK_PATHS = (RWLOCK_PATH, Path(".dvc/tmp/rwlock"))
EXPERIMENT_COMMIT = "dvc: commit experiment "


class RecoverError(DigitsError):
    """The way back is not for a program to choose, or Git failed."""


def find_detached_from(began: float | None, folder: Path = Path()) -> tuple[str, str] | None:
    """Return the branch that a killed run has left, and its commit then; None if none has.

    A person may have left one before the run began, as may `git bisect` and CI.
    """
    if try_git("-C", str(folder), "symbolic-ref", "--quiet", "HEAD"):
        return None
    reflog = ("reflog", "--date=unix", "--format=%gd %gs", "HEAD")
    for line in try_git("-C", str(folder), *reflog).splitlines():
        moment, subject = line.split(" ", 1)
        if subject.startswith("dvc: Restore HEAD"):
            return None  # DVC has found it detached, and left it so
        if subject.startswith("checkout: "):
            found = DETACHED.fullmatch(subject)
            if began is None or not found or not is_branch(found[1]):
                return None
            return (found[1], found[2]) if int(moment.strip("HEAD@{}")) >= int(began) else None
    return None


def has_other_run(left: list[str]) -> bool:
    """Tell whether DVC runs in another of Git's worktrees, which share what it keeps.

    Raises:
        RecoverError: it did so, and was killed.
    """
    here = Path(ask_git("rev-parse", "--show-toplevel"))
    lines = try_git("worktree", "list", "--porcelain", "-z").split("\0")
    folders = {Path(it.removeprefix("worktree ")) for it in lines if it.startswith("worktree ")}
    for folder in filter(Path.is_dir, folders - {here}):
        if find_running(folder):
            return True
        if find_detached_from(find_start(left), folder):
            raise RecoverError(
                f"{folder}: a run of DVC had been killed in this worktree: "
                f"`make -C {shlex.quote(str(folder))} recover`"
            )
    return False


def find_killed_start() -> float | None:
    """Return when a run began that was killed while it put edits aside; None if none was.

    DVC notes the process that has the workspace to itself, for that second only.
    """
    try:
        writers = json.loads(RWLOCK_PATH.read_bytes()).get("write", {}).values()
    except (OSError, ValueError, AttributeError):
        return None
    if any(not psutil.pid_exists(writer["pid"]) for writer in writers):
        return RWLOCK_PATH.stat().st_mtime
    return None


def find_start(left: list[str]) -> float | None:
    """Return when the run began that has left these; 0 if Git no longer knows."""
    paths = [Path(ask_git("rev-parse", "--git-path", ref)) for ref in left]
    moments = [path.stat().st_mtime if path.exists() else 0 for path in paths]
    return min(moments, default=None)


def is_branch(name: str) -> bool:
    return bool(try_git("rev-parse", "--verify", "--quiet", f"refs/heads/{name}"))


def find_running(here: Path) -> int | None:
    """Return the process of a DVC, or a Git, that works in this checkout; None if there is none."""
    for process in psutil.process_iter():
        try:
            command, folder = process.cmdline(), Path(process.cwd())
        except (psutil.Error, OSError):  # it has ended, or is somebody else's
            continue
        works = any(re.search(r"(^|[/.])(masked_dvc|dvc|git)$", word) for word in command[:3])
        if works and folder.is_relative_to(here):
            return process.pid
    return None


def remove_locks() -> None:
    """Remove the locks of a Git that no longer runs: it would refuse to work until then."""
    folder = Path(ask_git("rev-parse", "--absolute-git-dir"))
    for lock in [*folder.glob("*.lock"), *(folder / "refs").rglob("*.lock")]:
        lock.unlink(missing_ok=True)


def find_cut_locks() -> list[Path]:
    """List DVC's files of locks that a kill has cut short: it would fail at them ever after."""
    return [path for path in RWLOCK_PATHS if path.is_file() and not is_json(path)]


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def bring_edits(left: list[str], began: float | None) -> str:
    """Bring back what DVC had put aside, if the files lack it; return how it was done.

    What it puts aside first is a stash of Git's; later, one of its own with the run's changes.
    """
    stashed = try_git("log", "--max-count=1", "--format=%ct", "refs/stash", "--")
    if began is not None and stashed and int(stashed) >= int(began):
        return restore_edits()
    if try_git("status", "--porcelain", "--untracked-files=no"):
        return ""
    if aside := [ref for ref in (EXPERIMENT_STASH, f"{EXEC_REFS}/EXEC_MERGE") if ref in left]:
        ask_git("stash", "store", "--message", "from a killed experiment", aside[0])
        return "; `git stash pop` brings the edits it began with"
    return ""


def restore_edits() -> str:
    """Bring back the edits of the newest stash; return how it was done.

    A run that is killed as it begins has put them there, and leaves files as far as it had come:
    one may be half written. Somebody may have edited them since, so they are kept as well.
    """
    left = ask_git("stash", "create")
    ask_git("reset", "--hard", "--quiet")
    ask_git("stash", "pop", "--quiet")
    if not left or not ask_git("diff", "--name-only", left):
        return ", edits were brought back"
    ask_git("stash", "store", "--message", "as a killed experiment left it", left)
    return ", edits were brought back; as it left the files is in `git stash list`"


def return_to(branch: str, start: str) -> None:
    """Put HEAD on the branch again, with the commits that people have made meanwhile.

    The files stay as they are. A commit of DVC's own is no person's: its files stay as edits.

    Raises:
        RecoverError: the branch has moved, too.
    """
    head = ask_git("rev-parse", "HEAD")
    subjects = ask_git("log", "--format=%s", f"{start}..HEAD").splitlines()
    if not all(subject.startswith(EXPERIMENT_COMMIT) for subject in subjects):
        if ask_git("rev-parse", f"refs/heads/{branch}") != start:
            raise RecoverError(
                f"HEAD: expected to be on {branch}, received commits of a killed experiment's HEAD "
                f"that {branch} has not: keep them with `git branch rescued && git switch "
                f"{branch}`, then merge rescued"
            )
        ask_git("update-ref", f"refs/heads/{branch}", head, start)
    ask_git("symbolic-ref", "HEAD", f"refs/heads/{branch}")


def recover() -> str | None:
    """End what a killed run has left; return what was done, None if nothing was to be done.

    Raises:
        RecoverError: the run is still going on, or people must choose.
    """
    left = try_git("for-each-ref", "--format=%(refname)", *LEFT_REFS).split()
    began, cut = find_killed_start(), find_cut_locks()
    if not left and began is None and not cut:
        return None
    detached = find_detached_from(find_start(left) if began is None else began)
    if left and has_other_run(left) and not (detached or began or cut):
        return None
    running = find_running(Path(ask_git("rev-parse", "--show-toplevel")))
    if running:
        raise RecoverError(
            f"expected no other DVC or Git at work here, received process {running}: wait for it, "
            f"or end it with `kill -INT {running}`"
        )
    task = describe_task()
    if task and "bisect" not in task:
        raise RecoverError(f"a run of DVC had been killed: {task}, then `make recover`")
    remove_locks()
    if detached:
        return_to(*detached)
    ask_git("reset", "--quiet")
    brought = bring_edits(left, began)
    for ref in [*left, *try_git("for-each-ref", "--format=%(refname)", EXEC_REFS).split()]:
        ask_git("update-ref", "-d", ref)
    for path in {RWLOCK_PATH, *cut}:
        path.unlink(missing_ok=True)
    place = "what it had left is removed"
    if detached:
        place = f"HEAD is on {detached[0]} again"
    elif not try_git("symbolic-ref", "--quiet", "HEAD"):
        place += ", HEAD stays on no branch"
    return f"a run of DVC had been killed: {place}, files are as they were{brought}"


def recover_loudly() -> None:
    """Do it on the way to something else."""
    done = recover()
    if done:
        print(f"WARNING: {done}", file=sys.stderr)


def main(_: Namespace) -> None:
    print(recover() or "no killed run of DVC has left anything")
