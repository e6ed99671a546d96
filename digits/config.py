"""YAML files as typed, frozen sections: every key known, of its type and in range.

pydantic checks the values. YAML is read as DVC reads it, by version 1.2: `on` is a text.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits.errors import DigitsError, mask_urls

PARAMS_PATH = Path("params.yaml")
LONGEST = 120  # letters of a value in a message

T = TypeVar("T")


class ConfigError(DigitsError):
    """A file or a key is missing, unknown, of the wrong type or out of range."""


class Section(BaseModel):
    """Base of a section: immutable, no conversion ('5' is no int), no unknown key, no NaN."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def load_params(section: str, kind: type[T], path: Path = PARAMS_PATH) -> T:
    """Load the section at a dotted path, such as `train.recipe`, as `kind`; "" is the whole file.

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
    """Load a file of YAML 1.2.

    Raises:
        ConfigError: it is missing, is not YAML, or has merge conflicts.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if "\n<<<<<<< " in f"\n{text}":
            raise ConfigError(f"{path}: expected YAML, received the conflict of a merge")
        return YAML(typ="safe").load(text)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: expected a file, received none") from error
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{where}: expected YAML, {reason}") from error
    except ValueError as error:  # no UTF-8
        raise ConfigError(f"{path}: expected YAML, {error}") from error


def describe_errors(section: str, kind: Any, error: ValidationError) -> str:
    """Write in one line what was expected and received at which keys of a section."""
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
    shown = mask_urls(repr(received))[:LONGEST]
    # A password with a blank or a quote is what makes an address wrong, and is not masked whole.
    if isinstance(received, str) and re.search("@|//.*[?]", received):
        shown = "an address that may have a password"
    return f"{where}expected {expected}, received {shown}"


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """Suggest the closest known word, if one is close; case and underscores are ignored."""
    plain = {word.replace("_", "").lower(): word for word in map(str, known)}
    close = get_close_matches(key.replace("_", "").lower(), plain, n=1)
    return f" (did you mean {plain[close[0]]!r}?)" if close else ""
