"""Environments and folders that `make` did not make: each is told in one line, with the way out."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT
from projects import IGNORES, Project

from digits.dvc.experiments import run_experiment
from digits.dvc.run import DvcError

LOCKS = ("requirements.lock", "requirements-test.lock", "requirements-s3.lock")
STAGE = """\
stages:
  one:
    cmd: exec python -c "import dvc, sys; print('runs by', sys.executable)"
"""


def fake_python(path: Path, version: str) -> None:
    """Write an interpreter that is of another version, and has pip; it does nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""#!/bin/sh
case "$*" in
*version_info*) exit {0 if version.startswith("3.12") else 1} ;;
--version) echo Python {version} ;;
*venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
esac
"""
    )
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Project:
    """Return what `make` needs for an environment, as a zip has it: without Git."""
    project = Project(tmp_path / "digits")
    project.folder.mkdir()
    for name in ("Makefile", *LOCKS):
        shutil.copy(ROOT / name, project.folder)
    fake_python(tmp_path / "good/python3", "3.12.1")
    return project


def make(project: Project, *words: str, status: int = 2) -> list[str]:
    """Make the environment, with a stand-in for `python3`; return what is printed."""
    python = project.folder.parent / "good/python3"
    return project.call("make", f"PYTHON={python}", *words, status=status).splitlines()


def test_zip_without_git_is_refused_before_anything_is_made(checkout: Project) -> None:
    for goal in (".venv/run.stamp", ".venv/test.stamp", ".venv/s3.stamp", "repro"):
        reason, *_ = make(checkout, goal)
        assert reason == (
            f"ERROR: {checkout.folder}: expected a Git repository, received none, as in a zip from "
            "GitHub; git clone the project instead, or make one here: "
            "git init && git add --all && git commit --message start"
        )
        assert not (checkout.folder / ".venv").exists()


def test_zip_goes_on_once_its_way_out_is_followed(checkout: Project) -> None:
    for name in IGNORES[:2]:
        shutil.copy(ROOT / name, checkout.folder)
    reason, *_ = make(checkout, ".venv/run.stamp")
    checkout.call("git", "config", "--global", "user.name", "Test")
    checkout.call("git", "config", "--global", "user.email", "test@localhost")
    checkout.call("sh", "-ec", reason.partition("make one here: ")[2])
    assert make(checkout, ".venv/run.stamp", status=0)[-1].startswith("Installing ")
    assert checkout.call("git", "status", "--porcelain") == ""


def test_folder_of_a_larger_repository_is_taken(checkout: Project) -> None:
    checkout.call("git", "init", "--quiet", "..")
    assert make(checkout, ".venv/run.stamp", status=0)[-1].startswith("Installing ")


@pytest.fixture
def repository(checkout: Project) -> Project:
    checkout.call("git", "init", "--quiet")
    return checkout


def without_pip(folder: Path) -> str:
    """Make an environment as `uv venv` does."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return "Python {}.{}.{} without pip".format(*sys.version_info)


def of_python_3_10(folder: Path) -> str:
    fake_python(folder / "bin/python", "3.10.13")
    return "Python 3.10.13"


@pytest.mark.parametrize("prepare", [without_pip, of_python_3_10])
@pytest.mark.parametrize("goal", [".venv/run.stamp", ".venv/test.stamp", "repro"])
def test_foreign_venv_is_refused_and_the_way_out_leads_on(
    prepare: object, goal: str, repository: Project
) -> None:
    assert callable(prepare)
    received = prepare(repository.folder / ".venv")
    reason, *_ = make(repository, goal)
    assert reason == (
        f"ERROR: .venv: expected Python 3.11 to 3.13 with pip, received {received}; "
        f"make one anew: rm -rf .venv && make {goal}"
    )
    remove, _ = reason.partition("make one anew: ")[2].split(" && ")
    repository.call(*remove.split())
    assert any(line.startswith("Installing ") for line in make(repository, goal, status=0))


def test_python_that_an_upgrade_has_removed_is_named(repository: Project) -> None:
    python = repository.folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3.99")
    (repository.folder / ".venv/run.stamp").touch()
    reason, *_ = make(repository, "repro")
    assert reason.startswith("ERROR: .venv: expected its Python, received a link to none")
    assert reason.endswith("make one anew: rm -rf .venv && make repro")


def test_python_without_the_packages_is_one_line(tmp_path: Path) -> None:
    """That of another environment, or of a system that was upgraded below `.venv`."""
    (tmp_path / "dvc.yaml").touch()
    said = call_digits("compare", tmp_path, "-S")
    assert said.startswith(
        f"ERROR: {sys.executable}: expected the packages of requirements.lock, received no module"
    )
    assert said.count("\n") == 1


# Without .venv: conda, or a global `pip install .`


def test_stages_run_by_the_python_of_the_command(tmp_path: Path) -> None:
    """As after `pip install .`, where no environment is activated and `python` is another's."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    (folder / "dvc.yaml").write_text(STAGE)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    other = tmp_path / "bin/python"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    environment = {**os.environ, "PATH": f"{other.parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    environment["SHELL"] = "/bin/false"  # that of a service's account
    done = subprocess.run(
        [sys.executable, "-c", "from digits.dvc.run import run_dvc; run_dvc('repro')"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"runs by {sys.executable}" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("command", ["repro", "experiments"])
def test_command_elsewhere_than_in_the_project_is_one_line(command: str, tmp_path: Path) -> None:
    assert call_digits(command, tmp_path) == (
        f"ERROR: {tmp_path}: expected the project's folder, received no dvc.yaml\n"
    )


@pytest.mark.parametrize("command", ["experiments", "verify", "cache"])
def test_command_without_git_is_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").touch()
    said = call_digits(command, tmp_path)
    assert said.startswith("ERROR: ")
    assert said.endswith(f"{tmp_path} is not a git repository\n")
    assert said.count("\n") == 1


def call_digits(command: str, folder: Path, *options: str) -> str:
    """Call a command that fails there, with options of Python's; return what it says of it."""
    done = subprocess.run(
        [sys.executable, *options, "-m", "digits", command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_state_of_dvc_is_private(checkout: Project) -> None:
    """For make and for whoever has activated the environment: DVC unpickles what it finds there."""
    checkout.call("git", "init", "--quiet")
    checkout.call("make", f"PYTHON={sys.executable}", ".venv/bin/python")
    folder = checkout.folder / ".venv/dvc-state"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    ask = ". .venv/bin/activate && echo $DVC_SITE_CACHE_DIR"
    unset = ("env", "-u", "DVC_SITE_CACHE_DIR")
    assert checkout.call(*unset, "sh", "-ec", ask) == f"{folder}\n"
    chosen = checkout.call("env", "DVC_SITE_CACHE_DIR=/mine", "sh", "-ec", ask)
    assert chosen == "/mine\n"
    (checkout.folder / "show.mk").write_text(
        "include Makefile\nshow:; @echo $$DVC_SITE_CACHE_DIR\n"
    )
    assert checkout.call(*unset, "make", "-f", "show.mk", "show") == f"{folder}\n"


def test_experiment_does_not_have_git_forget_a_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC would: the merge would be committed with one parent."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    identity = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    subprocess.run(["git", *identity, "commit", "--quiet", "--allow-empty", "-m", "x"], check=True)
    subprocess.run(["git", "update-ref", "MERGE_HEAD", "HEAD"], check=True)
    with pytest.raises(DvcError, match="expected no merge under way"):
        run_experiment({"x": 1})
