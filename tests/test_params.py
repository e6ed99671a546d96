"""Sections of `params.yaml`: the shipped ones load, and every mistake is refused in one line."""

import importlib
import math
import re
import tracemalloc
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from imports import ROOT
from projects import PARAMS_PATH
from pydantic import ValidationError
from ruamel.yaml import YAML

from digits.config import ConfigError, Section, load_params
from digits.model.recipes import Recipe

SHIPPED: dict[str, Any] = YAML(typ="safe").load(PARAMS_PATH)
# What a user may change: it is held to the schema, and to nothing that it says today.
OWN_PATH = ROOT / "params.yaml"
OWN: dict[str, Any] = YAML(typ="safe").load(OWN_PATH)
SECTIONS = ("fetch", "decode", "train", "evaluate", "analyze")
TRAINING_RECIPE = f"recipes.{SHIPPED['train']['recipe']}"
NOT_FINITE = (math.nan, math.inf, -math.inf)

# What a key refuses, and what it says it expects.
BAD_VALUES: dict[tuple[str, str], dict[str, tuple[Any, ...]]] = {
    ("fetch", "timeout_seconds"): {
        "a valid number": ("10", True, None, [10]),
        "greater than 0": (0, -1, -0.5),
        "less than or equal to 86400": (86_401, 1e12),
        "a finite number": NOT_FINITE,
    },
    ("fetch", "deadline_seconds"): {
        "a valid number": ("300", True, None, [300]),
        "greater than 0": (0, -1, -0.5),
        "less than or equal to 86400": (86_401, 1e12),
        "a finite number": NOT_FINITE,
    },
    ("decode", "validation_fraction"): {
        "a valid number": ("0.1", True, None, [0.1]),
        "greater than 0": (0, 0.0, -0.1),
        "less than 1": (1, 1.0, 10),
        "a finite number": NOT_FINITE,
    },
    ("decode", "seed"): {
        "a valid integer": ("0", True, None, 0.0, 1.5, [0], math.nan),
        "greater than or equal to 0": (-1,),
        "less than 4294967296": (2**32, 2**64),
    },
    ("decode", "added_repeats"): {
        "a valid integer": ("10", True, None, 10.0),
        "greater than or equal to 0": (-1,),
        "less than or equal to 1000": (1001,),
    },
    ("train", "recipe"): {
        "a valid string": (5, True, None, ["cnn"]),
    },
    ("train", "seed"): {
        "a valid integer": ("0", False, None, 0.0),
        "greater than or equal to 0": (-1,),
        "less than 4294967296": (2**32,),
    },
    ("train", "threads"): {
        "a valid integer": ("0", False, None, 0.0),
        "greater than or equal to 0": (-1,),
    },
    ("train", "devices"): {
        "a valid integer": ("1", False, None, 1.0),
        "greater than or equal to 1": (0, -1),
    },
    ("train", "epochs"): {
        "a valid integer": ("5", True, 5.0, [5]),
        "greater than or equal to 1": (0, -1),
    },
    ("train", "batch_size"): {
        "a valid integer": ("128", True, 128.0),
        "greater than or equal to 1": (0, -1),
    },
    ("train", "learning_rate"): {
        "a valid number": ("0.1", True),
        "greater than 0": (0, 0.0, -0.1),
        "a finite number": NOT_FINITE,
    },
    ("train", "precision"): {
        "'auto', 'float32' or 'bfloat16'": ("float16", 32, True),
    },
    ("evaluate", "batch_size"): {
        "a valid integer": ("500", True, None, 500.0),
        "greater than or equal to 1": (0, -1),
    },
    ("evaluate", "sample_count"): {
        "a valid integer": ("40", True, None, 40.0),
        "greater than or equal to 0": (-1,),
        "less than or equal to 200": (201,),
    },
    ("evaluate", "robustness_count"): {
        "a valid integer": ("2000", True, None, 2000.0),
        "greater than or equal to 1": (0, -1),
    },
    ("analyze", "gallery_pair_limit"): {
        "a valid integer": ("4", True, None, 4.0),
        "greater than or equal to 1": (0, -1),
    },
    ("analyze", "gallery_count"): {
        "a valid integer": ("40", True, None, 40.0),
        "greater than or equal to 0": (-1,),
        "less than or equal to 200": (201,),
    },
    (TRAINING_RECIPE, "layers"): {
        "a valid list": ({"Flatten": {}}, "Flatten", None),
        "at least 1 item": ([],),
    },
    (TRAINING_RECIPE, "loss"): {
        "'categorical_crossentropy' or 'sparse_categorical_crossentropy'": ("mse", None, 5),
    },
    (TRAINING_RECIPE, "optimizer"): {
        "a valid dictionary": ("Adam", ["Adam"], None),
        "one name with its arguments": ({}, {"Adam": {}, "SGD": {}}),
    },
    (TRAINING_RECIPE, "label_smoothing"): {
        "a valid number": ("0.1", None, True),
        "greater than or equal to 0": (-0.1,),
        "less than 1": (1, 1.0),
        "a finite number": (float("nan"),),
    },
    (TRAINING_RECIPE, "schedule"): {
        "'constant' or 'one_cycle'": ("cosine", None, 1),
    },
    (TRAINING_RECIPE, "warmup_fraction"): {
        "a valid number": ("0.1", None, True),
        "greater than or equal to 0": (-0.1,),
        "less than 1": (1, 1.0),
        "a finite number": (float("inf"),),
    },
    (TRAINING_RECIPE, "augmentation"): {
        "a valid dictionary": (True, 2.0, "shift", None),
    },
    (TRAINING_RECIPE, "callbacks"): {
        "a valid list": ({}, "EarlyStopping", None, True),
        "some of .*EarlyStopping": (
            [{"TensorBoard": {}}],
            [{"EarlyStopping": {"monitor": "loss"}}],
        ),
    },
    (TRAINING_RECIPE, "epochs"): {
        "a valid integer": ("10", True, None, 10.0),
        "greater than or equal to 1": (0, -1),
    },
    (TRAINING_RECIPE, "ensemble_size"): {
        "a valid integer": ("1", True, None, 1.0),
        "greater than or equal to 1": (0, -1),
        "less than or equal to 100": (101,),
    },
    (TRAINING_RECIPE, "test_time_shift"): {
        "a valid integer": ("1", True, None, 1.0),
        "greater than or equal to 0": (-1,),
        "less than or equal to 14": (15,),
    },
    (TRAINING_RECIPE, "precision"): {
        "'auto', 'float32' or 'bfloat16'": ("float16", 32, None),
    },
    (TRAINING_RECIPE, "temperature_scaling"): {
        "a valid boolean": ("true", 1, None, "on"),
    },
    (TRAINING_RECIPE, "batch_size"): {
        "a valid integer": ("128", True, None, 128.0),
        "greater than or equal to 1": (0, -1),
    },
}

# Deeper than a key of a section: what stands at the key, then the place within and the complaint.
ONE_NAME = "one name with its arguments, such as `Dropout: {rate: 0.5}`"
MILD = {"chance": 0.1, "strength": 1.0}
STILL = {"shift": 0, "angle": 0, "scale": 0, "shear": 0}
BAD_INNER_VALUES: list[tuple[tuple[str, str], Any, str]] = [
    *(
        ((TRAINING_RECIPE, "layers"), value, message)
        for value, message in (
            (["Flatten"], "0: expected a valid dictionary, received 'Flatten'"),
            ([{"Flatten": None}], "0.Flatten: expected a valid dictionary, received None"),
            ([{"Flatten": []}], "0.Flatten: expected a valid dictionary, received []"),
            ([{"A": {}}, {}], f"1: expected {ONE_NAME}, received {{}}"),
            ([{"A": {}, "B": {}}], f"0: expected {ONE_NAME}, received {{'A': {{}}, 'B': {{}}}}"),
        )
    ),
    *(
        (
            (TRAINING_RECIPE, "augmentation"),
            {**STILL, key: value},
            f"{key}: expected {expected}, received {value!r}",
        )
        for key, value, expected in (
            ("shift", 15, "less than or equal to 14"),
            ("angle", 181, "less than or equal to 180"),
            ("scale", 1, "less than 1"),
            ("shear", -0.1, "greater than or equal to 0"),
            ("angle", "10", "a valid number"),
            ("noise", 0.1, "a valid dictionary or instance of Effect"),
            ("polarity", 1.5, "less than or equal to 1"),
            ("fade_fraction", -0.5, "greater than or equal to 0"),
        )
    ),
    *(
        ((TRAINING_RECIPE, "augmentation"), {"blur": {**MILD, **changes}}, message)
        for changes, message in (
            ({"chance": 1.1}, "blur.chance: expected less than or equal to 1, received 1.1"),
            ({"strength": 0}, "blur.strength: expected greater than 0, received 0"),
            ({"limit": 1}, "blur.limit: unknown key"),
        )
    ),
    (
        (TRAINING_RECIPE, "optimizer"),
        {"Adam": None},
        "Adam: expected a valid dictionary, received None",
    ),
]


def kind_of(section: str) -> type[Section]:
    """Return the class of a section; importing a stage may import TensorFlow, so not before."""
    if section.startswith("recipes."):
        return Recipe
    module = importlib.import_module(f"pipeline.{section}")
    kind: type[Section] = getattr(module, f"{section.capitalize()}Params")
    return kind


def copy_shipped(section: str) -> dict[str, Any]:
    """Return the section alone, under its top-level key, to be changed."""
    top, _, recipe = section.partition(".")
    return {top: deepcopy({recipe: SHIPPED[top][recipe]} if recipe else SHIPPED[top])}


def find(values: dict[str, Any], section: str) -> dict[str, Any]:
    for part in section.split("."):
        values = values[part]
    return values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(values, sort_keys=False))  # which both YAMLs read alike


def load_refused(path: Path, section: str, kind: Any) -> str:
    """Return the message of the refusal, which is one line that starts with the file."""
    with pytest.raises(ConfigError) as raised:
        load_params(section, kind, path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert len(message.splitlines()) == 1
    return message.removeprefix(str(path))


@pytest.mark.checkout
class TestOwn:
    def test_dataset(self) -> None:
        assert load_params("dataset", str, OWN_PATH) == OWN["dataset"]

    @pytest.mark.parametrize("section", [*SECTIONS, *(f"recipes.{n}" for n in OWN["recipes"])])
    def test_section(self, section: str) -> None:
        params = load_params(section, kind_of(section), OWN_PATH)
        assert params.model_dump(exclude_unset=True) == find(OWN, section)

    def test_nothing_else_in_the_file(self) -> None:
        assert set(OWN) == {"dataset", *SECTIONS, "recipes"}

    def test_selected_recipe_exists(self) -> None:
        assert OWN["train"]["recipe"] in OWN["recipes"]


class TestShipped:
    def test_keys_are_those_of_the_checkout(self) -> None:
        assert {name: set(SHIPPED[name]) for name in SECTIONS} == {
            name: set(OWN[name]) for name in SECTIONS
        }

    def test_section_cannot_be_changed(self) -> None:
        params = load_params("decode", kind_of("decode"), PARAMS_PATH)
        with pytest.raises(ValidationError, match="frozen"):
            params.seed = 1  # type: ignore[attr-defined]

    def test_every_key_is_tested_below(self) -> None:
        keys = {
            (section, key)
            for section in (*SECTIONS, TRAINING_RECIPE)
            for key in kind_of(section).model_fields
        }
        assert keys == set(BAD_VALUES)


each_key = pytest.mark.parametrize(
    ("section", "key"), BAD_VALUES, ids=(f"{section}.{key}" for section, key in BAD_VALUES)
)


class TestKeys:
    @each_key
    def test_missing(self, section: str, key: str, path: Path) -> None:
        values = copy_shipped(section)
        find(values, section).pop(key, None)
        write(path, values)
        field = kind_of(section).model_fields[key]
        if not field.is_required():
            loaded = load_params(section, kind_of(section), path)
            assert getattr(loaded, key) == field.default
            return
        message = load_refused(path, section, kind_of(section))
        assert message == f": {section}.{key}: expected a value, received none (missing key)"

    @each_key
    def test_misspelt(self, section: str, key: str, path: Path) -> None:
        values = copy_shipped(section)
        keys = find(values, section)
        keys[key[:-1]] = keys.pop(key, None)
        write(path, values)
        message = load_refused(path, section, kind_of(section))
        missing = f"{section}.{key}: expected a value, received none (missing key)"
        assert (missing in message) == kind_of(section).model_fields[key].is_required()
        assert f"{section}.{key[:-1]}: unknown key (did you mean {key!r}?)" in message

    @each_key
    def test_unknown_beside_it(self, section: str, key: str, path: Path) -> None:
        values = copy_shipped(section)
        find(values, section)[f"xyzzy {key[0]}"] = 1
        write(path, values)
        message = load_refused(path, section, kind_of(section))
        assert message == f": {section}.xyzzy {key[0]}: unknown key"


def flatten_bad_values() -> Iterator[Any]:
    for at, expectations in BAD_VALUES.items():
        for expected, values in expectations.items():
            for value in values:
                yield pytest.param(at, value, expected, id=f"{'.'.join(at)}={value!r}")


def explain(at: tuple[str, str], value: Any, path: Path) -> str:
    """Return what is said of the shipped file if this value stood there."""
    section, key = at
    values = copy_shipped(section)
    find(values, section)[key] = value
    write(path, values)
    return load_refused(path, section, kind_of(section))


@pytest.mark.parametrize(("at", "value", "expected"), list(flatten_bad_values()))
def test_bad_value(at: tuple[str, str], value: Any, expected: str, path: Path) -> None:
    message = explain(at, value, path)
    where, received = re.escape(".".join(at)), re.escape(repr(value))
    assert re.fullmatch(f": {where}: expected .*{expected}.*, received {received}", message)


@pytest.mark.parametrize(("at", "value", "expected"), BAD_INNER_VALUES)
def test_bad_inner_value(at: tuple[str, str], value: Any, expected: str, path: Path) -> None:
    assert explain(at, value, path) == f": {'.'.join(at)}.{expected}"


@pytest.mark.parametrize("length", [1, 10, 1000])
def test_64_credentials_are_not_repeated(length: int, path: Path) -> None:
    address = "https://me:" + "secret" * length + "@example.org/"
    message = explain(("fetch", "timeout_seconds"), [address], path)
    assert "example.org" in message
    assert "secret" not in message
    assert len(message) < 200


def test_whole_number_is_a_number(path: Path) -> None:
    values = copy_shipped("fetch")
    values["fetch"]["timeout_seconds"] = 3
    write(path, values)
    params = load_params("fetch", kind_of("fetch"), path)
    assert params.model_dump()["timeout_seconds"] == 3.0


# Each line stands for ten times the one before: 10^12 words in all.
BILLION_LAUGHS = b"".join(
    [
        b"a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n",
        *(b"a%d: &a%d [%b]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 12)),
        b"numbers: *a11\n",
    ]
)


class Numbers(Section):
    real: float
    whole: int


# A plain value, what DVC takes it for, as YAML 1.2, and what PyYAML does, as YAML 1.1: each as both
# read it alike.
TRAPS = {
    "1e-3": ("0.001", "'1e-3'"),
    "010": ("10", "8"),
    "on": ("'on'", "true"),
    "12:30": ("'12:30'", "750"),
}
MORE_TRAPS = {
    "1E3": ("1000.0", "'1E3'"),
    "1e-7": ("1.0e-07", "'1e-7'"),
    "-25e-7": ("-2.5e-06", "'-25e-7'"),
    "1e16": ("1.0e+16", "'1e16'"),
    "1.5e5": ("150000.0", "'1.5e5'"),
    "1e400": (".inf", "'1e400'"),
    "-1e400": ("-.inf", "'-1e400'"),
    "-010": ("-10", "-8"),
    "09": ("9", "'09'"),
    "0o10": ("8", "'0o10'"),
    "._5": ("0.5", "'._5'"),
    "Off": ("'Off'", "false"),
    "yes": ("'yes'", "true"),
    "NO": ("'NO'", "false"),
    "-1:20": ("'-1:20'", "-80"),
    "1:2.5": ("'1:2.5'", "62.5"),
}
each_trap = pytest.mark.parametrize(
    ("trap", "spellings"), (TRAPS | MORE_TRAPS).items(), ids=TRAPS | MORE_TRAPS
)


def describe_trap(key: str, trap: str, spellings: tuple[str, str]) -> str:
    return (
        f": {key}: expected what YAML 1.1 and 1.2 read alike, received {trap}: "
        f"write {spellings[0]} (as DVC reads it) or {spellings[1]} (as PyYAML does)"
    )


@each_key
@pytest.mark.parametrize("trap", TRAPS)
def test_trap_of_yaml(trap: str, section: str, key: str, path: Path) -> None:
    values = copy_shipped(section)
    find(values, section)[key] = "TRAP"
    write(path, values)
    path.write_text(path.read_text().replace("TRAP", trap))
    message = load_refused(path, section, kind_of(section))
    assert message == describe_trap(f"{section}.{key}", trap, TRAPS[trap])


@pytest.mark.checkout
def test_own_files_are_read_alike() -> None:
    for folder in (ROOT, ROOT / "benchmarks", ROOT / "datasets"):
        for path in folder.glob("*.yaml"):
            assert load_params("", Any, path)


class TestYaml:
    @each_trap
    def test_trap_is_refused(self, trap: str, spellings: tuple[str, str], path: Path) -> None:
        path.write_text(f"other: {trap}\nfree:\n  - {{fine: 1, key: {trap}}}\n")
        message = load_refused(path, "free", Any)
        assert message == describe_trap("free.0.key", trap, spellings)

    @each_trap
    def test_trap_as_a_key_is_refused(
        self, trap: str, spellings: tuple[str, str], path: Path
    ) -> None:
        path.write_text(f"free:\n  {trap}: 1\n")
        message = load_refused(path, "free", Any)
        value = YAML(typ="safe").load(trap)
        assert message == describe_trap(f"free.{value}", trap, spellings)

    @each_trap
    def test_proposed_spelling_is_what_it_says(
        self, trap: str, spellings: tuple[str, str], path: Path
    ) -> None:
        for spelling, value in zip(
            spellings, (YAML(typ="safe").load(trap), yaml.safe_load(trap)), strict=True
        ):
            path.write_text(f"free: {spelling}")
            loaded = load_params("free", Any, path)
            assert (type(loaded), loaded) == (type(value), value)

    @pytest.mark.parametrize(
        "text",
        [
            *("1.0e-3", "1_000", "+1", "1.", ".5", "0x10", "0b1", "00", ".inf", ".nan", "~", ""),
            *("true", "True", "'on'", "'1e-3'", "y", "1,000", "1e-3x", "2026-01-01", "{1: a}"),
            *("[.nan, 1]", "'='", '"<<"', "|\n  on", "e-3"),
        ],
    )
    def test_what_both_read_alike_is_taken(self, text: str, path: Path) -> None:
        path.write_text(f"free: {text}")
        value = yaml.safe_load(f"free: {text}")["free"]
        assert repr(load_params("free", Any, path)) == repr(value)

    @pytest.mark.parametrize("section", ["on", "deep.on"])
    def test_trap_in_the_name_of_a_section_is_refused(self, section: str, path: Path) -> None:
        path.write_text("on: 1\ndeep:\n  on: 1\n")
        message = load_refused(path, section, Any)
        assert message == describe_trap(section, "on", ("'on'", "true"))

    @pytest.mark.parametrize("rate", ["0.00001", "1e-5", "1.0e-05", "1e20", "25e-7"])
    def test_exponents_that_dvc_writes_are_taken(self, rate: str, path: Path) -> None:
        path.write_text(PARAMS_PATH.read_text())
        apply_overrides(path, [f"train.learning_rate={rate}"])  # what `dvc exp run -S` calls
        params = load_params("train", kind_of("train"), path).model_dump()
        assert params["learning_rate"] == float(rate)

    @pytest.mark.parametrize("section", ["", "free"])
    def test_number_that_python_cannot_write_is_refused(self, section: str, path: Path) -> None:
        path.write_text("free: {? 0x1" + "0" * 5000 + " : 010}")
        message = load_refused(path, section, Any)
        assert "free.an integer of 20001 bits: expected what YAML" in message

    def test_number_that_pyyaml_cannot_compute_is_refused(self, path: Path) -> None:
        path.write_text("free: 1:" + "0:" * 200 + "0.5")
        message = load_refused(path, "free", Any)
        assert "expected what YAML 1.1 and 1.2 read alike, received 1:0:0:" in message
        assert len(message) < 400

    def test_billion_laughs_take_no_memory(self, path: Path) -> None:
        path.write_bytes(BILLION_LAUGHS)
        tracemalloc.start()
        try:
            message = load_refused(path, "numbers", Any)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert message == ", line 1: expected values written out, received the anchor &a0"
        assert peak < 1_000_000

    @pytest.mark.parametrize(
        ("real", "whole", "values"),
        [
            ("1.0e-3", "0", (0.001, 0)),
            ("5.", "+1", (5.0, 1)),
            (".5", "-1", (0.5, -1)),
            ("1", "0x10", (1.0, 16)),
        ],
    )
    def test_numbers(self, real: str, whole: str, values: tuple[float, int], path: Path) -> None:
        path.write_text(f"numbers: {{real: {real}, whole: {whole}}}")
        loaded = load_params("numbers", Numbers, path)
        assert (loaded.real, loaded.whole) == values

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("'on'", "on"),
            ("1e-3x", "1e-3x"),
            ("1,000", "1,000"),
            ("1 000", "1 000"),
            ('"5"', "5"),
            ("true", True),
            ("~", None),
            ("", None),
        ],
    )
    @pytest.mark.parametrize(("key", "kind"), [("real", "number"), ("whole", "integer")])
    def test_no_numbers(self, key: str, kind: str, text: str, value: Any, path: Path) -> None:
        numbers = {"real": "1.5", "whole": "1", key: text}
        path.write_text("numbers:\n" + "\n".join(f"  {k}: {v}" for k, v in numbers.items()))
        message = load_refused(path, "numbers", Numbers)
        assert message == f": numbers.{key}: expected a valid {kind}, received {value!r}"

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "expected the key 'numbers'"),
            (b"# nothing\n", "expected the key 'numbers'"),
            (b"- numbers\n", "expected the key 'numbers'"),
            (b"numbers", "expected the key 'numbers'"),
            (b"number: 1\n", r"expected the key 'numbers' \(did you mean 'number'\?\)"),
            (b"numbers:\n", "numbers: expected a valid dictionary .*, received None"),
            (b"numbers: [1, 1]\n", r"numbers: expected a valid dictionary .*, received \[1, 1\]"),
            (
                b"numbers:\n  real: 1\n  whole: 1\n  real: 2\n",
                'line 4: expected YAML, found duplicate key "real"',
            ),
            (b"numbers: {}\nnumbers: {}\n", 'line 2: .* duplicate key "numbers"'),
            (b"numbers: {real: 1\n", "line 2: expected YAML, .*expected ',' or '}'"),
            (b"numbers:\n\treal: 1\n", "line 2: expected YAML, found character "),
            (b"numbers: {real: 1\t}\n", "line 1: expected YAML, found character "),
            (b"a: b: c\n", "line 1: expected YAML, mapping values are not allowed"),
            (b"numbers: *real\n", r"line 1: .* written out, received the alias \*real"),
            (b"a: 1\nnumbers: &real 1\n", "line 2: .* written out, received the anchor &real"),
            (b"numbers: !!python/object:os.x {}\n", "line 1: .* the tag 'tag:yaml.org.*:os.x'"),
            (b"numbers: !!bool x\n", "line 1: .* the tag 'tag:yaml.org,2002:bool'"),
            (b"numbers: [!!set {a}]\n", "line 1: .* the tag 'tag:yaml.org,2002:set'"),
            (b"numbers: =\n", "line 1: .* received =, which has a meaning in YAML 1.1: write '='"),
            (b"numbers: {<<: {real: 1}}\n", "line 1: .* received <<, .* write '<<'"),
            (b"numbers: {[real]: 1}\n", "line 1: expected a text as a key, received brackets"),
            (b"a: 1\nnumbers:\n- ? - ? \n", "line 3: expected a text as a key, received brackets"),
            (b"numbers: {}\n---\na: 1\n", "line 2: expected YAML, but found another document"),
            (b"numbers: \xff\n", "expected YAML, 'utf-8' codec can't decode byte 0xff"),
            ("numbers: {}\n".encode("utf-16"), "expected YAML, 'utf-8' codec can't decode"),
            (b"numbers: \0\n", "expected YAML, .* characters are not allowed"),
            (b"numbers: \x1b[0m\n", "expected YAML, .* characters are not allowed"),
            (b"numbers: " + b"[" * 100_000, "line 1: .* received brackets within brackets"),
            (b"numbers: " + b"{a: " * 100_000, "line 1: .* received brackets within brackets"),
            (b"numbers: " + b"[" * 900 + b"]" * 900, "received brackets within brackets"),
            (b"numbers:\n" + b"- " * 100_000, "line 2: .* received brackets within brackets"),
            (b"numbers:\t" + b"[" * 100_000, "line 1: expected YAML, found character "),
            (b'numbers: {"re\\nal": 1}\n', r"numbers\.re\\nal: unknown key .did you mean 'real'"),
            (b"numbers: {real: 1, whole: [0x1" + b"0" * 5000 + b"]}", "an integer of 20001 bits"),
            (BILLION_LAUGHS, "line 1: expected values written out, received the anchor &a0"),
        ],
        ids=[
            "empty",
            "comment",
            "list",
            "word",
            "misspelt-section",
            "null-section",
            "list-section",
            "duplicate-key",
            "duplicate-section",
            "unclosed",
            "tab",
            "tab-in-brackets",
            "two-colons",
            "alias",
            "anchor",
            "tag",
            "tag-that-cannot-be",
            "tag-in-list",
            "equals",
            "merge",
            "list-as-key",
            "map-in-list-as-key",
            "second-document",
            "not-utf-8",
            "utf-16",
            "nul",
            "escape",
            "nested-lists",
            "nested-maps",
            "closed-lists",
            "nested-block",
            "nested-lists-after-tab",
            "key-of-two-lines",
            "long-integer",
            "billion-laughs",
        ],
    )
    def test_file_refused(self, data: bytes, message: str, path: Path) -> None:
        path.write_bytes(data)
        assert re.search(message, load_refused(path, "numbers", Numbers))

    def test_missing_file(self, path: Path) -> None:
        message = load_refused(path, "numbers", Numbers)
        assert message == ": expected a file, received none"

    @pytest.mark.parametrize(
        ("section", "message"),
        [
            ("recipes.cmn", ": recipes: expected the key 'cmn' (did you mean 'cnn'?)"),
            ("recipes.xyzzy", ": recipes: expected the key 'xyzzy'"),
            ("recipe.cnn", ": expected the key 'recipe' (did you mean 'recipes'?)"),
            ("recipes.cnn.epochs.first", ": recipes.cnn.epochs: expected the key 'first'"),
        ],
    )
    def test_dotted_path_that_leads_nowhere(self, section: str, message: str, path: Path) -> None:
        write(path, {"recipes": {"cnn": {"epochs": 1}}})
        assert load_refused(path, section, Recipe) == message

    def test_dotted_path(self, path: Path) -> None:
        write(path, {"a": {"b": {"real": 1.5, "whole": 1}}})
        assert load_params("a.b", Numbers, path) == Numbers(real=1.5, whole=1)
