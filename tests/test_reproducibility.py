"""Twice from scratch, with one thread and with several: every output the same, byte for byte."""

import json
import re
from argparse import Namespace
from pathlib import Path

import pytest
from projects import Project, make_project

from digits.commands import verify
from digits.dvc.run import Outcome


@pytest.mark.parametrize("changed", [False, True], ids=["same", "other"])
def test_what_differs_between_two_runs_is_said(
    changed: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = iter(["0", "1" if changed else "0"])

    def run_dvc(*_: str) -> Outcome:
        outs = [{"path": "data/raw", "md5": "9"}, {"path": "models/model", "md5": next(runs)}]
        Path("dvc.lock").write_text(json.dumps({"stages": {"train": {"outs": outs}}}))
        return Outcome(0)

    monkeypatch.setattr(verify, "run_dvc", run_dvc)
    with pytest.raises(SystemExit) as leaving:
        verify.verify_reproducible(Namespace())
    assert leaving.value.code == int(changed)
    said = capsys.readouterr().out
    assert said.endswith(f"{int(changed)} of 2 outputs differ between two runs\n")
    assert ("models/model: MD5 0, then 1\n" in said) == changed


@pytest.mark.nightly
@pytest.mark.parametrize("threads", [1, 2])
def test_two_runs_agree(threads: int, tmp_path: Path) -> None:
    project: Project = make_project(tmp_path / "project", "optdigits", "cnn_optdigits")
    project.change("  threads: 0\n", f"  threads: {threads}\n")
    said = project.call("python", "-m", "digits", "verify", "reproducible")
    assert said.count("Running stage 'train'") == 2
    assert re.search(r"(?m)^0 of [23]\d outputs differ between two runs$", said)
