"""A project of its own for tests that run the real `dvc`: the sources of this one, in Git."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from imports import ROOT
from ruamel.yaml import YAML

from digits import cli
from digits.errors import run_main

FOLDERS = ("datasets", "digits", "pipeline", ".dvc/plots")
FILES = (".dvc/config", ".gitattributes")
# The checkout's own are its user's to change.
PARAMS_PATH = ROOT / "tests/params.yaml"
OWN_PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")
RECIPES = ROOT / "tests/recipes"
IGNORES = (".dvcignore", ".gitignore", ".dvc/.gitignore")
ALL = ["fetch", "decode", "train", "evaluate", "analyze"]
TRAINED = ALL[2:]  # what another training is followed by
UP_TO_DATE = "Data and pipelines are up to date."
NO_CACHES = shutil.ignore_patterns("__pycache__")


@dataclass(frozen=True)
class Project:
    """A Git and DVC repository of its own, with the sources of this one."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a command: these tests' Python, nobody's own settings."""
        state = self.folder.parent / ".cache/digits-dvc"  # where our commands keep it, too
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SHELL": "/bin/sh",
            "HOME": str(self.folder.parent),
            "XDG_CACHE_HOME": "",
            "DVC_SITE_CACHE_DIR": str(state),
            "COLUMNS": "120",
        }

    def start(
        self, *command: str, own_session: bool = True, **environment: str
    ) -> subprocess.Popen[str]:
        """Start a command there, with all it will start in a session of its own."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=own_session,
        )

    def call(self, *command: str, status: int = 0) -> str:
        """Run a command there; return its output once its exit status is the expected one."""
        with self.start(*command, own_session=False) as process:
            output, _ = process.communicate()
        assert process.returncode == status, output
        return output

    def digits(self, *words: str, status: int = 0) -> str:
        """Run one of our commands there, in this process: its libraries are imported already.

        What a DVC or Git that it starts prints by itself is not in the output: `call` has that.
        """
        said = io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            pytest.MonkeyPatch.context() as patch,
        ):
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["digits", *words])
            try:
                left = run_main(cli.call_command)
            except SystemExit as leaving:
                left = leaving.code  # type: ignore[assignment]
        assert (left or 0) == status, said.getvalue()
        return said.getvalue()

    def change(self, before: str, after: str, file: str = "params.yaml") -> None:
        path = self.folder / file
        text = path.read_text()
        assert text.count(before) == 1, before
        path.write_text(text.replace(before, after))

    def commit(self, message: str) -> None:
        self.call("git", "add", "--all")
        self.call("git", "commit", "--quiet", "--message", message)

    def clone(self, folder: Path) -> "Project":
        """Clone into a folder, with an empty cache."""
        self.call("git", "clone", "--quiet", ".", str(folder))
        return Project(folder).identify()

    def copy(self, folder: Path) -> "Project":
        """Copy all there is, the cache included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def identify(self) -> "Project":
        self.call("git", "config", "user.name", "Test")
        self.call("git", "config", "user.email", "test@localhost")
        return self

    def start_repository(self) -> "Project":
        """Make a Git repository of the folder, and commit all that is in it."""
        self.call("git", "init", "--quiet", "--initial-branch=main")
        self.identify().commit("sources")
        return self

    def revert(self) -> str:
        self.call("git", "restore", "params.yaml", "recipes")
        return self.call("dvc", "repro")

    def list_outs(self, stage: str) -> list[dict[str, str]]:
        """List a stage's outputs as DVC's record has them: path, MD5."""
        lock = YAML(typ="safe").load(self.folder / "dvc.lock")
        return list(lock["stages"][stage]["outs"])

    def read_results(self) -> dict[str, bytes]:
        """Return what the stages have made, and DVC's record of it; nothing half-written counts."""
        names = ("data", "models", "metrics", "plots")
        found = (path for name in names for path in (self.folder / name).rglob("*"))
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in [*found, self.folder / "dvc.lock"]
            if path.is_file() and path.suffix != ".tmp"
        }

    def load(self, path: str) -> dict[str, Any]:
        return json.loads((self.folder / path).read_bytes())


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Make a folder for the whole test run, whichever of pytest-xdist's processes comes first."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with FileLock(base / f"{name}.lock"):
        if not (base / name).exists():
            own = factory.mktemp(name)
            make(own / "project")
            own.rename(base / name)
    return base / name / "project"


def lend_environment(project: Project) -> None:
    """Give a project these tests' own environment: to make one is not the matter of its tests."""
    binaries = project.folder / ".venv/bin"
    binaries.mkdir(parents=True)
    (binaries / "activate").write_text('PATH="$PWD/.venv/bin:$PATH"\n')
    for name, module in (("python", ""), ("dvc", "-m dvc"), ("digits", "-m digits")):
        (binaries / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (binaries / name).chmod(0o755)
    for name in ("run", "test"):
        (project.folder / f".venv/{name}.stamp").touch()


UNSHARE = ("unshare", "--map-root-user")
UNPLUGGED = (*UNSHARE, "--net")


def works(*command: str) -> bool:
    """Tell whether this system has a command and lets us run it."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


def train_project(folder: Path) -> None:
    """Make a project whose pipeline has run on the embedded dataset, results committed.

    It runs without any network, where the system lets us show that it needs none.
    """
    project = make_project(folder, "optdigits", "cnn_optdigits")
    unplugged = UNPLUGGED if works(*UNPLUGGED, "true") else ()
    assert list_runs(project.call(*unplugged, "dvc", "repro")) == ALL
    project.commit("results")


def retrain(project: Project) -> None:
    """Train a trained project again, for three epochs, and commit."""
    project.change("epochs: 2\n", "epochs: 3\n", "recipes/cnn_optdigits.yaml")
    assert list_runs(project.call("dvc", "repro")) == TRAINED
    project.commit("three epochs")


def list_runs(output: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", output)


def write_params(folder: Path, text: str = PARAMS_PATH.read_text()) -> None:
    """Write the tests' parameters, and of the checkout's those that a user has added."""
    values = YAML().load(text)
    for section, own in OWN_PARAMS.items():
        values.setdefault(section, own)
        for key in own if isinstance(own, dict) else ():
            values[section].setdefault(key, own[key])
    YAML().dump(values, folder / "params.yaml")


def select(params_path: Path, dataset: str, recipe: str) -> None:
    """Select dataset and recipe."""
    text = re.sub("(?m)^dataset: .*", f"dataset: {dataset}", params_path.read_text())
    params_path.write_text(re.sub("(?m)^  recipe: .*", f"  recipe: {recipe}", text))


def copy_checkout(folder: Path) -> Project:
    """Make a repository of its own with all that Git would track here, as it stands."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return Project(folder).start_repository()


def make_project(folder: Path, dataset: str, recipe: str) -> Project:
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=NO_CACHES)
    for name in FILES + IGNORES:
        shutil.copy(ROOT / name, folder / name)
    pipeline = YAML().load(ROOT / "dvc.yaml")
    for name in pipeline["stages"].keys() - set(ALL):  # a user has added it: not our matter
        del pipeline["stages"][name]
    YAML().dump(pipeline, folder / "dvc.yaml")
    write_params(folder)
    shutil.copytree(RECIPES, folder / "recipes")
    select(folder / "params.yaml", dataset, recipe)
    return Project(folder).start_repository()
