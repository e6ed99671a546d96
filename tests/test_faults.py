"""Faults in the middle of a run: the next `dvc repro` ends in the bytes of an undisturbed one.

Every output passes one atomic writer (test_artifacts.py): so the slow core kills each stage once,
and tries the other faults on one.
"""

import gzip
import os
import shutil
import signal
from pathlib import Path

import pytest
from conftest import publish_mnist
from faults import holding, unprivileged
from layouts import write
from projects import Project, list_runs, make_project, select

# The output that is being written when the fault comes. The first outputs of train are checkpoint,
# history and metrics at its start, then the same of each epoch.
MIDDLE = {"fetch": 2, "decode": 3, "train": 7, "evaluate": 5, "analyze": 3}
FOLDERS = {
    "fetch": "data/raw",
    "decode": "data/decoded/train",
    "train": "models",
    "evaluate": "plots",
    "analyze": "plots",
}
KILL, TERMINATE, INTERRUPT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
SLOW, NIGHTLY = pytest.mark.slow, pytest.mark.nightly

each_stage = pytest.mark.parametrize(
    "stage",
    [pytest.param(stage, marks=SLOW if stage == "decode" else NIGHTLY) for stage in MIDDLE],
)
each_end = pytest.mark.parametrize(
    ("stage", "victim", "number"),
    [
        pytest.param(
            *(stage, victim, number),
            marks=SLOW if (victim, number) == ("stage", KILL) or stage == "decode" else NIGHTLY,
        )
        for stage in MIDDLE
        for victim, number in (
            *(("stage", KILL), ("stage", TERMINATE), ("dvc", KILL), ("dvc", TERMINATE)),
            ("both", INTERRUPT),  # as a terminal does on Ctrl-C
        )
    ],
)


@pytest.fixture
def project(stage: str, trained: Project, tmp_path: Path) -> Project:
    """Return a copy whose cache does not have the stage's results: DVC would spare it the run."""
    project = trained.copy(tmp_path / "project")
    folder = project.folder
    shutil.rmtree(folder / ".dvc/cache/runs")
    for out in project.list_outs(stage):
        digest = out["md5"]
        (folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).unlink(missing_ok=True)
    if stage == "fetch":  # DVC leaves its output in place, and it would have nothing to do
        for path in (folder / "data/raw").iterdir():
            path.unlink()
    return project


@each_end
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


@each_stage
@pytest.mark.parametrize("reason", ["[Errno 13] Permission denied", "[Errno 27] File too large"])
def test_no_room_for_an_output(stage: str, reason: str, trained: Project, tmp_path: Path) -> None:
    """A folder that is read-only; a quota of 100 KiB a file, which is full in the middle of one."""
    project = trained.copy(tmp_path / "project")
    folder = project.folder / FOLDERS[stage]
    if stage == "fetch":  # it writes what is not there
        for path in folder.iterdir():
            path.unlink()
    before = project.read_results()
    if "Permission" in reason:
        folder.chmod(0o555)
        limit = unprivileged()
    else:
        limit = ["sh", "-c", 'ulimit -f 200 && exec "$@"', "sh"]
    said = project.call(*limit, "python", "-m", f"pipeline.{stage}", status=os.EX_IOERR)
    folder.chmod(0o755)
    assert said.splitlines()[-1].startswith(f"ERROR: {reason}: '")
    assert "Traceback" not in said
    after = project.read_results()
    after.pop("models/checkpoint.json", None)  # a training goes on from its last epoch
    assert after == before


@pytest.mark.parametrize(
    "number", [pytest.param(KILL, marks=SLOW), pytest.param(INTERRUPT, marks=NIGHTLY)]
)
def test_only_copies_survive(number: signal.Signals, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "mnist", "quick")
    files = {path.name: path.read_bytes() for path in publish_mnist(project).iterdir()}
    data_dir = project.folder / "data"
    write(files | {"notes.txt": b"mine"}, data_dir / "raw")
    with holding(project, "fetch", 2) as held:
        held.end("both", number)
    for _ in range(2):  # after the fault, and after the next run
        found = [path.read_bytes() for path in data_dir.rglob("*.gz")]
        assert sorted(found) == sorted(files.values())
        assert [path.read_bytes() for path in data_dir.rglob("notes.txt")] == [b"mine"]
        project.call("dvc", "repro", "fetch")

    def read_raw() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (data_dir / "raw").glob("[!.]*")}

    stored = {name.removesuffix(".gz"): gzip.decompress(packed) for name, packed in files.items()}
    assert read_raw() == stored
    # Another dataset takes their place, since DVC's cache has them, and gives them back.
    shutil.rmtree(data_dir / "originals")
    for dataset in ("optdigits", "mnist"):
        select(project.folder / "params.yaml", dataset, "quick")
        project.call("dvc", "repro", "fetch")
    assert read_raw() == stored
