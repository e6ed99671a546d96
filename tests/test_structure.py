"""The rules that no stage can see for itself: declared dependencies, and who may import whom."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from imports import ROOT, import_closure, imported_names, local_imports
from ruamel.yaml import YAML

from digits.cli import COMMANDS, find_module

STAGES = ("fetch", "decode", "train", "evaluate", "analyze")
SOURCES = sorted([*(ROOT / "digits").rglob("*.py"), *(ROOT / "pipeline").glob("*.py")])
DVC_YAML = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
# A room imports from those before it: the modules at the top of digits/ come first.
ROOMS = ("", "data", "imaging", "model", "deployment", "evaluation", "dvc", "commands")
COMMANDS_DIR = ROOT / "digits/commands"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_import_closure(stage: str) -> None:
    declared = {ROOT / dep for dep in DVC_YAML["stages"][stage]["deps"] if dep.endswith(".py")}
    assert declared == import_closure(ROOT / f"pipeline/{stage}.py")
    needs_tensorflow = ROOT / "digits/model/backend.py" in declared
    assert needs_tensorflow == (stage in {"train", "evaluate"})
    assert DVC_YAML["stages"][stage]["cmd"] == f"exec python -m pipeline.{stage}"


def find_room(path: Path) -> str:
    """Name the folder of digits/ that the file is in; of pipeline/, that one."""
    package, *folders, _ = path.relative_to(ROOT).parts
    return "".join(folders[:1]) if package == "digits" else package


def test_arrows_point_down() -> None:
    for path in SOURCES:
        imported = local_imports(path)
        if path.parent.name == "pipeline":
            below = {*ROOMS} - {"commands"}
        elif path.stem in ("cli", "__main__"):
            below = {*ROOMS}
        else:
            below = {*ROOMS[: 1 + ROOMS.index(find_room(path))]}
        assert {str(other) for other in imported if find_room(other) not in below} == set(), path


def test_imports_have_no_circle() -> None:
    list(TopologicalSorter({path: local_imports(path) for path in SOURCES}).static_order())


def test_folder_of_commands_is_the_list_of_commands() -> None:
    names = {find_module(name).split(".")[2] for name in COMMANDS}
    assert names == {path.stem for path in COMMANDS_DIR.iterdir() if path.name != "__pycache__"}
    for own in map(COMMANDS_DIR.joinpath, names):  # what two share has a room below them
        for path in (own.with_suffix(".py"), *own.rglob("*.py")):
            if path.is_file():
                shared = {other for other in local_imports(path) if find_room(other) == "commands"}
                assert {other for other in shared if own not in other.parents} == set(), path


def test_library_is_imported_in_its_room_only() -> None:
    rooms = {
        "tensorflow": {"backend"},
        "keras": {"backend"},
        "matplotlib": {"plotting"},
        "seaborn": {"plotting"},
        "requests": {"download"},
        "dvc": {"cache", "revisions"},
        "dvc_data": {"cache"},
    }
    users: dict[str, set[str]] = {library: set() for library in rooms}
    for source in SOURCES:
        for library in {name.split(".")[0] for name in imported_names(source)} & rooms.keys():
            users[library].add(source.stem)
    assert users == rooms


def test_only_evaluate_opens_the_test_split() -> None:
    readers = [name for name in STAGES if "data/decoded/test" in DVC_YAML["stages"][name]["deps"]]
    assert readers == ["evaluate"]
    sources = [*SOURCES, *(ROOT / "benchmarks").glob("*.py")]
    pattern = re.compile(r"\bTEST_DIR\b|decoded/test")
    users = {source.stem for source in sources if pattern.search(source.read_text())}
    assert users == {"paths", "decode", "evaluate"}
