"""Environments and folders that `make` did not make: each is told in one line, with the way out."""

import shutil
import stat
import sys
from pathlib import Path

import pytest
from imports import ROOT
from projects import IGNORES, Project

from digits.dvc.experiments import run_experiment
from digits.dvc.run import run_dvc
from digits.errors import DigitsError

STAGE = """\
stages:
  one:
    cmd: exec python -c "import dvc, sys; print('runs by', sys.executable)"
"""
# An interpreter that is of another version, and has pip; it does nothing but name what it runs.
PYTHON = """#!/bin/sh
case "$*" in
*version_info*) exit {status} ;;
*"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && cp uv .venv/bin/uv ;;
*) echo "python $*" ;;
esac
"""
UV = '#!/bin/sh\necho "uv $* from $UV_DEFAULT_INDEX"\nexit {status}\n'


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Project:
    """Return what `make` needs for an environment, as a zip has it: without Git."""
    project = Project(tmp_path / "digits")
    project.folder.mkdir()
    for name in ("Makefile", *IGNORES[:2], *(path.name for path in ROOT.glob("requirements*"))):
        shutil.copy(ROOT / name, project.folder)
    write_program(tmp_path / "python3", PYTHON.format(status=0))
    write_program(project.folder / "uv", UV.format(status=0))
    return project


def make(project: Project, *words: str, status: int = 2) -> list[str]:
    """Make the environment, with a stand-in for `python3`; return what is printed."""
    python = project.folder.parent / "python3"
    command = ("env", "PIP_INDEX_URL=https://a.test/simple", "make", f"PYTHON={python}", *words)
    return project.call(*command, status=status).splitlines()


def test_zip_without_git_goes_on_once_its_way_out_is_followed(checkout: Project) -> None:
    for goal in ("env", ".venv/test.stamp", "repro"):
        reason, *_ = make(checkout, goal)
        assert f"ERROR: {checkout.folder}: expected a Git repository" in reason
        assert not (checkout.folder / ".venv").exists()
    checkout.call("git", "config", "--global", "user.name", "Test")
    checkout.call("git", "config", "--global", "user.email", "test@localhost")
    checkout.call("sh", "-ec", reason.partition("or: ")[2])
    assert make(checkout, "env", status=0)[0].startswith("Installing ")
    assert checkout.call("git", "status", "--porcelain") == ""


@pytest.fixture
def repository(checkout: Project) -> Project:
    checkout.call("git", "init", "--quiet")
    return checkout


def test_uv_installs_by_hash_from_the_index_of_pip_or_its_own(repository: Project) -> None:
    _, first, second = make(repository, "env", status=0)
    assert first.startswith("python -m pip install ")
    assert first.endswith("--require-hashes -r requirements-uv.lock")
    assert second.startswith("uv pip install ")
    assert second.endswith("--require-hashes -r requirements.lock from https://a.test/simple")
    own = "https://mine.test/simple"
    *_, last = make(repository, f"UV_DEFAULT_INDEX={own}", ".venv/test.stamp", status=0)
    assert last.endswith(f"--require-hashes -r requirements-test.lock from {own}")
    assert make(repository, "env", status=0) == ["make: Nothing to be done for 'env'."]
    assert repository.call(".venv/bin/digits", "compare", "a b") == "python -m digits compare a b\n"


def test_pip_installs_where_uv_cannot(repository: Project) -> None:
    write_program(repository.folder / "uv", UV.format(status=1))
    *_, reason, last = make(repository, "env", status=0)
    assert reason == "Without uv: pip does the same and takes minutes."
    assert last.startswith("python -m pip install ")
    assert last.endswith("--require-hashes -r requirements.lock")


def test_foreign_venv_is_refused_and_the_way_out_leads_on(repository: Project) -> None:
    write_program(repository.folder / ".venv/bin/python", PYTHON.format(status=1))
    reason, *_ = make(repository, "env")
    before, command_line = reason.split(": rm ")
    assert before == "ERROR: .venv: expected Python 3.11 to 3.13 with pip"
    remove, again = f"rm {command_line}".split(" && ")
    repository.call(*remove.split())
    assert make(repository, again.removeprefix("make "), status=0)[0].startswith("Installing ")


def test_state_of_dvc_is_private(repository: Project) -> None:
    """For make and for whoever has activated the environment: DVC unpickles what it finds there."""
    repository.call("make", f"PYTHON={sys.executable}", ".venv/bin/python")
    folder = repository.folder / ".venv/dvc-state"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    ask = ". .venv/bin/activate && echo $DVC_SITE_CACHE_DIR"
    unset = ("env", "-u", "DVC_SITE_CACHE_DIR")
    assert repository.call(*unset, "sh", "-ec", ask) == f"{folder}\n"
    show = "include Makefile\nshow:; @echo $$DVC_SITE_CACHE_DIR\n"
    (repository.folder / "show.mk").write_text(show)
    assert repository.call(*unset, "make", "-f", "show.mk", "show") == f"{folder}\n"


# Without .venv: conda, or a global `pip install .`


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a folder that is nobody's project yet, the current one."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return Project(Path.cwd())


def test_unusable_python_and_folder_are_a_line_each(empty: Project) -> None:
    """A Python of another environment, or of a system that was upgraded below `.venv`."""
    python, digits = ("env", f"PYTHONPATH={ROOT}", sys.executable), ("-m", "digits")
    expected = f"ERROR: {empty.folder}: expected the project's folder, received no dvc.yaml\n"
    assert empty.call(*python, *digits, "recover", status=1) == expected
    (empty.folder / "dvc.yaml").touch()
    said = empty.call(*python, "-S", *digits, "compare", status=1)
    expected = f"ERROR: {sys.executable}: expected the packages of requirements.lock, received no"
    assert said.startswith(expected)
    assert said.count("\n") == 1


def test_stages_run_by_the_python_of_the_command(
    empty: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As after `pip install .`, where no environment is activated and `python` is another's."""
    empty.call("git", "init", "--quiet")
    empty.call("dvc", "init", "--quiet")
    (empty.folder / "dvc.yaml").write_text(STAGE)
    write_program(empty.folder / "bin/python", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("PATH", f"{empty.folder}/bin:/usr/bin:/bin")
    monkeypatch.setenv("SHELL", "/bin/false")  # that of a service's account
    assert run_dvc("repro").status == 0
    assert f"runs by {sys.executable}" in capfd.readouterr().out


def test_experiment_does_not_have_git_forget_a_merge(empty: Project) -> None:
    """DVC would: the merge would be committed with one parent."""
    (empty.folder / "dvc.yaml").touch()
    empty.start_repository().call("git", "update-ref", "MERGE_HEAD", "HEAD")
    with pytest.raises(DigitsError, match="expected no merge under way"):
        run_experiment({"x": 1})
