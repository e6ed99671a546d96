"""docs/security.md: what is pulled runs nothing and stays inside, whoever else uses the machine."""

import hashlib
import json
import os
import pickle
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from argparse import Namespace
from contextlib import closing
from pathlib import Path

import pytest
import sharing
from imports import ROOT
from projects import Project
from pydantic import ValidationError
from ruamel.yaml import YAML
from runs import make_machine, make_published, make_run

from digits.commands import docs, pr_report, state
from digits.commands.markdown import escape
from digits.commands.outputs import check_outputs
from digits.commands.places import PlaceError, check_page, check_shown
from digits.commands.standings import Entry, write_markdown
from digits.commands.state import StateError
from digits.config import ConfigError
from digits.data import datasets
from digits.data.splits import Card
from digits.dvc.git import is_tracked_link
from digits.errors import DigitsError

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


@pytest.mark.parametrize("variable", ["HOME", *state.USERS[:2], *state.SYSTEMS])
def test_settings_that_dvc_cannot_open_are_named(
    variable: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC would end in a traceback; by the way out that is said, all is well."""
    for name in (*state.USERS[:2], *state.SYSTEMS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "/dev/null/x")
    with pytest.raises(StateError) as raised:
        state.keep_private()
    assert str(raised.value).startswith(f"{variable}: expected a folder in which DVC may look for ")
    assert "received 'Not a directory': `export " in str(raised.value)
    monkeypatch.setenv(variable, str(home))  # what `mktemp -d` makes
    state.keep_private()


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


# What a branch names, and what docs/security.md has people type


@pytest.fixture
def branch(trained: Project, tmp_path: Path) -> Project:
    """Return a checkout of somebody's branch."""
    return trained.copy(tmp_path / "project")


def refuse(project: Project, command: str = "pull") -> str:
    """Run a command that refuses the branch; return its only line."""
    said = project.call("python", "-m", "digits", *command.split(), status=1)
    (line,) = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    assert "Traceback" not in said
    return line


def plant(folder: Path, data: bytes, suffix: str = "") -> str:
    """Put an object into the project's cache; return its name."""
    oid = hashlib.md5(data, usedforsecurity=False).hexdigest()
    path = folder / ".dvc/cache/files/md5" / oid[:2] / (oid[2:] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return oid + suffix


def track(project: Project, out: str, name: str = "evil.dvc") -> None:
    """Write a `.dvc` file that names an executable output."""
    oid = plant(project.folder, b"#!/bin/sh\ntouch ran\n")
    entry = {"path": out, "md5": oid, "hash": "md5", "isexec": True}
    (project.folder / name).parent.mkdir(exist_ok=True)
    (project.folder / name).write_text(json.dumps({"outs": [entry]}))


HOOK = ".git/hooks/pre-commit"


@pytest.mark.parametrize(
    "out", ["../x", "/opt/digits-x", HOOK, ".GIT/hooks/x", ".g\u200cit/x", ".dvc/x", ".venv/bin/x"]
)
def test_output_elsewhere_is_not_pulled(out: str, branch: Project) -> None:
    track(branch, out)
    line = refuse(branch)
    ignored = out.startswith((".git", ".dvc", ".venv"))  # by .dvcignore: DVC says so itself
    assert f"{out}' is ignored" in line if ignored else line.endswith(f"received {out!r}")
    assert "evil.dvc" in line or ignored
    assert not (branch.folder / out).exists()
    if out == "../x":
        assert refuse(branch, "repro") == line


def test_output_of_a_stage_elsewhere_is_refused(branch: Project) -> None:
    kept = branch.folder.parent / "kept"
    kept.write_text("mine")
    stages = branch.folder / "dvc.yaml"
    text = stages.read_text()
    stages.write_text(
        text.replace("stages:\n", "stages:\n  own:\n    cmd: x\n    outs: [../kept]\n")
    )
    line = refuse(branch)
    assert line.startswith("ERROR: dvc.yaml: expected outputs in this project, outside of ")
    assert refuse(branch, "repro") == line
    # As our commands have DVC run an experiment.
    module = "digits.commands.masked_dvc"
    assert branch.call("python", "-m", module, "exp", "run", status=1) == f"{line}\n"
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("place", ["hooks", "deep/hooks", "data/raw/hooks", "data/raw"])
def test_committed_link_is_not_written_through(place: str, branch: Project) -> None:
    """Also where the output is the link, or a folder with the link in it."""
    link = branch.folder / place
    shutil.rmtree(link, ignore_errors=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(branch.folder / ".git/hooks")
    branch.call("git", "add", "--force", place)
    if not place.startswith("data"):
        track(branch, f"{place}/pre-commit")
    assert "expected outputs in this project" in refuse(branch)
    assert not (branch.folder / HOOK).exists()
    assert len(list((branch.folder / ".git/hooks").glob("*-ubyte"))) == 0


@pytest.mark.parametrize("name", [f"../{HOOK}", "../../x", "sub/.Git/hooks/x", "a//b"])
def test_list_of_a_folder_names_nothing_elsewhere(name: str, branch: Project) -> None:
    oid = plant(branch.folder, b"#!/bin/sh\n")
    entries = [{"md5": oid, "relpath": "a"}, {"md5": oid, "relpath": name, "isexec": True}]
    listed = plant(branch.folder, json.dumps(entries).encode(), ".dir")
    out = {"path": "own", "md5": listed, "hash": "md5", "nfiles": 2}
    (branch.folder / "own.dvc").write_text(json.dumps({"outs": [out]}))
    assert refuse(branch).endswith(f"received 'own/{name}'")
    assert not (branch.folder / "own").exists()
    assert not (branch.folder / HOOK).exists()


@pytest.mark.slow
def test_compare_writes_nothing_elsewhere(branch: Project, tmp_path: Path) -> None:
    lock = branch.folder / "dvc.lock"
    (out,) = re.findall(r"- path: data/predictions/test\n.*\n\s+md5: (\S+)", lock.read_text())[:1]
    listed = branch.folder / ".dvc/cache/files/md5" / out[:2] / out[2:]
    entries = json.loads(listed.read_bytes())
    entries.append({"md5": entries[0]["md5"], "relpath": "../../digits-x"})
    lock.write_text(
        lock.read_text().replace(out, plant(branch.folder, json.dumps(entries).encode(), ".dir"))
    )
    branch.commit("evil")
    (tmp_path / "temporary").mkdir()
    branch.call(
        "env",
        f"TMPDIR={tmp_path / 'temporary'}",
        "python",
        "-m",
        "digits",
        "compare",
        "HEAD",
        "HEAD",
    )
    assert list((tmp_path / "temporary").iterdir()) == []
    assert list(tmp_path.rglob("digits-x")) == []


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("['remote \"team\"']\nurl = webdavs://x\nbearer_token_command = touch ran\n", "bearer"),
        ("['remote \"team\"']\nurl = s3://x/y\nconfigpath = evil.ini\n", "configpath"),
        ("[cache]\ndir = ../../elsewhere\n", "cache.dir, .*/elsewhere'"),
    ],
)
def test_settings_of_a_branch_run_nothing(setting: str, reason: str, branch: Project) -> None:
    (branch.folder / ".dvc/config").write_text(f"[core]\nremote = team\n{setting}")
    assert re.match(rf"ERROR: \.dvc/config: .*expected no {reason}", refuse(branch))
    assert not (branch.folder / "ran").exists()


@pytest.mark.slow
def test_own_outputs_and_linked_caches_are_fine(branch: Project, tmp_path: Path) -> None:
    track(branch, "tool", "own/tool.dvc")
    branch.call("dvc", "push")
    (branch.folder / ".dvc/cache").rename(tmp_path / "lab")
    branch.call("dvc", "cache", "dir", "--local", str(tmp_path / "lab"))
    branch.call("dvc", "config", "--local", "cache.type", "symlink")
    branch.call("dvc", "checkout", "--relink")
    branch.call("python", "-m", "digits", "pull")
    assert (branch.folder / "models/model.keras").is_symlink()
    assert (branch.folder / "own/tool").is_symlink()


def read_commands() -> list[str]:
    """Return the commands of docs/security.md, those of a block in one text."""
    page = (ROOT / "docs/security.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return ["\n".join(re.findall(r"^\$ (.*)", block, re.MULTILINE)) for block in blocks]


def test_branch_is_pulled_without_its_code(branch: Project, tmp_path: Path) -> None:
    """As docs/security.md has it, with the checkout that is trusted in the user's home."""
    pull, _ = read_commands()
    python = tmp_path / "digits/.venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "digits/digits").symlink_to(ROOT / "digits")
    branch.call("dvc", "push")
    shutil.rmtree(branch.folder / "models")
    for path in ("digits/__main__.py", "digits/commands/masked_dvc.py", "dvc.py", "Makefile"):
        (branch.folder / path).write_text("open('ran', 'w')\n")
    branch.call("sh", "-ec", pull)
    assert (branch.folder / "models/model.keras").exists()
    assert not (branch.folder / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["plots/curves.png", "metrics/evaluate.json", "params.yaml"])
def test_links_are_not_shown(place: str, branch: Project, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"password": "hunter2"}')
    (branch.folder / place).unlink()
    (branch.folder / place).symlink_to(secret)
    branch.call("git", "add", place)
    reason = f"ERROR: {place}: expected a file of this project, received a link to {secret}"
    assert refuse(branch, "report") == refuse(branch, "docs") == reason
    assert "expected dvc.lock and the metrics" in refuse(branch, "pr-report HEAD")
    pages = [path for path in (branch.folder / "report").rglob("*") if path.is_file()]
    assert [path.name for path in pages] == ["pull-request.md"]
    assert "received a link to" in pages[0].read_text()
    assert "hunter2" not in pages[0].read_text()


def test_link_of_ones_own_to_data_elsewhere_is_followed(branch: Project, tmp_path: Path) -> None:
    """DVC works through it, and no branch has brought it: Git does not track it."""
    raw = branch.folder / "data/raw"
    raw.rename(tmp_path / "raw")
    raw.symlink_to(tmp_path / "raw")
    branch.call("dvc", "push")
    branch.call("python", "-m", "digits", "pull")
    assert branch.call("dvc", "repro").endswith("Data and pipelines are up to date.\n")
    assert raw.is_symlink()
    branch.call("git", "add", "--force", "data/raw")
    assert refuse(branch).endswith(f"received 'data/raw, a link to {tmp_path / 'raw'}'")


def test_link_of_a_submodule_is_none_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer, inner = (Project(tmp_path / name) for name in ("outer", "outer/inner"))
    for project in (outer, inner):
        project.folder.mkdir()
        project.call("git", "init", "--quiet")
    for name in ("tracked", "own"):
        (inner.folder / name).symlink_to(tmp_path)
    inner.call("git", "add", "tracked")
    monkeypatch.chdir(outer.folder)
    assert is_tracked_link(Path("inner/tracked"))
    assert not is_tracked_link(Path("inner/own"))
    (inner.folder / ".git/index").write_bytes(b"damaged")
    assert is_tracked_link(Path("inner/own"))  # nobody knows whose it is


@pytest.mark.parametrize("name", ["data", "models", "plots"])
def test_folder_behind_a_link_of_ones_own_has_a_way_out(
    name: str, branch: Project, tmp_path: Path
) -> None:
    """DVC runs the stages, then fails; and Git would commit the link in place of the files."""
    (branch.folder / name).rename(tmp_path / name)
    (branch.folder / name).symlink_to(tmp_path / name)
    line = refuse(branch, "report" if name == "plots" else "repro")
    advice = re.search(r", by a link of your own, .*: `(.*)`; docs/sharing", line)
    assert advice, line
    branch.call("sh", "-ec", advice[1])
    (tmp_path / "big").mkdir()
    for command in sharing.read_commands(
        "Data on another disk", {"/mnt/big": str(tmp_path / "big")}
    ):
        branch.call(*command)
    branch.call("dvc", "push")
    branch.call("python", "-m", "digits", "pull")
    assert (branch.folder / "models/model.keras").resolve().is_relative_to(tmp_path / "big")


SHOWN = {
    "metrics": "metrics: [{0}]",
    "params": "params: [{0}]",
    "params-of-a-stage": "stages: {{own: {{cmd: x, params: [{{{0}: [password]}}]}}}}",
    "vars": 'vars: ["{0}"]\nstages: {{own: {{cmd: "x ${{password}}"}}}}',
    "plots": "plots: [{0}]",
    "x-of-a-plot": "plots: [a: {{x: {{{0}: password}}, y: b}}]",
    "y-of-a-plot": "plots: [a: {{x: b, y: {{{0}: password}}}}]",
}


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, a repository with nothing but links to a file above it."""
    folder = tmp_path / "project"
    (folder / ".dvc").mkdir(parents=True)
    (folder / "own.yaml").write_text("password: 1\n")
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (folder / "up").symlink_to(tmp_path)
    Project(folder).call("git", "init", "--quiet")
    Project(folder).identify()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("place", SHOWN)
def test_numbers_and_plots_elsewhere_are_not_shown(place: str, shown: Path) -> None:
    """Of what DVC itself would read, which is by links and `vars`, and of what it would not."""
    for name in ("link.yaml", "up/secret.yaml", "../secret.yaml", shown.parent / "secret.yaml"):
        (shown / "dvc.yaml").write_text(SHOWN[place].format(name))
        with pytest.raises(PlaceError, match=r"/secret\.yaml'$") as raised:
            check_outputs()
        assert "expected metrics, plots and params in files of this project" in str(raised.value)
        assert "hunter2" not in str(raised.value)
    (shown / "dvc.yaml").write_text(SHOWN[place].format("own.yaml"))
    check_outputs()


@pytest.mark.parametrize("name", ["config.local", "Config.local", "cache", "tmp/rwlock", "link"])
def test_what_is_a_persons_own_is_none_of_the_branch(name: str, shown: Path) -> None:
    """Its remote would name a command; files of a cache that is a link would be shown."""
    (shown / ".dvc/config").touch()
    path = shown / ".dvc" / name
    path.parent.mkdir(exist_ok=True)
    if name in ("cache", "link"):
        path.symlink_to(shown.parent)
    else:
        path.write_text("{}" if "tmp" in name else "")
    check_outputs()  # it is nobody else's
    subprocess.run(["git", "add", "--force", f".dvc/{name}"], check=True)
    with pytest.raises(PlaceError, match=rf"^'\.dvc/{name}': expected none in Git, "):
        check_outputs()


@pytest.mark.parametrize("template", ["../../secret.yaml", "config.local", "plots/link", ""])
def test_page_of_plots_holds_no_file_from_elsewhere(template: str, shown: Path) -> None:
    (shown / ".dvc/plots").mkdir()
    (shown / ".dvc/plots/link").symlink_to(shown.parent / "secret.yaml")
    setting = f"[plots]\nhtml_template = {template or 'plots/page.html'}\n"
    (shown / ".dvc/config").write_text(setting)
    if template:
        with pytest.raises(PlaceError, match=r"expected a plots\.html_template of this project"):
            check_outputs()
    else:
        check_outputs()


def test_page_is_not_written_where_a_link_leads(shown: Path) -> None:
    (shown / "report").symlink_to(shown.parent)
    (shown.parent / "plots").mkdir()
    for name in ("plots/index.html", "pull-request.md"):
        with pytest.raises(PlaceError, match="expected a place in this project, received '/"):
            check_page(Path("report") / name)
    subprocess.run(["git", "commit", "--quiet", "--allow-empty", "-m", "x"], check=True)
    with pytest.raises(PlaceError):
        pr_report.main(Namespace(base="HEAD"))
    assert (shown.parent / "plots").is_dir()


@pytest.mark.parametrize("text", ["outs: [{path: ../x}]", "outs: [{path: "])
def test_name_that_a_terminal_obeys_is_written_out(text: str, shown: Path) -> None:
    folder = shown / "e\x1b[2J"
    folder.mkdir()
    (folder / "a.dvc").write_text(text)
    with pytest.raises(DigitsError, match=r"e\\x1b\[2J/a\.dvc") as raised:
        check_outputs()
    assert str(raised.value).isprintable()


def test_state_of_plain_dvc_is_private_as_written(shown: Path, tmp_path: Path) -> None:
    _, make = read_commands()
    script = f'umask 0\n{make}\npython -c "{ASK}"'
    home = ("env", "-u", state.VARIABLE, f"HOME={tmp_path / 'home'}")
    used = Path(Project(shown).call(*home, "sh", "-ec", script).strip())
    assert used.parents[1] == tmp_path / "home/.cache/digits-dvc"
    assert stat.S_IMODE(used.parents[1].stat().st_mode) == 0o700


# What a branch says


CARD = {"name": "x", "title": "x", "class_names": ["a", "b"], "image_counts": {}}
EVIL = "a|b`<img src=x>`[c](http://d)@e\\"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "a\nb", "\u202eb", "\x9b2J"])
def test_text_that_a_terminal_obeys_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = YAML(typ="safe").load(ROOT / "datasets/fashion-mnist.yaml")
    monkeypatch.setattr(datasets, "DATASETS_DIR", tmp_path)
    for change in ({"title": text}, {"class_names": [text, *facts["class_names"][1:]]}):
        (tmp_path / "own.yaml").write_text(json.dumps(facts | change))
        with pytest.raises(ConfigError, match="control character") as raised:
            datasets.load_dataset("own")
        assert str(raised.value).isprintable()
        with pytest.raises(ValidationError, match="control characters"):
            Card.model_validate(CARD | change)


def test_link_that_a_terminal_obeys_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/a\x1b[2J").symlink_to("../../\x1b[2J")
    with pytest.raises(PlaceError, match=r"'plots/a\\x1b.*link to '\.\./\.\./\\x1b") as raised:
        check_shown()
    assert str(raised.value).isprintable()


def test_leaderboard_shows_names_and_no_more() -> None:
    entry = Entry(published=EVIL, note=None, seeds=[0, 1])
    run = make_run(recipe=EVIL, machine=make_machine(processor=EVIL, tensorflow=EVIL))
    older = run.model_copy(update={"inputs": "f" * 64})
    others = [make_published(name=EVIL, protocol=EVIL)]
    page = write_markdown([run, older], [run.inputs], {EVIL: entry}, others, EVIL)
    # Title, twice name, published, processor and library; what is missing; use; name and protocol.
    assert page.count(escape(EVIL)) == 1 + 2 * 4 + 1 + 1 + 2
    assert EVIL not in page
    assert "<img" not in page
    row = docs.shorten_leaderboard(page).splitlines()[2]
    assert [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:3]] == [escape(EVIL)] * 2


def test_comment_is_cut_by_bytes() -> None:
    page = pr_report.cut("a" + "é" * 50_000)
    assert len(page.encode()) <= 65_536
    assert page.endswith(f"é{pr_report.CUT}")
    assert pr_report.cut("é" * 30_000) == "é" * 30_000
