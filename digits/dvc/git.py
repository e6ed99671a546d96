"""Git's commands as functions."""

import subprocess

from digits.errors import DigitsError


class GitError(DigitsError):
    """Git failed; it has said why, and often the way out."""


def ask_git(*arguments: str) -> str:
    """Return what Git prints, without the last line's end.

    Raises:
        GitError: it failed.
    """
    command = ["git", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or "no reason given"
        raise GitError(f"git {arguments[0]}: exit status {done.returncode}, {reason}")
    return done.stdout.removesuffix("\n")


def try_git(*arguments: str) -> str:
    """Return what Git prints, nothing if it fails."""
    try:
        return ask_git(*arguments)
    except GitError:
        return ""


def check_committed(*options: str) -> None:
    """Refuse uncommitted changes; the options are those of `git status`.

    Raises:
        DigitsError: names the changed files.
    """
    changed = ask_git("status", "--porcelain", *options).splitlines()
    if changed:
        names = ", ".join(line[3:] for line in changed)
        raise DigitsError(f"expected everything committed, received changes in {names}")


def is_commit(name: str) -> bool:
    """Tell whether a name is a commit, or a branch or tag of one."""
    commit = f"{name}^{{commit}}"
    return bool(try_git("rev-parse", "--verify", "--quiet", "--end-of-options", commit))
