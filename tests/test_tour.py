"""The pages, typed as written: the tour on MNIST, the others on small datasets."""

import os
import re
import shutil
import subprocess
import time
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import publish_mnist
from imports import ROOT
from layouts import LAYOUTS, NAMES, unpack_all, write
from projects import Project, lend_environment, make_project
from test_import import write_sheet
from test_readme import read_blocks, type_block, typed  # noqa: F401 (a fixture)

from digits.data.idx import decode

MIRROR = ROOT.parent / "shared/mnist"
SHOWN = ELLIPSIS | NORMALIZE_WHITESPACE  # `...` stands for any lines

pytestmark = pytest.mark.nightly


@pytest.mark.skipif(not MIRROR.is_dir(), reason="needs MNIST in ../shared/mnist")
def test_tour_can_be_typed_as_written(tmp_path: Path) -> None:
    clone = Project(tmp_path / "digits")
    subprocess.run(["git", "clone", "--quiet", ROOT, clone.folder], check=True)
    clone.identify()
    (tmp_path / "shared").symlink_to(MIRROR.parent)
    (clone.folder / ".venv").symlink_to(ROOT / ".venv")  # its making is not the tour's matter
    os.utime(clone.folder / "requirements.lock", (0, 0))
    page, equal = "".join(read_blocks("docs/tour.md", "console")), False
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", page, re.MULTILINE)
    for number, (command, expected) in enumerate(steps):
        # DVC lists the files of a difference in the order of a set.
        shell = f". .venv/bin/activate; export PYTHONHASHSEED=0; {command}"
        printed = clone.call("sh", "-c", shell)
        # Another kind of processor rounds otherwise, and its numbers are not the page's.
        if equal or number == 0:
            assert OutputChecker().check_output(expected, printed, SHOWN), f"{command}\n{printed}"
        # The decision is made before a test image is opened; then they are, once.
        last = number == len(steps) - 1
        assert printed.count("Running stage 'evaluate'") == last
        if number == 1:
            equal = not clone.call("git", "diff", "--stat", "dvc.lock")
    assert len(steps) == 10


def test_experiments_can_be_typed_as_written(typed: Project) -> None:  # noqa: F811
    one, grid, listing, several, keep = read_blocks("docs/experiments.md", "console")
    try:
        type_block(typed, one)
        type_block(typed, grid)
        deadline = time.monotonic() + 600
        while re.search("Queued|Running", typed.call("dvc", "queue", "status")):
            assert time.monotonic() < deadline
            time.sleep(2)
        listed = type_block(typed, listing)
        assert [listed.count(f"epochs 9 → {epochs}") for epochs in (2, 3)] == [2, 2]
        assert "of 4 pairs" in type_block(typed, several)
        type_block(typed, keep)
        assert "epochs: 4" in typed.call("git", "show", "HEAD:recipes/quick.yaml")
    finally:
        typed.call("dvc", "queue", "stop", "--kill")


def test_troubleshooting_can_be_typed_as_written(typed: Project) -> None:  # noqa: F811
    for block in read_blocks("docs/troubleshooting.md", "console"):
        type_block(typed, block)


def test_data_can_be_typed_as_written(tmp_path: Path) -> None:
    downloads = tmp_path / "Downloads"  # the commands' home is the folder above the project
    project = make_project(tmp_path / "project", "mnist", "cnn_optdigits")
    files = unpack_all(publish_mnist(project))
    write(LAYOUTS["kaggle-nested"](files), downloads / "archive")
    arrays = [decode(files[name]) for name in NAMES]
    table = pd.DataFrame(arrays[0].reshape(-1, 784)).add_prefix("pixel")
    table.assign(label=arrays[1]).to_csv(downloads / "train.csv", index=False)
    keys = ("x_train", "y_train", "x_test", "y_test")
    np.savez(downloads / "mine.npz", allow_pickle=False, **dict(zip(keys, arrays, strict=True)))
    for digit in "0123456789":
        write_sheet(downloads / "my-digits" / digit / "sheet.png", digit * 6, digit * 6)
    lend_environment(project)
    mnist, _, kaggle, own, _ = read_blocks("docs/data.md", "console")
    counts = []
    for block in (mnist, kaggle, own):
        type_block(project, block)
        project.call("git", "add", "datasets")
        counts.append(project.load("data/decoded/dataset.json")["image_counts"])
    assert counts == [
        {"train": train, "validation": validation, "test": test}
        for train, validation, test in ((135, 15, 50), (108, 12, 30), (90, 10, 20))
    ]


@pytest.mark.skipif(not MIRROR.is_dir(), reason="needs MNIST in ../shared/mnist")
def test_handwriting_can_be_taught_as_written(tmp_path: Path) -> None:
    (tmp_path / "shared").symlink_to(MIRROR.parent)
    project = make_project(tmp_path / "project", "mnist", "cnn_optdigits")
    (project.folder / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks/hand.py", project.folder / "benchmarks")
    lend_environment(project)
    project.call("dvc", "repro", "train")
    printed = type_block(project, read_blocks("docs/data.md", "console")[4])
    for images in ("6,000 validation images of mnist", "4 validation images of my-digits"):
        assert f"On the {images}:" in printed
    # Nobody looked at a test image before the last command.
    _, evaluated = printed.split("Running stage 'evaluate'")
    assert "Running stage 'train'" not in evaluated
    assert re.search(r"(?m)^mnist: \d+ errors in 10,000 test images", evaluated)
    assert re.search(r"(?m)^my-digits: \d+ errors in 10 test images", evaluated)
    assert "parts.my-digits.accuracy" in project.call("dvc", "metrics", "show")
