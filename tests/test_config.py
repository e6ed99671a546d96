"""YAML files as sections: the shipped ones load, and a mistake is refused in one line."""

import re
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from imports import ROOT
from projects import PARAMS_PATH, RECIPES
from ruamel.yaml import YAML

from digits.config import ConfigError, Section, load_named, load_params, load_yaml
from digits.model.recipes import Recipe
from pipeline.analyze import AnalyzeParams
from pipeline.decode import DecodeParams
from pipeline.evaluate import EvaluateParams
from pipeline.fetch import FetchParams
from pipeline.train import TrainParams

KINDS = (FetchParams, DecodeParams, TrainParams, EvaluateParams, AnalyzeParams)


class Numbers(Section):
    real: float
    whole: int


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "numbers.yaml"


def refuse(path: Path, section: str = "", kind: type = Numbers) -> str:
    """Return the message of the refusal, which is one line that starts with the file."""
    with pytest.raises(ConfigError) as raised:
        load_params(section, kind, path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert len(message.splitlines()) == 1
    return message.removeprefix(str(path))


@pytest.mark.checkout
def test_own_files_are_what_they_must_be() -> None:
    """They are held to the schema, and to nothing that they say today: a user may change them."""
    path = ROOT / "params.yaml"
    own = load_yaml(path)
    for kind in KINDS:
        section = kind.__module__.removeprefix("pipeline.")
        params = load_params(section, kind, path).model_dump()
        assert params == own[section]  # each key is there, and none has a second home
    assert load_params("dataset", str, path)
    recipes = {path.stem: load_params("", Recipe, path) for path in ROOT.glob("recipes/*.yaml")}
    assert own["train"]["recipe"] in recipes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{real: 1.0}", "whole: expected a value, received none (missing key)"),
        ("{real: 1.0, whole: 1, reel: 1}", "reel: unknown key (did you mean 'real'?)"),
        ("{real: 1.0, whole: '5'}", "whole: expected a valid integer, received '5'"),
        ("{real: 1.0, whole: 1e1}", "whole: expected a whole number, received 10.0: write 10"),
        ("{real: .nan, whole: 1}", "real: expected a finite number, received nan"),
        ("", "expected a valid dictionary, received None"),
        # A word that YAML 1.1 takes for another value is a text.
        ("{real: on, whole: 1}", "real: expected a valid number, received 'on'"),
        (
            """{real: "//me:a 'password@host", whole: 1}""",
            "real: expected a valid number, received an address that may have a password",
        ),
    ],
)
def test_refused_value(text: str, message: str, path: Path) -> None:
    path.write_text(text)
    assert refuse(path) == f": {message}"


def test_key_is_named_by_its_section(path: Path) -> None:
    path.write_text("a: {b: {real: 1.0, whole: x}}")
    assert refuse(path, "a.b") == ": a.b.whole: expected a valid integer, received 'x'"
    assert "received no 'reciped' (did you mean 'recipe'?)" in refuse(PARAMS_PATH, "train.reciped")


def test_file_that_is_not_there_is_named_with_those_that_are(path: Path) -> None:
    assert refuse(path) == ": expected a file, received none"
    with pytest.raises(ConfigError) as raised:
        load_named(RECIPES, "qick", Recipe, "params.yaml: train.recipe")
    assert str(raised.value) == (
        f"params.yaml: train.recipe: expected a file of {RECIPES}/, one of cnn, cnn_optdigits, "
        "quick, received 'qick' (did you mean 'quick'?)"
    )


@pytest.mark.parametrize("rate", ["0.00001", "1e-5", "1e20"])
def test_exponents_that_dvc_writes_are_taken(rate: str, path: Path) -> None:
    path.write_text((RECIPES / "cnn.yaml").read_text())
    apply_overrides(path, [f"optimizer.learning_rate={rate}"])  # what `dvc exp run -S` calls
    optimizer = dict(load_params("", Recipe, path).optimizer)
    assert optimizer["learning_rate"] == float(rate)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"real: 1\nwhole: 1\nreal: 2\n", 'line 3: expected YAML, found duplicate key "real"'),
        (b"real:\n\t1\n", "line 2: expected YAML, found character "),
        (b"real: !!python/object:os.x {}\n", "line 1: expected YAML, could not determine a constr"),
        (b"\xe9: 1\n", "expected YAML, 'utf-8' codec can't decode byte 0xe9"),
    ],
)
def test_refused_file(data: bytes, message: str, path: Path) -> None:
    path.write_bytes(data)
    assert re.search(message, refuse(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adam"}, "optimizer: expected a valid dictionary, received 'adam'"),
        ({"layers": {"a.b": {"type": "ReLU"}}}, "layers.a.b: expected String should match"),
        ({"augmentation": {"angle": 181}}, "augmentation.angle: expected less than or equal to"),
        ({"precision": "float16"}, "precision: expected 'auto', 'float32' or 'bfloat16'"),
    ],
)
def test_refused_recipe(changes: dict[str, Any], message: str, path: Path) -> None:
    YAML().dump(load_yaml(RECIPES / "quick.yaml") | changes, path)
    assert re.search(message, refuse(path, kind=Recipe))
