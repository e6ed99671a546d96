"""The one way to ask Git."""

import os
import subprocess
from pathlib import Path

from digits.errors import DigitsError

NO_REPOSITORY = (
    "expected a Git repository, received a folder without one, such as a downloaded .zip: clone "
    "the project, or `git init && git add --all && git commit --message start`"
)

LINK_MODE = "120000"  # of Git's index
# What Git keeps of a task until it is ended, and by which commands that is.
TASKS = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "BISECT_LOG": "bisect",
}


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


def is_tracked_link(link: Path) -> bool:
    """Tell whether Git has brought a link, or does not say; any other is its user's own.

    It is known by its inode: a disk may take other letters for the same name. A submodule is asked
    for its own.
    """
    git = ("-C", str(link.parent))
    try:
        top = Path(ask_git(*git, "rev-parse", "--show-toplevel"))
        listed = ask_git(*git, "ls-files", "--stage", "-z", "--full-name", "--", ":/")
    except GitError:
        return True
    entries = (line.split("\t", 1) for line in filter(None, listed.split("\0")))
    tracked = (top / name for facts, name in entries if facts.startswith(LINK_MODE))
    return any(it.is_symlink() and os.path.samestat(it.lstat(), link.lstat()) for it in tracked)


def describe_task() -> str:
    """Say what Git has begun and not ended, a merge for one, and how it is; nothing if nothing."""
    folder = try_git("rev-parse", "--absolute-git-dir")
    for name, task in TASKS.items():
        if folder and Path(folder, name).exists():
            ends = ["reset"] if task == "bisect" else ["--continue", "--abort"]
            commands = " or ".join(f"`git {task} {end}`" for end in ends)
            return f"expected no {task} under way, received one: end it with {commands}"
    return ""
