"""README.md and docs/: commands and examples work, links, files and keys exist."""

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
from conftest import draw_images
from imports import ROOT
from projects import Project, lend_environment, make_project
from ruamel.yaml import YAML
from samples import make_plan
from test_import import write_sheet
from tuning import SEARCH

from digits.cli import COMMANDS
from digits.commands.search import Dimension, Search
from digits.config import Section, load_params
from digits.data.datasets import Dataset
from digits.data.idx import encode
from digits.model.recipes import Augmentation, Recipe
from digits.model.training import smoke_test
from pipeline.analyze import AnalyzeParams
from pipeline.decode import DecodeParams
from pipeline.evaluate import EvaluateParams
from pipeline.fetch import FetchParams
from pipeline.train import TrainParams

PAGES = ["README.md", "LEADERBOARD.md", "MODEL_CARD.md", "benchmarks/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
SECTIONS: dict[str, type[Section]] = {
    "fetch": FetchParams,
    "decode": DecodeParams,
    "train": TrainParams,
    "evaluate": EvaluateParams,
    "analyze": AnalyzeParams,
}
KEYS = {f"{name}.{key}" for name, kind in SECTIONS.items() for key in kind.model_fields}


def read(page: str) -> str:
    return (ROOT / page).read_text()


def read_blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, without the indent of a list."""
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```", read(page), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]


def read_code(page: str) -> list[str]:
    """Return what a page sets as code, blocks and words."""
    text = read(page)
    blocks = re.findall(r"```.*?\n(.*?)```", text, re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def list_anchors(text: str) -> set[str]:
    """List the headings as GitHub links to them."""
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.checkout
@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    made = (ROOT / "dvc.yaml").read_text()
    for link in re.findall(r"\]\(([^)]+)\)", read(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        # A figure may be away for a while: DVC removes it before its stage runs.
        gone = f"- {name}:" in made or "recipes/" in name  # so may a recipe be, for good
        assert path.exists() or gone, link
        assert not anchor or anchor in list_anchors(path.read_text()), link


@pytest.mark.checkout
@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets |= {"push", "pull"}  # two in a line
    for code in read_code(page):
        words = re.sub("#.*", "", code)
        assert set(re.findall(r"\bmake ([a-z-]+)", words)) <= targets, code
        assert set(re.findall(r"python -m digits ([a-z-]+)", code)) <= set(COMMANDS), code
        for module in re.findall(r"python -m benchmarks\.(\w+)", code):
            assert (ROOT / f"benchmarks/{module}.py").is_file(), code


@pytest.mark.checkout
@pytest.mark.parametrize("page", PAGES)
def test_parameters_that_are_set_exist(page: str) -> None:
    page_text = read(page)
    assert set(re.findall(r"-S '?([a-z_.]+)=", page_text)) <= KEYS | {"dataset"}
    of_recipes = re.findall(r"-S '?recipes/[a-z_]+\.yaml:(\w+)[\w.]*=", page_text)
    assert set(of_recipes) <= set(Recipe.model_fields)


@pytest.mark.checkout
def test_every_parameter_has_its_row_and_no_other_has() -> None:
    rows = set(re.findall(r"^\| `([\w.]+)` \|", read("docs/parameters.md"), re.MULTILINE))
    assert rows == KEYS | {"dataset"}


@pytest.mark.checkout
def test_every_key_of_a_recipe_is_explained() -> None:
    keys = [key for kind in (Recipe, Augmentation) for key in kind.model_fields]
    page = read("docs/recipes.md")
    assert not [key for key in keys if f"`{key}`" not in page]


@pytest.mark.checkout
def test_every_key_of_a_dataset_is_explained() -> None:
    page = read("docs/datasets.md")
    keys = [*Dataset.model_fields, "name", "raw_size", "raw_sha256", "gzip_sha256"]
    assert not [key for key in keys if f"`{key}`" not in page]


def test_every_key_of_a_search_is_explained() -> None:
    page = read("docs/scaling.md")
    keys = [*Search.model_fields, *Dimension.model_fields]
    assert not [key for key in keys if f"`{key}" not in page]


@pytest.mark.checkout
def test_named_files_exist() -> None:
    named = re.findall(r"`([\w./-]+/[\w./-]*)`", read("docs/where-to-change.md"))
    made = ("data/", "models/", "metrics/", "plots/", "datasets/NAME", "digits/commands/NAME")
    own = [name for name in named if not name.startswith((*made, "pipeline/STAGE"))]
    assert len(own) > len(list((ROOT / "pipeline").glob("*.py")))
    assert not [name for name in own if not (ROOT / name).exists()]


@pytest.mark.parametrize("number", range(len(read_blocks("docs/recipes.md", "yaml"))))
def test_recipes_can_be_trained(number: int, tmp_path: Path) -> None:
    smallest, *others = read_blocks("docs/recipes.md", "yaml")
    path = tmp_path / "recipe.yaml"
    block = [smallest, *others][number]
    path.write_text(block if "layers:" in block else smallest + block)  # some keys alone
    smoke_test(make_plan(load_params("", Recipe, path)))


# What follows is typed: in a project with the embedded dataset and a small recipe.


@pytest.fixture
def typed(trained: Project, tmp_path: Path) -> Iterator[Project]:
    """Return a trained project that has what `make` needs, in a folder of the name `digits`."""
    project = trained.copy(tmp_path / "digits")
    # What the pages call `quick` is a small network here.
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
    yield project
    subprocess.run(
        [sys.executable, "-m", "dvc", "queue", "stop", "--kill"],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        check=False,
    )


def type_block(project: Project, block: str) -> str:
    """Type the commands of a block in one shell; what the block shows must be printed."""
    commands = re.findall(r"^\$ (.*)", block, re.MULTILINE)
    shown = [line for line in block.splitlines() if not line.startswith("$ ")]
    script = "\n".join(commands).replace("make test", "make --dry-run test")  # this is it
    output = project.call("sh", "-ec", script)
    assert not [line for line in shown if line not in output.splitlines()]
    return output


def wait_for_queue(project: Project) -> None:
    deadline = time.monotonic() + 600
    while re.search("Queued|Running", project.call("dvc", "queue", "status")):
        assert time.monotonic() < deadline
        time.sleep(2)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/troubleshooting.md"])
def test_page_can_be_typed_as_written(page: str, typed: Project) -> None:
    blocks = read_blocks(page, "console")
    assert blocks
    for block in blocks:
        type_block(typed, block)


@pytest.mark.slow
def test_experiments_can_be_typed_as_written(typed: Project) -> None:
    one, grid, listing, several, keep = read_blocks("docs/experiments.md", "console")
    type_block(typed, one)
    type_block(typed, grid)
    wait_for_queue(typed)
    listed = type_block(typed, listing)
    for epochs in (2, 3):
        assert listed.count(f"epochs 9 → {epochs}") == 2
    assert listed.count("Success") >= 4
    assert "of 4 pairs" in type_block(typed, several)
    type_block(typed, keep)
    assert "epochs: 4" in typed.call("git", "show", "HEAD:recipes/quick.yaml")


@pytest.mark.slow
def test_tuning_on_one_machine_can_be_typed_as_written(typed: Project) -> None:
    block, *_ = read_blocks("docs/scaling.md", "console")
    search = SEARCH.format(epochs="[2, 3]", heartbeat=5).replace("sampler: grid", "sampler: tpe")
    (typed.folder / "tune.yaml").write_text(search)
    output = type_block(typed, block.replace("--trials 40", "--trials 2"))
    assert "2 complete" in output
    assert "to make it the recipe: dvc exp apply small-" in output


@pytest.mark.slow
def test_dataset_of_letters_can_be_typed_as_written(typed: Project) -> None:
    (facts,), (script,) = (read_blocks("docs/datasets.md", kind) for kind in ("yaml", "python"))
    (typed.folder / "datasets/letters.yaml").write_text(facts)
    for split, count in (("train", 120), ("test", 60)):
        images, labels = draw_images(count, 0, 6)
        (typed.folder / f"{split}-images-idx3-ubyte").write_bytes(encode(images))
        (typed.folder / f"{split}-labels-idx1-ubyte").write_bytes(encode(labels))
    given = (
        "from digits.data.idx import decode; from pathlib import Path;"
        "arrays = {path.name: decode(path.read_bytes()) for path in Path().glob('*-ubyte')}\n"
    )
    typed.call("python", "-c", given + script)
    (block,) = read_blocks("docs/datasets.md", "console")
    output = type_block(typed, block)
    assert "no digest in datasets/ says" in output
    assert typed.load("data/decoded/dataset.json")["class_names"] == list("ABCDEF")
    assert typed.load("metrics/evaluate.json")["image_count"] == 60


def pack_letters(path: Path) -> None:
    """Write what is published as EMNIST's `gzip.zip`, a small one."""
    with zipfile.ZipFile(path, "w") as archive:
        for split, count in (("train", 260), ("test", 130)):
            images, labels = draw_images(count, 0, 26)
            for part, array in (
                ("images-idx3", images.transpose(0, 2, 1)),
                ("labels-idx1", labels + 1),
            ):
                name = f"gzip/emnist-letters-{split}-{part}-ubyte.gz"
                archive.writestr(name, gzip.compress(encode(array.astype(np.uint8))))


@pytest.mark.slow
def test_your_data_can_be_typed_as_written(tmp_path: Path) -> None:
    downloads = tmp_path / "Downloads"  # the commands' home is the project's folder's
    for split, count in (("train", 150), ("t10k", 50)):
        for part, array in zip(("images-idx3", "labels-idx1"), draw_images(count, 0), strict=True):
            name = f"{split}-{part}-ubyte"
            (downloads / "archive" / name).mkdir(parents=True)
            (downloads / "archive" / name / name.replace("-idx", ".idx")).write_bytes(encode(array))
    images, labels = draw_images(200, 1)
    table = pd.DataFrame(images.reshape(200, 784)).add_prefix("pixel")
    table.insert(0, "label", labels)
    table.to_csv(downloads / "train.csv", index=False)
    test = dict(zip(("x_test", "y_test"), draw_images(50, 2), strict=True))
    np.savez(downloads / "mine.npz", allow_pickle=False, x_train=images, y_train=labels, **test)
    pack_letters(downloads / "gzip.zip")
    project = make_project(tmp_path / "project", "mnist", "cnn_optdigits")
    facts = json.loads(json.dumps(YAML(typ="safe").load(project.folder / "datasets/mnist.yaml")))
    for key in ("train_images", "train_labels", "test_images", "test_labels"):
        name = facts[key]["name"]
        (path,) = (downloads / "archive" / name).iterdir()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        facts[key] = {"name": name, "raw_sha256": digest}
    facts |= {"mirrors": [], "disputed": []}
    (project.folder / "datasets/mnist.yaml").write_text(json.dumps(facts))
    project.commit("a small dataset")
    kaggle, emnist, csv, npz, pictures = read_blocks("docs/your-data.md", "console")
    type_block(project, kaggle)
    assert len(list((project.folder / "data/originals").rglob("*.idx?-ubyte"))) == 4
    assert project.load("data/decoded/dataset.json")["image_counts"] == {
        "train": 135,
        "validation": 15,
        "test": 50,
    }
    type_block(project, emnist)
    assert len(cast("list[str]", project.load("data/decoded/dataset.json")["class_names"])) == 26
    type_block(project, csv)
    counts = cast("dict[str, int]", project.load("data/decoded/dataset.json")["image_counts"])
    assert counts["test"] == 40
    project.call("git", "add", "datasets")
    type_block(project, npz)
    assert project.load("data/decoded/dataset.json")["title"] == "My digits"
    for digit in "0123456789":
        write_sheet(downloads / "my-digits" / digit / "sheet.png", digit * 6, digit * 6)
    project.call("git", "add", "datasets")
    type_block(project, pictures)
    counts = cast("dict[str, int]", project.load("data/decoded/dataset.json")["image_counts"])
    assert counts["test"] == 20


@pytest.mark.slow
def test_model_alone_can_be_had_as_written(typed: Project) -> None:
    colleague = Project(typed.folder.parent / "colleague")
    colleague.folder.mkdir()
    command, *_ = (block for block in read_blocks("docs/sharing.md", "console") if "get" in block)
    type_block(colleague, command)
    (script,) = read_blocks("docs/sharing.md", "python")
    colleague.call("python", "-c", f"{script}\nassert model == open('digits.keras', 'rb').read()")
