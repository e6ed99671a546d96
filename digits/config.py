"""YAML files as typed, frozen sections: every key known, of its type and in range.

pydantic checks the values. What begins here is YAML itself: DVC reads it by version 1.2, PyYAML and
most other tools by 1.1, and a value that these take for two different ones is refused.
"""

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits.errors import DigitsError

PARAMS_PATH = Path("params.yaml")
LONGEST = 120  # letters of a value in a message

T = TypeVar("T")


class ConfigError(DigitsError):
    """A file or a key is missing, unknown, of the wrong type or out of range."""


class Section(BaseModel):
    """Base of a section: immutable, no conversion ('5' is no int), no unknown key, no NaN."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def load_params(section: str, kind: type[T], path: Path = PARAMS_PATH) -> T:
    """Load the section at a dotted path, such as `train.recipe`, as `kind`; without one, the file.

    Raises:
        ConfigError: one line with file, key, expected and received.
    """
    values = load_yaml(path)
    for key in filter(None, section.split(".")):
        if not isinstance(values, dict) or key not in values:
            hint = did_you_mean(key, values if isinstance(values, dict) else ())
            raise ConfigError(f"{path}: expected the key {section!r}, received no {key!r}{hint}")
        values = values[key]
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe_errors(section, kind, error)}") from error


def load_named(folder: Path, name: str, kind: type[T], where: str) -> T:
    """Load the whole of `folder/name.yaml`; `where` is the key that names it.

    Raises:
        ConfigError: there is no such file: lists those of the folder; or as `load_params`.
    """
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"{where}: expected a file of {folder}/, one of {', '.join(known) or 'none'}, "
            f"received {name!r}{did_you_mean(name, known)}"
        )
    return load_params("", kind, folder / f"{name}.yaml")


def load_yaml(path: Path) -> Any:
    """Return what a file says, by YAML 1.2.

    Raises:
        ConfigError: it is no YAML, has an alias, or YAML 1.1 reads one of its values differently.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if "\n<<<<<<< " in f"\n{text}":
            raise ConfigError(f"{path}: expected YAML, received the conflict of a merge")
        values = YAML(typ="safe").load(text)
        # DVC does not keep an alias when it writes the file, and a few can stand for billions.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ConfigError(f"{path}: expected values written out, received an alias (`*name`)")
        other = yaml.safe_load(text)  # in Python: the parser in C takes tabs that others refuse
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: expected a file, received none") from error
    except (YAMLError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{where}: expected YAML, {reason}") from error
    except (ValueError, OverflowError, RecursionError) as error:  # no UTF-8, no number, too deep
        raise ConfigError(f"{path}: expected YAML, {error}") from error
    _check_alike(path, (), values, other)
    return values


def _check_alike(path: Path, keys: tuple[object, ...], value: Any, other: Any) -> None:
    """Refuse a value that YAML 1.1 takes for another one, such as `on`, `010` or `12:30`."""
    match value, other:
        case dict(), dict() if len(value) == len(other):
            for key, other_key in zip(value, other, strict=True):
                _check_alike(path, keys, key, other_key)
                _check_alike(path, (*keys, key), value[key], other[other_key])
        case list(), list():
            for entry, other_entry in zip(value, other, strict=True):
                _check_alike(path, keys, entry, other_entry)
        case float(), str():  # an exponent, as `dvc exp run -S` writes it: 1e-05
            pass
        case _ if repr(value) != repr(other):
            spelled = [json.dumps(reading, default=str) for reading in (value, other)]
            where = ": ".join(filter(None, (str(path), ".".join(map(str, keys)))))
            raise ConfigError(
                f"{where}: expected a value that all tools read alike, received one that is "
                f"{value!r} for DVC (YAML 1.2) and {other!r} for PyYAML (1.1): write "
                f"{' or '.join(spelled)}"
            )


def describe_errors(section: str, kind: Any, error: ValidationError) -> str:
    """Say in one line at which keys of a section what was expected and received."""
    return "; ".join(_describe(section, kind, details) for details in error.errors())


def _describe(section: str, kind: Any, details: ErrorDetails) -> str:
    parts = (section, *details["loc"])
    key = ".".join(str(part) for part in parts if part not in ("", "[key]"))
    where, received = f"{key}: " if key else "", details["input"]
    match details["type"]:
        case "missing":
            return f"{where}expected a value, received none (missing key)"
        case "extra_forbidden":
            known = getattr(kind, "model_fields", ()) if len(details["loc"]) == 1 else ()
            return f"{where}unknown key{did_you_mean(str(details['loc'][-1]), known)}"
        case "int_type" if isinstance(received, float) and received.is_integer():
            return f"{where}expected a whole number, received {received!r}: write {received:.0f}"
    expected = re.sub(r"^(Input should be|Value error,) | or instance of \w+", "", details["msg"])
    shown = repr(received)[:LONGEST]
    if isinstance(received, str) and re.search("@|//.*[?]", received):
        shown = "an address that may have a password"
    return f"{where}expected {expected}, received {shown}"


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """Say which known word is meant, if one is close; case and underscores do not count."""
    plain = {word.replace("_", "").lower(): word for word in map(str, known)}
    close = get_close_matches(key.replace("_", "").lower(), plain, n=1)
    return f" (did you mean {plain[close[0]]!r}?)" if close else ""
