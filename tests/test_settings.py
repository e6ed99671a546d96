"""What users have set for themselves or for other programs is no part of a result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT
from projects import ALL, Project

MATPLOTLIBRC = """
axes.facecolor: red
font.size: 20
image.origin: lower
path.sketch: 1, 100, 2
savefig.bbox: tight
text.usetex: True
xtick.direction: in
"""
KERAS_JSON = {
    "floatx": "float16",
    "epsilon": 0.1,
    "image_data_format": "channels_first",
    "backend": "jax",
}


def test_letters_that_the_terminal_lacks_break_nothing_off(tmp_path: Path) -> None:
    code = "from digits.errors import run_main\nrun_main(lambda: print('caf\\xe9'))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    said = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    assert said == b"caf?\n"


HOSTILE = {
    "COLUMNS": "20",
    "DNNL_DEFAULT_FPMATH_MODE": "BF16",
    "FORCE_COLOR": "1",
    "KERAS_BACKEND": "torch",
    "KERAS_MAX_EPOCHS": "1",
    "KERAS_MAX_STEPS_PER_EPOCH": "1",
    "KERAS_NNX_ENABLED": "1",
    "LC_ALL": "C",
    "MPLBACKEND": "nonsense",
    "OMP_NUM_THREADS": "1",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONHASHSEED": "7",
    "PYTHONIOENCODING": "ascii",
    "PYTHONOPTIMIZE": "2",
    "PYTHONUTF8": "0",
    "TF_DATA_EXPERIMENT_OPT_IN": "all",
    "TF_DETERMINISTIC_OPS": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_SET_ONEDNN_FPMATH_MODE": "BF16",
    "TF_USE_DEEP_CONV2D": "1",
    "TF_USE_LEGACY_KERAS": "1",
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
