"""The pages: what they name exists, and they can be typed as written: the tour on MNIST."""

import os
import re
import shutil
import subprocess
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import publish_mnist
from imports import ROOT
from layouts import LAYOUTS, NAMES, unpack_all, write
from projects import Project, lend_environment, make_project
from remotes import wait_until
from ruamel.yaml import YAML
from samples import make_plan
from test_import import write_sheet

from digits.cli import COMMANDS
from digits.commands.tune.search import Dimension, Search
from digits.config import load_params
from digits.data.datasets import Dataset
from digits.data.idx import decode
from digits.model.recipes import Augmentation, Recipe
from digits.model.training import smoke_test

MIRROR = ROOT.parent / "shared/mnist"
SHOWN = ELLIPSIS | NORMALIZE_WHITESPACE  # `...` stands for any lines
PAGES = ["README.md", "LEADERBOARD.md", "MODEL_CARD.md", "benchmarks/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")
KEYS = {f"{stage}.{key}" for stage in PARAMS if stage != "dataset" for key in PARAMS[stage]}
KEYS |= {"dataset"}
EXPLAINED = {
    "docs/recipes.md": (Recipe, Augmentation),
    "docs/data.md": (Dataset,),
    "docs/scaling.md": (Search, Dimension),
}
needs_mnist = pytest.mark.skipif(not MIRROR.is_dir(), reason="needs MNIST in ../shared/mnist")


def read(page: str) -> str:
    return (ROOT / page).read_text()


def read_blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, without the indent of a list."""
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```", read(page), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]


def list_anchors(text: str) -> set[str]:
    """List the headings as GitHub links to them."""
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def type_block(project: Project, block: str) -> str:
    """Type the commands of a block in one shell; what the block shows must be printed."""
    commands = re.findall(r"^\$ (.*)", block, re.MULTILINE)
    shown = [line for line in block.splitlines() if not line.startswith("$ ")]
    if (project.folder / ".venv").is_dir():
        commands = [". .venv/bin/activate", *commands]
    script = "\n".join(commands).replace("make test", "make --dry-run test")  # this is it
    output = project.call("sh", "-ec", script)
    assert not [line for line in shown if line not in output.splitlines()], output
    return output


@pytest.mark.checkout
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page: str) -> None:
    text, made = read(page), read("dvc.yaml")
    for link in re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', text):
        name, _, anchor = "".join(link).partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        # A figure may be away for a while: DVC removes it before its stage runs.
        gone = f"- {name.removeprefix('../')}:" in made or "recipes/" in name
        assert "://" in name or path.exists() or gone, name
        assert not anchor or "://" in name or anchor in list_anchors(path.read_text()), link
    # Commands and parameters, in blocks and in the text.
    blocks = re.findall(r"```.*?\n(.*?)```", text, re.DOTALL)
    words = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    code = re.sub("#.*", "", "\n".join([*blocks, *words]))
    targets = re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z-]+)", code)) <= {*targets}
    assert set(re.findall(r"^(?:\$ |exec )?digits ([a-z-]+)", code, re.MULTILINE)) <= {*COMMANDS}
    for module in re.findall(r"python -m benchmarks\.(\w+)", code):
        assert (ROOT / f"benchmarks/{module}.py").is_file(), module
    assert set(re.findall(r"-S '?([a-z_.]+)=", text)) <= KEYS
    of_recipes = re.findall(r"-S '?recipes/[a-z_]+\.yaml:(\w+)[\w.]*=", text)
    assert set(of_recipes) <= set(Recipe.model_fields)


@pytest.mark.checkout
def test_every_key_is_explained_and_no_other() -> None:
    for page, kinds in EXPLAINED.items():
        keys = [key for kind in kinds for key in kind.model_fields]
        assert not [key for key in keys if f"`{key}" not in read(page)]
    rows = re.findall(r"^\| `([\w.]+)` \|", read("docs/parameters.md"), re.MULTILINE)
    assert {*rows} <= KEYS  # a parameter of one's own is explained where it stands


def test_dataset_and_recipes_of_the_pages_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(*read_blocks("docs/data.md", "yaml"))
    assert load_params("", Dataset, path).class_names == list("ABCDEF")
    smallest, *others = read_blocks("docs/recipes.md", "yaml")
    for block in (smallest, *others):
        path.write_text(block if "layers:" in block else smallest + block)  # some keys alone
        smoke_test(make_plan(load_params("", Recipe, path)))


@pytest.fixture
def typed(trained: Project, tmp_path: Path) -> Project:
    """Return a trained project with the embedded digits, whose `quick` is a small network."""
    project = trained.copy(tmp_path / "digits")
    small = (project.folder / "recipes/cnn_optdigits.yaml").read_text()
    small = small.replace("conv: {type: Conv2D, filters: 4,", "conv1: {type: Conv2D, filters: 32,")
    (project.folder / "recipes/quick.yaml").write_text(small.replace("epochs: 2", "epochs: 9"))
    project.change("recipe: cnn_optdigits", "recipe: quick")
    project.call("dvc", "repro")
    for path in (ROOT / "Makefile", *ROOT.glob("requirements*.lock")):
        shutil.copy(path, project.folder)
    shutil.copytree(ROOT / "docs/examples", project.folder / "docs/examples")
    project.commit("make")
    lend_environment(project)
    return project


@pytest.mark.slow
def test_readme_can_be_typed_as_written(typed: Project) -> None:
    clone, *blocks = read_blocks("README.md", "console")
    type_block(typed, clone.replace("git clone REPOSITORY digits && cd digits", "ls"))
    for block in blocks:
        type_block(typed, re.sub(r"digits demo.*", "digits demo --help", block))


@needs_mnist
@pytest.mark.nightly
def test_tour_can_be_typed_as_written(tmp_path: Path) -> None:
    clone = Project(tmp_path / "digits")
    subprocess.run(["git", "clone", "--quiet", ROOT, clone.folder], check=True)
    clone.identify()
    (tmp_path / "shared").symlink_to(MIRROR.parent)
    (clone.folder / ".venv").symlink_to(ROOT / ".venv")  # its making is not the tour's matter
    os.utime(clone.folder / "requirements.lock", (0, 0))
    page, equal = "".join(read_blocks("docs/tour.md", "console")), False
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", page, re.MULTILINE)
    for number, (command, expected) in enumerate(steps):
        # DVC lists the files of a difference in the order of a set.
        shell = f". .venv/bin/activate; export PYTHONHASHSEED=0; {command}"
        printed = clone.call("sh", "-c", shell)
        # Another kind of processor rounds otherwise, and its numbers are not the page's.
        if equal or number == 0:
            assert OutputChecker().check_output(expected, printed, SHOWN), f"{command}\n{printed}"
        # The decision is made before a test image is opened; then they are, once.
        last = number == len(steps) - 1
        assert printed.count("Running stage 'evaluate'") == last
        if number == 1:
            equal = not clone.call("git", "diff", "--stat", "dvc.lock")
    assert len(steps) == 10


@pytest.mark.nightly
def test_experiments_can_be_typed_as_written(typed: Project) -> None:
    one, grid, listing, several, keep = read_blocks("docs/experiments.md", "console")
    try:
        type_block(typed, one)
        type_block(typed, grid)
        status = ("dvc", "queue", "status")
        wait_until(lambda: not re.search("Queued|Running", typed.call(*status)), "not done", 600)
        listed = type_block(typed, listing)
        assert [listed.count(f"epochs 9 → {epochs}") for epochs in (2, 3)] == [2, 2]
        assert "of 4 pairs" in type_block(typed, several)
        type_block(typed, keep)
        assert "epochs: 4" in typed.call("git", "show", "HEAD:recipes/quick.yaml")
    finally:
        typed.call("dvc", "queue", "stop", "--kill")


@pytest.mark.nightly
def test_troubleshooting_can_be_typed_as_written(typed: Project) -> None:
    for block in read_blocks("docs/troubleshooting.md", "console"):
        type_block(typed, block)


@pytest.mark.nightly
def test_data_can_be_typed_as_written(tmp_path: Path) -> None:
    downloads = tmp_path / "Downloads"  # the commands' home is the folder above the project
    project = make_project(tmp_path / "project", "mnist", "cnn_optdigits")
    files = unpack_all(publish_mnist(project))
    write(LAYOUTS["kaggle-nested"](files), downloads / "archive")
    arrays = [decode(files[name]) for name in NAMES]
    table = pd.DataFrame(arrays[0].reshape(-1, 784)).add_prefix("pixel")
    table.assign(label=arrays[1]).to_csv(downloads / "train.csv", index=False)
    keys = ("x_train", "y_train", "x_test", "y_test")
    np.savez(downloads / "mine.npz", allow_pickle=False, **dict(zip(keys, arrays, strict=True)))
    for digit in "0123456789":
        write_sheet(downloads / "my-digits" / digit / "sheet.png", digit * 6, digit * 6)
    lend_environment(project)
    mnist, _, kaggle, own, _ = read_blocks("docs/data.md", "console")
    counts = []
    for block in (mnist, kaggle, own):
        type_block(project, block)
        project.call("git", "add", "datasets")
        found = project.load("data/decoded/dataset.json")["image_counts"]
        counts.append([found[split] for split in ("train", "validation", "test")])
    assert counts == [[135, 15, 50], [108, 12, 30], [90, 10, 20]]


@needs_mnist
@pytest.mark.nightly
def test_handwriting_can_be_taught_as_written(tmp_path: Path) -> None:
    (tmp_path / "shared").symlink_to(MIRROR.parent)
    project = make_project(tmp_path / "project", "mnist", "cnn_optdigits")
    (project.folder / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks/hand.py", project.folder / "benchmarks")
    lend_environment(project)
    project.call("dvc", "repro", "train")
    printed = type_block(project, read_blocks("docs/data.md", "console")[4])
    for images in ("6,000 validation images of mnist", "4 validation images of my-digits"):
        assert f"On the {images}:" in printed
    # Nobody looked at a test image before the last command.
    _, evaluated = printed.split("Running stage 'evaluate'")
    assert "Running stage 'train'" not in evaluated
    parts = project.load("metrics/evaluate.json")["parts"]
    counts = {name: part["image_count"] for name, part in parts.items()}
    assert counts == {"mnist": 10_000, "my-digits": 10}
