"""A fast test reads the checkout's own parameters and results only if it is marked `checkout`.

They are their user's to change. What does not read them needs no second run after an edit.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT

OWN = ("params.yaml", "recipes", "dvc.lock", "data", "metrics", "models", "plots", ".git")
OWN_PATHS = tuple(f"{ROOT}/{name}/" for name in OWN)
READERS = {"checkout", "slow", "nightly"}  # marks of tests that may
_watching = False


@contextmanager
def guarding(item: pytest.Item) -> Iterator[None]:
    """Fail a test without such a mark if it reads them, or starts a process that might."""
    global _watching  # noqa: PLW0603 (an audit hook is never removed)
    _watching = not READERS.intersection(mark.name for mark in item.iter_markers())
    try:
        yield
    finally:
        _watching = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    if event in {"open", "os.listdir", "os.scandir"}:
        if _is_own(arguments[0]):
            _refuse(arguments[0])
    elif event == "subprocess.Popen":
        _, words, folder, _ = arguments
        if f"{folder or Path.cwd()}/".startswith(f"{ROOT}/"):
            _refuse(f"{words} in {ROOT}")
        if any(_is_own(word) or str(word) == str(ROOT) for word in words):
            _refuse(words)


def _is_own(path: Any) -> bool:
    return f"{os.path.abspath(str(path))}/".startswith(OWN_PATHS)  # noqa: PTH100 (at every import)


def _refuse(what: object) -> None:
    pytest.fail(f"{what}: its user's to change; mark the test `checkout` to read it")


sys.addaudithook(_watch)
