"""The pages: what they name exists, and README.md can be typed as written."""

import re
import shutil
from pathlib import Path

import pytest
from imports import ROOT
from projects import Project, lend_environment
from ruamel.yaml import YAML
from samples import make_plan

from digits.cli import COMMANDS
from digits.commands.tune.search import Dimension, Search
from digits.config import Section, load_params
from digits.data.datasets import Dataset
from digits.model.recipes import Augmentation, Recipe
from digits.model.training import smoke_test

PAGES = ["README.md", "LEADERBOARD.md", "MODEL_CARD.md", "benchmarks/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")
KEYS = {f"{stage}.{key}" for stage in PARAMS if stage != "dataset" for key in PARAMS[stage]}
KEYS |= {"dataset"}


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
def test_links_lead_somewhere(page: str) -> None:
    made = read("dvc.yaml")
    for link in re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', read(page)):
        name, _, anchor = "".join(link).partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        # A figure may be away for a while: DVC removes it before its stage runs.
        gone = f"- {name.removeprefix('../')}:" in made or "recipes/" in name
        assert "://" in name or path.exists() or gone, name
        assert not anchor or "://" in name or anchor in list_anchors(path.read_text()), link


@pytest.mark.checkout
@pytest.mark.parametrize("page", PAGES)
def test_commands_and_parameters_exist(page: str) -> None:
    text = read(page)
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
def test_no_row_is_of_another_parameter() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|", read("docs/parameters.md"), re.MULTILINE)
    assert {*rows} <= KEYS  # a parameter of one's own is explained where it stands


@pytest.mark.checkout
@pytest.mark.parametrize(
    ("page", "kinds"),
    [
        ("docs/recipes.md", (Recipe, Augmentation)),
        ("docs/data.md", (Dataset,)),
        ("docs/scaling.md", (Search, Dimension)),
    ],
)
def test_every_key_is_explained(page: str, kinds: tuple[type[Section], ...]) -> None:
    keys = [key for kind in kinds for key in kind.model_fields]
    assert not [key for key in keys if f"`{key}" not in read(page)]


def test_dataset_of_the_page_is_one(tmp_path: Path) -> None:
    (tmp_path / "letters.yaml").write_text(*read_blocks("docs/data.md", "yaml"))
    assert load_params("", Dataset, tmp_path / "letters.yaml").class_names == list("ABCDEF")


@pytest.mark.parametrize("number", range(len(read_blocks("docs/recipes.md", "yaml"))))
def test_recipes_can_be_trained(number: int, tmp_path: Path) -> None:
    smallest, *others = read_blocks("docs/recipes.md", "yaml")
    path = tmp_path / "recipe.yaml"
    block = [smallest, *others][number]
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
