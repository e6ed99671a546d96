"""The wheel: it has every file of the packages, so that the commands run without a checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from imports import PACKAGES
from projects import copy_checkout


@pytest.mark.nightly
def test_wheel_has_the_files_of_the_packages_and_the_command(tmp_path: Path) -> None:
    source = copy_checkout(tmp_path / "source").folder
    files = {path for package in PACKAGES for path in (source / package).rglob("*.*")}
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path)
    command = (sys.executable, "-m", "pip", "wheel", *options, source)
    subprocess.run(command, cwd=tmp_path, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {source / name for name in archive.namelist() if ".dist-info/" not in name}
        (entries,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        assert b"digits = digits.cli:main" in archive.read(entries)
    assert names == files
