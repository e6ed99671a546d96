"""Experiments of this project, and of others in the same Git repository.

DVC keeps all of them in the refs of the repository, and lists and finds another project's as if it
were a run of this one: with the results of the commit that it started from.
"""

import re
from dataclasses import dataclass

from digits.dvc.git import ask_git, try_git

REF = re.compile(r"([0-9a-f]{40}) refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")


@dataclass(frozen=True)
class Experiment:
    """An experiment as Git has it: its commit, the one that it started from, its name."""

    commit: str
    base: str
    name: str

    def is_foreign(self) -> bool:
        """Tell whether it changed something, but nothing in this project."""
        changed = ("diff", "--name-only", self.base, self.commit)
        return not try_git(*changed, "--", ".") and bool(try_git(*changed))


def find_experiments() -> list[Experiment]:
    """Find all experiments, those of other projects among them.

    Raises:
        GitError: no repository, or one that Git does not open.
    """
    lines = ask_git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
    found = filter(None, map(REF.fullmatch, lines))
    return [Experiment(it[1], it[2] + it[3], it[4]) for it in found]


def has_only_foreign(name: str) -> bool:
    """Tell whether all experiments of a name, of which there are some, are other projects'."""
    of_name = [it for it in find_experiments() if it.name == name]
    return bool(of_name) and all(it.is_foreign() for it in of_name)
