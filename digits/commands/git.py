"""The one way to ask Git."""

import subprocess

from digits.errors import DigitsError

NO_REPOSITORY = (
    "expected a Git repository, received a folder without one, such as a downloaded .zip: clone "
    "the project, or `git init && git add --all && git commit --message start`"
)


class GitError(DigitsError):
    """Git failed; it has said why, and often the way out."""


def ask_git(*arguments: str) -> str:
    """Return what Git prints, without the last line's end.

    Raises:
        GitError: it failed, or there is none.
    """
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    except (OSError, ValueError) as error:  # not installed; a zero byte, a text of megabytes
        raise GitError(f"git {arguments[0]}: {error}") from error
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or "no reason given"
        if "not a git repository" in reason:
            raise GitError(NO_REPOSITORY)
        raise GitError(f"git {arguments[0]}: exit status {done.returncode}, {reason}")
    return done.stdout.removesuffix("\n")


def try_git(*arguments: str) -> str:
    """Return what Git prints, nothing if it fails."""
    try:
        return ask_git(*arguments)
    except GitError:
        return ""


def is_commit(name: str) -> bool:
    """Tell whether a name, whatever its letters, is one of a commit, a branch or a tag of one."""
    commit = f"{name}^{{commit}}"
    return bool(try_git("rev-parse", "--verify", "--quiet", "--end-of-options", commit))
