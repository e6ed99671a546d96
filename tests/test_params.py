"""Sections of `params.yaml`: the shipped ones load, and every mistake is refused in one line."""

import importlib
import math
import re
from ast import literal_eval
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from digits.data.datasets import DatasetName
from digits.files.params import Params, ParamsError, load_params
from digits.model.recipes import Recipe

PARAMS_PATH = Path(__file__).parent.parent / "params.yaml"
SHIPPED: dict[str, Any] = YAML(typ="safe").load(PARAMS_PATH)
SECTIONS = ("fetch", "decode", "train", "evaluate", "analyze")
TRAINING_RECIPE = f"recipes.{SHIPPED['train']['recipe']}"
NOT_FINITE = (math.nan, math.inf, -math.inf)

# What a key refuses, and what it says it expects.
BAD_VALUES: dict[tuple[str, str], dict[str, tuple[Any, ...]]] = {
    ("fetch", "mirrors"): {
        "a valid dictionary": ([], "https://example.org/", None),
    },
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
        "'float32' or 'bfloat16'": ("float16", 32, None),
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
    ("analyze", "strip_count"): {
        "a valid integer": ("8", True, None, 8.0),
        "greater than or equal to 1": (0, -1),
        "less than or equal to 30": (31,),
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
    (TRAINING_RECIPE, "temperature_scaling"): {
        "a valid boolean": ("true", 1, None, "on"),
    },
    (TRAINING_RECIPE, "batch_size"): {
        "a valid integer": ("128", True, None, 128.0),
        "greater than or equal to 1": (0, -1),
    },
}

# Deeper than a key of a section: what stands at the key, then the place within and the complaint.
HTTPS = "an https:// address without credentials, query or fragment"
ONE_NAME = "one name with its arguments, such as `Dropout: {rate: 0.5}`"
MIRROR = "a local folder or an https:// address"
STILL = {"shift": 0, "angle": 0, "scale": 0, "shear": 0}
BAD_INNER_VALUES: list[tuple[tuple[str, str], Any, str]] = [
    (("fetch", "mirrors"), {"mnist": "a"}, "mnist: expected a valid list, received 'a'"),
    (("fetch", "mirrors"), {"mnist": ["a", 5]}, "mnist.1: expected a valid string, received 5"),
    *(
        (("fetch", "mirrors"), {"mnist": [it]}, f"mnist.0: expected {expected}, received {it!r}")
        for it, expected in (
            ("http://example.org/", MIRROR),
            ("ftp://example.org/", MIRROR),
            ("file:///etc", MIRROR),
            ("https://", MIRROR),
            ("https://example.org/?a=b", HTTPS),
            ("https://example.org/#a", HTTPS),
        )
    ),
    (
        ("fetch", "mirrors"),
        {"mnits": []},
        "mnits.[key]: expected 'mnist', 'fashion-mnist', 'kmnist' or 'optdigits', received 'mnits'",
    ),
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
        )
    ),
    (
        (TRAINING_RECIPE, "optimizer"),
        {"Adam": None},
        "Adam: expected a valid dictionary, received None",
    ),
]


def kind_of(section: str) -> type[Params]:
    """Return the class of a section; importing a stage may import TensorFlow, so not before."""
    if section.startswith("recipes."):
        return Recipe
    module = importlib.import_module(f"pipeline.{section}")
    kind: type[Params] = getattr(module, f"{section.capitalize()}Params")
    return kind


def copy_shipped(section: str) -> dict[str, Any]:
    """Return what `params.yaml` has under the section's top-level key, to be changed."""
    top = section.split(".", maxsplit=1)[0]
    return {top: deepcopy(SHIPPED[top])}


def find(values: dict[str, Any], section: str) -> dict[str, Any]:
    for part in section.split("."):
        values = values[part]
    return values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def write(path: Path, values: dict[str, Any]) -> None:
    YAML(typ="safe").dump(values, path)


def load_refused(path: Path, section: str, kind: Any) -> str:
    """Return the message of the refusal, which is one line that starts with the file."""
    with pytest.raises(ParamsError) as raised:
        load_params(section, kind, path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert len(message.splitlines()) == 1
    return message.removeprefix(str(path))


class TestShipped:
    def test_dataset(self) -> None:
        assert load_params("dataset", DatasetName, PARAMS_PATH) == SHIPPED["dataset"]

    @pytest.mark.parametrize("section", [*SECTIONS, *(f"recipes.{n}" for n in SHIPPED["recipes"])])
    def test_section(self, section: str) -> None:
        params = load_params(section, kind_of(section), PARAMS_PATH)
        assert params.model_dump(exclude_unset=True) == find(SHIPPED, section)

    def test_nothing_else_in_the_file(self) -> None:
        assert set(SHIPPED) == {"dataset", *SECTIONS, "recipes"}

    def test_selected_recipe_exists(self) -> None:
        assert SHIPPED["train"]["recipe"] in SHIPPED["recipes"]

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


def test_64_credentials_are_not_repeated(path: Path) -> None:
    mirrors = {"mnist": ["https://me:secret@example.org/"]}
    message = explain(("fetch", "mirrors"), mirrors, path)
    assert f"mnist.0: expected {HTTPS}, received" in message
    assert "secret" not in message


@pytest.mark.parametrize("length", [10, 1000])
def test_64_credentials_are_not_repeated_when_cut_short(length: int, path: Path) -> None:
    mirrors = ["https://me:" + "secret" * length + "@example.org/"]
    message = explain(("fetch", "mirrors"), mirrors, path)
    assert "example.org" in message
    assert "secret" not in message
    assert len(message) < 200


def test_whole_number_is_a_number(path: Path) -> None:
    values = copy_shipped("fetch")
    values["fetch"]["timeout_seconds"] = 3
    write(path, values)
    params = load_params("fetch", kind_of("fetch"), path)
    assert params.model_dump()["timeout_seconds"] == 3.0


@pytest.mark.parametrize("value", ["MNIST", "mnits", "", 5, None, ["mnist"]], ids=repr)
def test_bad_dataset(value: Any, path: Path) -> None:
    write(path, {"dataset": value})
    message = load_refused(path, "dataset", DatasetName)
    expected = "'mnist', 'fashion-mnist', 'kmnist' or 'optdigits'"
    assert message == f": dataset: expected {expected}, received {value!r}"


# Each line stands for ten times the one before: 10^12 words in all.
BILLION_LAUGHS = b"".join(
    [
        b"a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n",
        *(b"a%d: &a%d [%b]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 12)),
        b"numbers: *a11\n",
    ]
)


class Numbers(Params):
    real: float
    whole: int


# As YAML 1.2 has it; to YAML 1.1, which other programs read, the first four are a text, 8, true
# and 750.
TRAPS = {"1e-3": 0.001, "010": 10, "on": "on", "12:30": "12:30", "~": None}


def take(section: str, key: str, path: Path) -> Any:
    """Return what the key was taken for, be it in a refusal."""
    try:
        return load_params(section, kind_of(section), path).model_dump()[key]
    except ParamsError as error:
        return literal_eval(
            str(error).rpartition(f"{key}: expected ")[2].rpartition("received ")[2]
        )


@each_key
@pytest.mark.parametrize("trap", TRAPS)
def test_trap_of_yaml(trap: str, section: str, key: str, path: Path) -> None:
    """A trap is taken at its YAML 1.2 value, or refused as that."""
    values = copy_shipped(section)
    find(values, section)[key] = "TRAP"
    write(path, values)
    path.write_text(path.read_text().replace("TRAP", trap))
    assert take(section, key, path) == TRAPS[trap]


class TestYaml:
    @pytest.mark.parametrize(
        ("real", "whole", "values"),
        [
            ("1e-3", "0", (0.001, 0)),
            ("1E3", "0", (1000.0, 0)),
            ("5.", "+1", (5.0, 1)),
            (".5", "-1", (0.5, -1)),
            ("1", "010", (1.0, 10)),  # octal in YAML 1.1
            ("1", "0o10", (1.0, 8)),
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
            ("on", "on"),
            ("off", "off"),
            ("yes", "yes"),
            ("no", "no"),
            ("12:30", "12:30"),
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
            (b"numbers: {real: 1\n", "line 2: expected YAML, expected ',' or '}'"),
            (b"numbers:\n\treal: 1\n", "line 2: expected YAML, found character '.t'"),
            (b"a: b: c\n", "line 1: expected YAML, mapping values are not allowed here"),
            (b"numbers: *real\n", "line 1: expected YAML, found undefined alias"),
            (b"numbers: !!python/object:os.x {}\n", "line 1: expected YAML, could not determine"),
            (b"numbers: {}\n---\na: 1\n", "line 2: expected YAML, but found another document"),
            (b"numbers: \xff\n", "expected YAML, 'utf-8' codec can't decode byte 0xff"),
            ("numbers: {}\n".encode("utf-16"), "expected YAML, 'utf-8' codec can't decode"),
            (b"numbers: \0\n", "expected YAML, .*special characters are not allowed"),
            (b"numbers: \x1b[0m\n", "expected YAML, .*special characters are not allowed"),
            (b"numbers: " + b"[" * 100_000, "expected YAML, received brackets within brackets"),
            (b"numbers: " + b"{a: " * 100_000, "expected YAML, received brackets within brackets"),
            (b'numbers: {"re\\nal": 1}\n', r"numbers\.re\\nal: unknown key .did you mean 'real'"),
            (b"numbers: {real: 1, whole: [0x1" + b"0" * 5000 + b"]}", "an integer of 20001 bits"),
            (BILLION_LAUGHS, r"numbers: expected a valid dictionary .*, received \[\["),
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
            "two-colons",
            "alias",
            "tag",
            "second-document",
            "not-utf-8",
            "utf-16",
            "nul",
            "escape",
            "nested-lists",
            "nested-maps",
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
