"""Every output is the same, byte for byte: twice from scratch, whatever a user has set."""

import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from imports import ROOT
from projects import ALL, Project, make_project

from digits.commands import verify
from digits.dvc.run import Outcome

MATPLOTLIBRC = """
axes.facecolor: red
font.size: 20
path.sketch: 1, 100, 2
text.usetex: True
"""
KERAS_JSON = {
    "floatx": "float16",
    "epsilon": 0.1,
    "image_data_format": "channels_first",
    "backend": "jax",
}
# Of those that a process clears by their prefix, such as KERAS_, one or two are here.
HOSTILE = {
    "COLUMNS": "20",
    "DNNL_DEFAULT_FPMATH_MODE": "BF16",
    "FORCE_COLOR": "1",
    "KERAS_BACKEND": "torch",
    "KERAS_MAX_EPOCHS": "1",
    "LC_ALL": "C",
    "MPLBACKEND": "nonsense",
    "OMP_NUM_THREADS": "1",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONHASHSEED": "7",
    "PYTHONIOENCODING": "ascii",
    "PYTHONOPTIMIZE": "2",
    "PYTHONUTF8": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    "TZ": "Asia/Kathmandu",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
}


@pytest.mark.parametrize(
    "stages",
    [pytest.param(["train"], marks=pytest.mark.slow), pytest.param(ALL, marks=pytest.mark.nightly)],
    ids=["train", "all"],
)
def test_hostile_settings_change_no_byte(
    stages: list[str], trained: Project, tmp_path: Path
) -> None:
    project = trained.copy(tmp_path / "project")
    for stage in stages:
        project.call("rm", "-r", *(out["path"] for out in project.list_outs(stage)))
    home = tmp_path / "home"
    (home / ".keras").mkdir(parents=True)
    for name in ("keras.json", ".keras/keras.json"):
        (home / name).write_text(json.dumps(KERAS_JSON))
    (project.folder / "matplotlibrc").write_text(MATPLOTLIBRC)
    home.chmod(0o500)  # a quota, a read-only system
    settings = HOSTILE | {"HOME": str(home), "KERAS_HOME": str(home)}
    variables = [f"{name}={value}" for name, value in settings.items()]
    script = ("sh", "-c", 'umask 077 && exec python -m "pipeline.$0"')
    for stage in stages:
        project.call("env", *variables, *script, stage)
    assert project.read_results() == trained.read_results()


def test_letters_that_the_terminal_lacks_break_nothing_off(tmp_path: Path) -> None:
    code = "from digits.errors import run_main\nrun_main(lambda: print('caf\\xe9'))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    said = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    assert said == b"caf?\n"


def test_what_differs_between_two_runs_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = iter("0001")

    def run_dvc(*_: str) -> Outcome:
        outs = [{"path": "data/raw", "md5": "9"}, {"path": "models/model", "md5": next(runs)}]
        Path("dvc.lock").write_text(json.dumps({"stages": {"train": {"outs": outs}}}))
        return Outcome(0)

    monkeypatch.setattr(verify, "run_dvc", run_dvc)
    for status, different in ((0, ""), (1, "models/model: MD5 0, then 1\n")):
        with pytest.raises(SystemExit, match=f"{status}"):
            verify.verify_reproducible(Namespace())
        said = f"{different}{status} of 2 outputs differ between two runs\n"
        assert capsys.readouterr().out == said


@pytest.mark.nightly
@pytest.mark.parametrize("threads", [1, 2])
def test_two_runs_agree(threads: int, tmp_path: Path) -> None:
    project: Project = make_project(tmp_path / "project", "optdigits", "cnn_optdigits")
    project.change("  threads: 0\n", f"  threads: {threads}\n")
    said = project.call("python", "-m", "digits", "verify", "reproducible")
    assert said.count("Running stage 'train'") == 2
    assert re.search(r"(?m)^0 of [23]\d outputs differ between two runs$", said)
