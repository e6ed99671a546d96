"""docs/security.md: what is pulled runs nothing and stays inside, whoever else uses the machine."""

import os
import pickle
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from projects import Project

from digits.commands import state
from digits.commands.state import StateError

# DVC's state


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's home, DVC's folder not chosen."""
    for name in (state.VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_state_lies_in_a_private_folder_of_the_user(home: Path) -> None:
    before = os.umask(0)
    try:
        state.keep_private()
    finally:
        os.umask(before)
    folder = home / ".cache/digits-dvc"
    assert os.environ.pop(state.VARIABLE) == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert state.make_folder() == folder  # the next command finds it


def test_chosen_folder_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = home / "a/b"
    monkeypatch.setenv(state.VARIABLE, str(chosen))
    state.keep_private()
    assert os.environ[state.VARIABLE] == str(chosen)
    assert stat.S_IMODE(chosen.stat().st_mode) == 0o700  # DVC would have made it 0777
    chosen.chmod(0o770)
    state.keep_private()
    assert [path.name for path in home.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["/proc/self", "/dev/null"])
def test_without_a_home_it_lies_among_temporary_files(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", name)  # not even root makes a folder there
    folder = state.make_folder()
    assert folder == home.parent / f"digits-dvc-{os.geteuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_folder_that_others_may_write_is_refused(mode: int, home: Path) -> None:
    folder = home / ".cache/digits-dvc"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    with pytest.raises(StateError, match=rf"digits-dvc: expected .* received mode {mode:04o}: "):
        state.make_folder()


def test_folder_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / ".cache/digits-dvc"
    folder.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(StateError, match="received one of user "):
        state.make_folder()


def test_planted_link_is_refused(home: Path) -> None:
    (home / ".cache").mkdir()
    (home / "mine").mkdir(mode=0o700)
    (home / ".cache/digits-dvc").symlink_to(home / "mine")
    with pytest.raises(StateError, match="received a link or a file"):
        state.make_folder()


class Exploit:
    """What another user puts into DVC's state."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def poison(folder: Path, exploit: Exploit) -> int:
    """Put it in place of a name in the list of links, which DVC reads at each checkout."""
    update = "UPDATE Cache SET key = ?, raw = 0 WHERE rowid IN (SELECT min(rowid) FROM Cache)"
    with closing(sqlite3.connect(folder / "links/cache.db")) as database, database:
        return database.execute(update, (pickle.dumps(exploit),)).rowcount


OPEN = ("env", f"{state.VARIABLE}=")  # as DVC is by itself: in /var/tmp/dvc
ASK = "from dvc.repo import Repo; print(Repo().site_cache_dir)"


def test_state_that_everybody_may_write_is_not_read(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "project")
    project.call("dvc", "push")
    shutil.rmtree(project.folder / "models")
    project.call(*OPEN, "dvc", "checkout")
    everybodys, mark = Path(project.call(*OPEN, "python", "-c", ASK).strip()), tmp_path / "mark"
    try:
        assert poison(everybodys, Exploit(mark))
        project.call(*OPEN, "python", "-m", "digits", "pull")
        assert not mark.exists()
        subprocess.run([*OPEN, "dvc", "checkout"], cwd=project.folder, check=False)
        assert mark.exists()  # which is what plain DVC is open to
    finally:
        shutil.rmtree(everybodys)
