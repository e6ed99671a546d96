"""What a user may do to the checkout leaves its tests green: parameters, recipes, results.

Tests marked `checkout` read the checkout's own files, and follow each edit; all others bring their
own, and fail if they read those (guard.py). So only the former need to be run again after an edit.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from projects import Project, copy_checkout, select
from ruamel.yaml import YAML


def run_readers(project: Project) -> None:
    """Run the tests that read the checkout as its user would."""
    alone = ("env", "-u", "PYTEST_XDIST_WORKER", "python", "-m", "pytest", "-q")
    project.call(*alone, "-m", "checkout and not slow and not nightly")


def change_numbers(values: Any) -> Any:
    """Change every number at any depth: whole ones by one, others by a tenth."""
    if isinstance(values, dict):
        return {key: change_numbers(value) for key, value in values.items()}
    if isinstance(values, list):
        return [change_numbers(value) for value in values]
    if isinstance(values, bool) or not isinstance(values, int | float):
        return values
    return values + 1 if isinstance(values, int) else float(values) * 0.9


@pytest.mark.nightly
def test_all_edits_together(tmp_path: Path) -> None:
    """An experiment on other data, committed; every number changed; recipes come, go, get names."""
    checkout = copy_checkout(tmp_path / "digits")
    settings = ("dataset=optdigits", "train.recipe=cnn_optdigits")
    short = "recipes/cnn_optdigits.yaml:epochs=1"
    checkout.call("dvc", "exp", "run", *(f"--set-param={value}" for value in (*settings, short)))
    checkout.commit("other data")
    run_readers(checkout)

    first, *others, last = sorted((checkout.folder / "recipes").glob("*.yaml"))
    for path in others:
        path.unlink()
    first.rename(first.with_stem("mine"))
    last.rename(last.with_stem("yours"))
    params = checkout.folder / "params.yaml"
    select(params, "optdigits", "mine")
    for path in (params, checkout.folder / "recipes/mine.yaml"):
        YAML().dump(change_numbers(YAML().load(path)), path)
    checkout.commit("all numbers, other recipes")
    run_readers(checkout)


def test_other_tests_cannot_read_what_a_user_edits(tmp_path: Path) -> None:
    for read in (
        (ROOT / "params.yaml").read_bytes,
        lambda: os.listdir(ROOT / "metrics"),  # noqa: PTH208
        lambda: shutil.copytree(ROOT / "plots", tmp_path / "plots"),
        lambda: subprocess.run(["git", "status"], cwd=ROOT, check=False),
        lambda: subprocess.run(["cat", ROOT / "dvc.lock"], cwd=tmp_path, check=False),
        lambda: subprocess.run(["git", "clone", ROOT, "clone"], cwd=tmp_path, check=False),
    ):
        with pytest.raises(pytest.fail.Exception, match="mark the test `checkout` to read it"):
            read()
