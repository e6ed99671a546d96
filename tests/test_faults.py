"""Kills in the middle of a run: the next `dvc repro` ends in the bytes of an undisturbed one.

Every output passes one atomic writer (test_artifacts.py has its faults, a full disk among them): so
the slow core kills each stage once, and ends one in every other way.
"""

import gzip
import shutil
import signal
from pathlib import Path

import pytest
from conftest import publish_mnist
from faults import holding
from layouts import write
from projects import Project, list_runs, make_project

# The output that is being written when the fault comes. The first outputs of train are checkpoint,
# history and metrics at its start, then the same of each epoch.
MIDDLE = {"fetch": 2, "decode": 3, "train": 7, "evaluate": 5, "analyze": 3}
KILL, TERMINATE, INTERRUPT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
SLOW, NIGHTLY = pytest.mark.slow, pytest.mark.nightly

# The first is the one that the slow core has of each stage; of `decode` it has all.
ENDS = (
    *(("stage", KILL), ("stage", TERMINATE), ("dvc", KILL), ("dvc", TERMINATE)),
    ("both", INTERRUPT),  # as a terminal does on Ctrl-C
)


@pytest.fixture
def project(stage: str, trained: Project, tmp_path: Path) -> Project:
    """Return a copy whose cache does not have the stage's results: DVC would spare it the run."""
    project = trained.copy(tmp_path / "project")
    shutil.rmtree(project.folder / ".dvc/cache/runs")
    objects = project.folder / ".dvc/cache/files/md5"
    for digest in (out["md5"] for out in project.list_outs(stage)):
        (objects / digest[:2] / digest[2:]).unlink(missing_ok=True)
    if stage == "fetch":  # DVC leaves its output in place, and it would have nothing to do
        shutil.rmtree(project.folder / "data/raw")
    return project


@pytest.mark.parametrize(
    ("stage", "victim", "number"),
    [
        pytest.param(stage, *end, marks=SLOW if end == ENDS[0] or stage == "decode" else NIGHTLY)
        for stage in MIDDLE
        for end in ENDS
    ],
)
def test_ended(
    stage: str, victim: str, number: signal.Signals, project: Project, trained: Project
) -> None:
    with holding(project, stage, MIDDLE[stage]) as held:
        said = held.end(victim, number)
    if number == INTERRUPT:
        assert said.count("ERROR: interrupted\n") == 1
        assert "Traceback" not in said
        assert not list(project.folder.glob("[dmp]*/**/.*.tmp"))
    said = project.call("dvc", "repro")
    assert list_runs(said) == [stage]
    assert ("resuming after epoch 1\n" in said) == (stage == "train")
    assert project.read_results() == trained.read_results()


@pytest.mark.slow
def test_only_copies_survive(tmp_path: Path) -> None:
    """Through DVC, which removes most outputs before their stage; test_raw_store has the rest."""
    project = make_project(tmp_path / "project", "mnist", "quick")
    files = {path.name: path.read_bytes() for path in publish_mnist(project).iterdir()}
    data_dir = project.folder / "data"
    write(files | {"notes.txt": b"mine"}, data_dir / "raw")
    with holding(project, "fetch", 2) as held:
        held.end("both", KILL)
    for _ in range(2):  # after the fault, and after the next run
        found = [path.read_bytes() for path in data_dir.rglob("*.gz")]
        assert sorted(found) == sorted(files.values())
        assert [path.read_bytes() for path in data_dir.rglob("notes.txt")] == [b"mine"]
        project.call("dvc", "repro", "fetch")
    stored = {name.removesuffix(".gz"): gzip.decompress(packed) for name, packed in files.items()}
    assert {path.name: path.read_bytes() for path in (data_dir / "raw").glob("[!.]*")} == stored
