"""docs/own-digits.md, typed: fifty drawings are added to MNIST, compared and scored apart.

The network is a small one, and its numbers are not the page's.
"""

import re
import shutil
from pathlib import Path

import pytest
from imports import ROOT
from projects import Project, make_project
from test_tour import MIRROR, read_steps

PAGE = ROOT / "docs/own-digits.md"


@pytest.mark.nightly
def test_own_digits_can_be_taught_as_written(tmp_path: Path) -> None:
    (tmp_path / "shared").symlink_to(MIRROR.parent)
    project: Project = make_project(tmp_path / "project", "mnist", "cnn_optdigits")
    (project.folder / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks/hand.py", project.folder / "benchmarks")
    project.call("dvc", "repro", "train")
    said = {}
    for command, _ in read_steps(PAGE.read_text()):
        said[command] = project.call("/bin/sh", "-c", command)
    printed = [*said.values()]
    assert printed[1].count("data/drawings/1/") == 25
    assert "1: 20 + 5, 7: 20 + 5" in printed[2]
    compared = next(text for command, text in said.items() if " compare " in command)
    for images in ("6,000 validation images of mnist", "4 validation images of my-digits"):
        assert f"On the {images}:" in compared
    evaluated = said["dvc repro"]
    assert "Running stage 'train'" not in evaluated
    assert re.search(r"^mnist: \d+ errors in 10,000 test images", evaluated, re.MULTILINE)
    assert re.search(r"^my-digits: \d+ errors in 10 test images", evaluated, re.MULTILINE)
    parts = project.load("metrics/evaluate.json")["parts"]
    assert isinstance(parts, dict)
    assert {name: part["image_count"] for name, part in parts.items()} == {
        "mnist": 10_000,
        "my-digits": 10,
    }
    # Nobody looked at a test image before.
    assert sum("Running stage 'evaluate'" in text for text in printed) == 1
    assert (project.folder / "data/seen.png").is_file()
    shown = project.call("dvc", "metrics", "show")
    assert "parts.my-digits.accuracy" in shown
    project.call("python", "-m", "digits", "report")
    report = (project.folder / "report/index.html").read_text()
    assert "test images of my-digits" in report
