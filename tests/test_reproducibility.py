"""Twice from scratch, with one thread and with several: every file the same, byte for byte."""

import re
from argparse import Namespace
from pathlib import Path

import pytest
from projects import Project, make_project

from digits.commands import verify
from digits.dvc.run import Outcome

OUTS = (
    "{outs: [data/out], metrics: [metrics/train.json: {cache: false}], plots: [plots/absent.csv]}"
)


@pytest.mark.parametrize("changed", [False, True], ids=["same", "other"])
def test_what_differs_between_two_runs_is_said_file_by_file(
    changed: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(f"stages:\n  train: {OUTS}\n")
    runs = iter(["a", "b" if changed else "a"])

    def run_dvc(*_: str) -> Outcome:
        content = next(runs)
        for name in ("data/out/deep/a.npy", f"data/out/{content}", "metrics/train.json"):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(content)
        Path("dvc.lock").write_text("same")
        Path("data/other").write_text(content)  # no output
        return Outcome(0)

    monkeypatch.setattr(verify, "run_dvc", run_dvc)
    with pytest.raises(SystemExit) as leaving:
        verify.verify_reproducible(Namespace())
    assert leaving.value.code == int(changed)
    *differences, total = capsys.readouterr().out.splitlines()
    assert total.startswith(f"{3 * changed} of {4 + changed} files differ between two runs")
    if changed:
        assert [line.split(":")[0] for line in differences] == [
            "data/out/b",
            "data/out/deep/a.npy",
            "metrics/train.json",
        ]


@pytest.mark.nightly
@pytest.mark.parametrize("threads", [1, 2])
def test_two_runs_agree(threads: int, tmp_path: Path) -> None:
    project: Project = make_project(tmp_path / "project", "optdigits", "cnn_optdigits")
    project.change("  threads: 0\n", f"  threads: {threads}\n")
    said = project.call("python", "-m", "digits", "verify", "reproducible")
    assert said.count("Running stage 'train'") == 2
    assert re.search(
        r"(?m)^0 of \d\d files differ between two runs \(\d,\d{3},\d{3} bytes\)$", said
    )
