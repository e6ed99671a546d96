"""The wheel: everything that the commands need is in it, and they run without a checkout."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from imports import PACKAGES, ROOT
from projects import copy_checkout

from digits.cli import COMMANDS

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
)
SHOW_FILES = f"""
import importlib
from digits.commands.export import command as export
from digits.commands.report import command as report
from digits.commands.demo.server import FILES, PAGE_DIR

page = [PAGE_DIR / name for name in FILES]
for path in (*(module.TEMPLATE_PATH for module in (export, report)), *page):
    assert path.is_file(), path
for name in {MODULES}:
    print(importlib.import_module(name).__file__)
"""


def run(*command: object, cwd: Path) -> str:
    """Run a command that sees no checkout; return what it prints."""
    words = ["env", "-u", "PYTHONPATH", *map(str, command)]
    return subprocess.check_output(words, cwd=cwd, text=True)


@pytest.mark.nightly
def test_wheel_has_all_that_runs_without_a_checkout(tmp_path: Path) -> None:
    source = copy_checkout(tmp_path / "source").folder
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path)
    run(sys.executable, "-m", "pip", "wheel", *options, source, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)

    fresh = tmp_path / "fresh"
    run(sys.executable, "-m", "venv", "--without-pip", fresh, cwd=tmp_path)
    python = fresh / "bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    # The libraries are borrowed: they come after the environment's own packages.
    (packages,) = fresh.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    assert set(COMMANDS) <= set(run(fresh / "bin/digits", "--help", cwd=tmp_path).split())
    files = run(python, "-c", SHOW_FILES, cwd=tmp_path).splitlines()
    assert len(files) == len(MODULES)
    assert [name for name in files if not Path(name).is_relative_to(packages)] == []
