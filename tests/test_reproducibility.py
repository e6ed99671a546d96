"""Twice from scratch, with one thread and with several: every file the same, byte for byte."""

import re
from argparse import Namespace
from pathlib import Path

import pytest
from projects import Project, make_project

from digits.commands import verify
from digits.commands.verify import describe_differences, digest_files, list_results


def test_differences_are_said_file_by_file() -> None:
    same, changed, gone, new = (Path(name) for name in ("same", "changed", "gone", "new"))
    first = {same: "0" * 64, changed: "1" * 64, gone: "2" * 64}
    second = {same: "0" * 64, changed: "3" * 64, new: "4" * 64}
    assert describe_differences(first, second) == [
        "changed: SHA-256 111111111111, then 333333333333",
        "gone: made by the first run only",
        "new: made by the second run only",
    ]
    assert describe_differences(first, first) == []


@pytest.mark.parametrize(("again", "status"), [("0", 0), ("1", 1)], ids=["same", "other"])
def test_exit_status(
    again: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(bytes(1234))
    runs = iter([{path: "0"}, {path: again}])
    monkeypatch.setattr(verify, "reproduce", lambda: next(runs))
    with pytest.raises(SystemExit) as leaving:
        verify.verify_reproducible(Namespace())
    assert leaving.value.code == status
    said = capsys.readouterr().out
    assert said.endswith(f"{status} of 1 files differ between two runs (1,234 bytes)\n")
    assert (f"{path}: SHA-256 0, then 1" in said) == bool(status)


def test_results_are_the_outputs_of_the_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: train\n    outs: [data/out]\n    metrics:\n"
        "    - metrics/train.json:\n        cache: false\n    plots: [plots/absent.csv]\n"
    )
    names = ("data/out/deep/a.npy", "metrics/train.json", "data/other", "dvc.lock")
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    results = list_results()
    assert [str(path) for path in results] == [names[0], names[3], names[1]]
    before = digest_files(results)
    results[0].write_text("other")
    assert [path for path, digest in digest_files(results).items() if digest != before[path]] == [
        results[0]
    ]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("twice") / "project"
    return make_project(folder, "optdigits", "cnn_optdigits")


@pytest.mark.nightly
@pytest.mark.parametrize("threads", [1, 2])
def test_two_runs_agree(threads: int, project: Project) -> None:
    project.call("git", "restore", "params.yaml")
    project.change("  threads: 0\n", f"  threads: {threads}\n")
    said = project.call("python", "-m", "digits", "verify", "reproducible")
    assert said.count("Running stage 'train'") == 2
    assert re.search(
        r"(?m)^0 of \d\d files differ between two runs \(\d,\d{3},\d{3} bytes\)$", said
    )
