"""The README's claims that a test can hold."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from imports import ROOT
from ruamel.yaml import YAML
from samples import make_plan

from digits.files.params import load_params
from digits.model.ensemble import rehearse
from digits.model.networks import build_network
from digits.model.recipes import Augmentation, Overrides, Recipe

README = (ROOT / "README.md").read_text()
RECIPES = (ROOT / "docs/recipes.md").read_text()
PARAMS = YAML(typ="safe").load((ROOT / "params.yaml").read_text())


def test_recipe_of_the_readme_works(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "params.yaml"
    path.write_text(block)
    network = build_network("my_net", load_params("recipes.my_net", Recipe, path))
    assert network.output_shape == (None, 10)


BLOCKS = re.findall(r"```yaml\n(.*?)```", RECIPES, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_recipes_of_the_page_can_be_trained(block: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(block)
    for name in YAML(typ="safe").load(block)["recipes"]:
        rehearse(make_plan(load_params(f"recipes.{name}", Recipe, path), name=name))


def test_page_names_every_key_of_a_recipe() -> None:
    keys = [key for kind in (Recipe, Augmentation, Overrides) for key in kind.model_fields]
    assert not [key for key in keys if f"`{key}`" not in RECIPES]


def test_tree_names_every_module() -> None:
    named = set(re.findall(r"── (\w+\.py)[ ,]", README))
    assert named == {path.name for path in (ROOT / "digits").rglob("*.py")}


def test_tables_name_every_recipe_and_parameter() -> None:
    assert not [name for name in PARAMS["recipes"] if f"| `{name}` |" not in README]
    for section in ("fetch", "decode", "train", "evaluate", "analyze"):
        assert not [key for key in PARAMS[section] if f"`{section}.{key}`" not in README]


@pytest.mark.parametrize("page", ["README.md", "docs/recipes.md"])
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    assert links
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).is_file()]


def test_result_is_the_committed_one() -> None:
    # Not the workspace's: it may hold an experiment.
    shown = subprocess.run(
        ["git", "show", "HEAD:metrics/evaluate.json"], cwd=ROOT, capture_output=True, check=True
    )
    metrics = json.loads(shown.stdout)
    assert f"test accuracy {metrics['accuracy']:.2%}" in README
    assert f"{metrics['error_count']} errors in 10,000 images" in README
