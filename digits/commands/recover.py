"""`digits recover`: return to the branch after a killed `dvc exp run`, edits kept.

DVC detaches HEAD, makes refs of its own and stages changes. It undoes that when it ends or is
interrupted, but not after SIGTERM or `kill -9` (treeverse/dvc 9260): the next commit would be on no
branch. By hand, where the branch is `main`:
`git symbolic-ref HEAD refs/heads/main`, `git reset`, and `git update-ref -d` of each of REFS.
"""

from argparse import Namespace
from pathlib import Path

import psutil

from digits.dvc.git import ask_git, try_git
from digits.errors import DigitsError

REFS = ("refs/exps/exec", "refs/exps/stash")
KEPT = {f"{REFS[0]}/EXEC_HEAD"}  # each run leaves it


def recover() -> str:
    """Undo what a killed run has left, and keep every edit; return what was done.

    Raises:
        DigitsError: a DVC still runs, or somebody has committed since.
        GitError: Git failed.
    """
    refs = try_git("for-each-ref", "--format=%(refname)", *REFS).split()
    branch = _find_branch()
    if not branch and set(refs) <= KEPT:
        return "no killed run of DVC has left anything"
    running = _find_running(Path(ask_git("rev-parse", "--show-toplevel")))
    if running:
        raise DigitsError(f"expected no DVC at work here, received process {running}: wait for it")
    for lock in Path(ask_git("rev-parse", "--git-path", "refs/exps")).rglob("*.lock"):
        lock.unlink()
    if branch:
        ask_git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    ask_git("reset", "--quiet")
    for ref in refs:
        if ref.endswith(("stash", "EXEC_MERGE")):  # with what had been edited before the run
            ask_git("stash", "store", "--message", "from a killed experiment", ref)
        ask_git("update-ref", "-d", ref)
    place = try_git("symbolic-ref", "--short", "--quiet", "HEAD") or "no branch, as before"
    return f"a run was killed: HEAD is on {place}; edits are in the files or `git stash list`"


def _find_branch() -> str | None:
    """Return the branch that a killed run left; None where HEAD is on one, or not ahead of it."""
    branch = try_git("rev-parse", "--abbrev-ref", "@{-1}")
    tip = try_git("rev-parse", f"refs/heads/{branch}")
    if try_git("symbolic-ref", "HEAD") or not tip or try_git("merge-base", tip, "HEAD") != tip:
        return None  # people have detached HEAD, as `git bisect` and CI do
    subjects = ask_git("log", "--format=%s", f"{branch}..HEAD").splitlines()
    if not all(subject.startswith("dvc: commit experiment ") for subject in subjects):
        raise DigitsError(
            f"HEAD: expected to be on {branch}, received commits that {branch} does not have: "
            f"`git branch rescued && git switch {branch}`, then merge rescued"
        )
    return branch


def _find_running(here: Path) -> int | None:
    """Return the process of a DVC that works in this checkout; None if there is none."""
    for process in psutil.process_iter():
        try:
            words, folder = process.cmdline()[:3], Path(process.cwd())
        except (psutil.Error, OSError):  # it has ended, or is somebody else's
            continue
        if any(Path(word).name == "dvc" for word in words) and folder.is_relative_to(here):
            return process.pid
    return None


def main(_: Namespace) -> None:
    print(recover())
