"""The rules that no stage can see for itself: declared dependencies, and who may import whom."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT, import_closure, imported_names, local_imports
from ruamel.yaml import YAML

STAGES = ("fetch", "decode", "train", "evaluate", "analyze")
SOURCES = sorted([*(ROOT / "digits").rglob("*.py"), *(ROOT / "pipeline").glob("*.py")])
DVC_YAML = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_import_closure(stage: str) -> None:
    declared = {dep for dep in DVC_YAML["stages"][stage]["deps"] if dep.endswith(".py")}
    closure = import_closure(ROOT / f"pipeline/{stage}.py")
    assert declared == {str(path.relative_to(ROOT)) for path in closure}


@pytest.mark.checkout
def test_pipeline_folder_is_the_dag() -> None:
    assert sorted(path.stem for path in (ROOT / "pipeline").glob("*.py")) == sorted(STAGES)
    assert list(DVC_YAML["stages"]) == list(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_command_is_the_module(stage: str) -> None:
    assert DVC_YAML["stages"][stage]["cmd"] == f"exec python -m pipeline.{stage}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_stages_import_no_stage_and_tools_none_either(source: Path) -> None:
    assert not [path for path in local_imports(source) if path.parent.name == "pipeline"]


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("tensorflow", {"backend"}),
        ("keras", {"backend"}),
        ("matplotlib", {"plotting"}),
        ("seaborn", {"plotting"}),
        ("cleanlab", {"label_issues"}),
        ("requests", {"download"}),
        ("cv2", {"ink", "pieces", "ruling", "segmentation", "sheet"}),
        ("onnxruntime", {"runtimes"}),
        ("ai_edge_litert", {"runtimes"}),
        ("dvc", {"cache", "revisions"}),
        ("dvc_data", {"cache"}),
        ("optuna", {"study", "study_figures", "trials", "tune"}),
        ("sqlalchemy", {"study"}),
    ],
)
def test_library_is_imported_in_its_room_only(library: str, allowed: set[str]) -> None:
    users = {
        source.stem
        for source in SOURCES
        if any(name.split(".")[0] == library for name in imported_names(source))
    }
    assert users == allowed


@pytest.mark.parametrize("stage", ["fetch", "decode", "analyze"])
def test_stage_without_network_does_not_import_tensorflow(stage: str) -> None:
    script = f"import sys, pipeline.{stage}; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_only_evaluate_opens_the_test_split() -> None:
    readers = {
        name for name, stage in DVC_YAML["stages"].items() if "data/decoded/test" in stage["deps"]
    }
    assert readers == {"evaluate"}


def test_nothing_but_decode_and_evaluate_knows_where_the_test_split_is() -> None:
    sources = [*SOURCES, *(ROOT / "benchmarks").glob("*.py")]
    pattern = re.compile(r"\bTEST_DIR\b|decoded/test")
    users = {source.stem for source in sources if pattern.search(source.read_text())}
    assert users == {"paths", "decode", "evaluate"}


def test_few_commands_run_stages_and_none_runs_evaluate_by_another_way() -> None:
    """A model is evaluated on the test images by these, by `dvc repro` and by nothing else."""
    folders = (ROOT / "digits/commands", ROOT / "digits/dvc")
    sources = [(path.stem, path.read_text()) for folder in folders for path in folder.rglob("*.py")]
    running = re.compile(r"""run_experiment(?:_in)?\(|(?:run|read)_dvc\(\s*"(?:repro|exp", "run)""")
    runners = {name for name, source in sources if running.search(source)}
    # `experiments` runs what the others ask for; the last is `dvc repro` twice.
    assert runners == {"experiments", "repro", "runs", "trials", "verify"}
    others = [(path.stem, path.read_text()) for path in (ROOT / "benchmarks").glob("*.py")]
    evaluating = re.compile(r"pipeline(\.| import )evaluate")
    assert not [name for name, source in [*sources, *others] if evaluating.search(source)]


def test_lock_names_no_index_and_hashes_every_package() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "index-url" not in text
        assert "://" not in text
        entries = re.split(r"\n(?=\S)", text.strip())
        assert all("--hash=sha256:" in entry for entry in entries)


def test_base_install_is_lean() -> None:
    for lock in ("s3", "ssh", "webdav"):
        assert f"dvc-{lock}==" in (ROOT / f"requirements-{lock}.lock").read_text()
        assert f"dvc-{lock}==" not in (ROOT / "requirements.lock").read_text()
    for extra, name in (("tune", "optuna"), ("cluster", "psycopg")):
        assert f"\n{name}==" in "\n" + (ROOT / f"requirements-{extra}.lock").read_text()
        assert f"\n{name}==" not in (ROOT / "requirements.lock").read_text()
    for name in ("ai-edge-litert", "onnx", "onnxruntime", "tf2onnx"):
        assert f"\n{name}==" in "\n" + (ROOT / "requirements-export.lock").read_text()
        assert f"\n{name}==" not in (ROOT / "requirements.lock").read_text()
