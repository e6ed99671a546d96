"""The guided tour, typed as written in a fresh clone: every command works, every output matches."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from imports import ROOT

TOUR = (ROOT / "docs/tour.md").read_text()
MIRROR = ROOT.parent / "shared/mnist"
ELISION = "..."  # on a line of its own: any lines


def read_steps(page: str) -> list[tuple[str, list[str]]]:
    """Read commands and what they print from the console blocks of a page."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


def squeeze(line: str, *, exact: bool) -> str:
    """Leave out what differs between terminals, and numbers unless they must be exact."""
    line = re.sub(r"\b[0-9a-f]{7} \[", "HASH [", " ".join(line.split()))  # of an experiment
    return line if exact else re.sub(r"[-+]?[\d.]+(e-\d+)?", "N", line)


def matches(expected: list[str], printed: str, *, exact: bool) -> bool:
    parts = [
        r"(?:.*\n)*?" if line == ELISION else re.escape(squeeze(line, exact=exact)) + r"\n"
        for line in expected
    ]
    lines = "".join(squeeze(line, exact=exact) + "\n" for line in printed.splitlines())
    return re.fullmatch("".join(parts), lines) is not None


def test_output_is_matched_line_by_line() -> None:
    assert matches(["a  1", "...", "b"], "a 1\nx\ny\nb\n", exact=True)
    assert not matches(["a 1"], "a 2\n", exact=True)
    assert matches(["a 1"], "a 2.5\n", exact=False)
    assert not matches(["a"], "a\nb\n", exact=True)


def test_tour_has_ten_commands() -> None:
    assert len(read_steps(TOUR)) == 10


@pytest.mark.nightly
@pytest.mark.skipif(not MIRROR.is_dir(), reason="needs MNIST in ../shared/mnist")
def test_tour_can_be_typed_as_written(tmp_path: Path) -> None:
    clone = tmp_path / "digits"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    (tmp_path / "shared").symlink_to(ROOT.parent / "shared")
    (clone / ".venv").symlink_to(ROOT / ".venv")  # its making is not the tour's matter
    os.utime(clone / "requirements.lock", (0, 0))
    environment = {
        **os.environ,
        "PATH": f"{clone}/.venv/bin{os.pathsep}{os.environ['PATH']}",
        "SHELL": "/bin/sh",
        "HOME": str(tmp_path),
        "COLUMNS": "120",
        "PYTHONHASHSEED": "0",  # DVC lists the files of a difference in the order of a set
        **{f"GIT_{role}_NAME": "Test" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "test@localhost" for role in ("AUTHOR", "COMMITTER")},
    }
    exact = False
    steps = read_steps(TOUR)
    for number, (command, expected) in enumerate(steps):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=clone,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        # Another processor rounds otherwise; other classes, metrics, verdicts may come of it:
        # the page's output is that of one like the committed results' own.
        if exact or number <= 1:
            assert matches(expected, done.stdout, exact=exact), f"$ {command}\n{done.stdout}"
        # The decision is made before a test image is opened; then they are, once.
        last = number == len(steps) - 1
        assert done.stdout.count("Running stage 'evaluate'") == last
        assert (clone / "data/predictions/test").exists() == last
        if number == 1:
            lock = subprocess.run(["git", "diff", "--quiet", "dvc.lock"], cwd=clone, check=False)
            exact = lock.returncode == 0
