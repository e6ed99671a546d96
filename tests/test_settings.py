"""What users have set for themselves or for other programs is no part of a result."""

import hashlib
import json
import os
import shutil
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


def run_python(code: str, folder: Path, **variables: str) -> str:
    """Run code in a folder; return what it prints, on standard error, too."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


SHOW_KERAS = """
from digits.model.backend import keras, tf
config = keras.config
print(config.floatx(), config.epsilon(), config.image_data_format(), config.backend())
print(config.dtype_policy().name, config.max_epochs(), config.max_steps_per_epoch())
print(config.is_nnx_enabled(), tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.slow
def test_keras_json_and_variables_of_keras(tmp_path: Path) -> None:
    for name, settings in ((".keras", KERAS_JSON), ("own", {"floatx": "nonsense"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keras.json").write_text(json.dumps(settings))
    said = run_python(
        SHOW_KERAS,
        tmp_path,
        HOME=str(tmp_path),
        KERAS_HOME=str(tmp_path / "own"),
        MPLBACKEND="nonsense",
        TF_NUM_INTRAOP_THREADS="3",
        KERAS_BACKEND="torch",
        KERAS_MAX_EPOCHS="1",
        KERAS_MAX_STEPS_PER_EPOCH="1",
        KERAS_NNX_ENABLED="1",
    )
    assert said == "float32 1e-07 channels_last tensorflow\nfloat32 None None\nFalse 0\n"
    assert [path.name for path in (tmp_path / ".keras").iterdir()] == ["keras.json"]


def test_letters_that_the_terminal_lacks_break_nothing_off(tmp_path: Path) -> None:
    code = "from digits.errors import run_main\nrun_main(lambda: print('caf\\xe9'))"
    said = run_python(code, tmp_path, PYTHONIOENCODING="ascii")
    assert "caf?\n" in said


def digest_results(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in ("data", "metrics", "models", "plots")
        for path in (folder / name).rglob("*")
        if path.is_file() and path.name != ".gitignore"
    }


HOSTILE = {
    "COLUMNS": "20",
    "DNNL_DEFAULT_FPMATH_MODE": "BF16",
    "FORCE_COLOR": "1",
    "KERAS_MAX_EPOCHS": "1",
    "KERAS_MAX_STEPS_PER_EPOCH": "1",
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


@pytest.mark.nightly
def test_pipeline_among_hostile_settings(trained: Project, tmp_path: Path) -> None:
    expected = digest_results(trained.folder)
    project = trained.copy(tmp_path / "project")
    for name in ("data", "metrics", "models", "plots"):
        shutil.rmtree(project.folder / name)
    home = tmp_path / "home"
    (home / ".keras").mkdir(parents=True)
    (home / ".keras/keras.json").write_text(json.dumps(KERAS_JSON))
    (project.folder / "matplotlibrc").write_text(MATPLOTLIBRC)
    home.chmod(0o500)  # a quota, a read-only system
    for stage in ALL:
        done = subprocess.run(
            [sys.executable, "-m", f"pipeline.{stage}"],
            cwd=project.folder,
            env={**project.environment, **HOSTILE, "HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            umask=0o077,
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")
    assert digest_results(project.folder) == expected
