"""Load sections of `params.yaml`, strictly: every key typed, in range, known and present."""

import math
import re
import reprlib
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from digits.errors import DigitsError

PARAMS_PATH = Path("params.yaml")
# Texts that were meant as something else: YAML 1.2 has only true and false, and quotes make texts.
NO_TEXT = re.compile(r"on|off|yes|no|true|false|[-+]?(nan|inf|[\d_.]+(e[-+]?\d+)?)", re.IGNORECASE)
CREDENTIALS = re.compile(r"//[^/\s]*@")  # of an address: an error must not repeat them

T = TypeVar("T")


class _Repr(reprlib.Repr):
    """Show a value in a few words: a few lines of YAML can stand for billions of elements."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxlist, self.maxstring = 4, 12, 12, 80

    def repr_str(self, text: str, level: int) -> str:
        # Before it is cut short: what is left of a password is still a part of it.
        return super().repr_str(CREDENTIALS.sub("//***@", text), level)

    def repr_int(self, number: int, level: int) -> str:
        # Python refuses to write integers of thousands of digits.
        bits = number.bit_length()
        return super().repr_int(number, level) if bits < 128 else f"an integer of {bits} bits"


SHORTENED = _Repr()


class ParamsError(DigitsError):
    """A key of `params.yaml` is unknown, missing, of the wrong type or out of range."""


class Params(BaseModel):
    """Base of a section: immutable, no conversion ('5' is no int), no unknown key, no NaN."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


@overload
def load_params(section: str, kind: type[T], path: Path = PARAMS_PATH) -> T: ...
@overload
def load_params(section: str, kind: Any, path: Path = PARAMS_PATH) -> Any: ...
def load_params(section: str, kind: Any, path: Path = PARAMS_PATH) -> Any:
    """Load the section at a dotted path, such as `train` or `recipes.cnn`, as `kind`.

    The file is parsed as YAML 1.2 by the parser that DVC uses, so both see the same values.

    Raises:
        ParamsError: one line with section, key, expected and received.
    """
    values = _load_yaml(path)
    walked: list[str] = []
    for key in section.split("."):
        if not isinstance(values, dict) or key not in values:
            where = f"{path}: {'.'.join(walked)}" if walked else str(path)
            known = [str(name) for name in values] if isinstance(values, dict) else []
            raise ParamsError(f"{where}: expected the key {key!r}{did_you_mean(key, known)}")
        values = values[key]
        walked.append(key)
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        lines = "; ".join(_explain(section, kind, details) for details in error.errors())
        raise ParamsError(f"{path}: {lines}") from error


def _load_yaml(path: Path) -> Any:
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: expected a file, received none") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ParamsError(f"{path}, line {line}: expected YAML, {error.problem}") from error
    except RecursionError as error:
        raise ParamsError(f"{path}: expected YAML, received brackets within brackets") from error
    except (YAMLError, ValueError) as error:  # characters that YAML does not allow, or not UTF-8
        raise ParamsError(f"{path}: expected YAML, {str(error).splitlines()[0]}") from error


def _explain(section: str, kind: Any, details: ErrorDetails) -> str:
    key = ".".join([section, *(str(part) for part in details["loc"])])
    key = key if key.isprintable() else repr(key)[1:-1]  # a key may hold line feeds
    match details["type"]:
        case "missing":
            return f"{key}: expected a value, received none (missing key)"
        case "extra_forbidden":
            known = list(kind.model_fields) if len(details["loc"]) == 1 else []
            return f"{key}: unknown key{did_you_mean(str(details['loc'][-1]), known)}"
        case _:
            expected = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            return f"{key}: expected {expected}, received {SHORTENED.repr(details['input'])}"


def walk_values(value: Any) -> Iterator[Any]:
    """Yield what a value holds, however deep its lists are nested."""
    if isinstance(value, list):
        for entry in value:
            yield from walk_values(entry)
    else:
        yield value


def check_plain(key: str, value: Any) -> None:
    """Refuse a value of a free key that is another one than it looks.

    Raises:
        ValueError: a text that looks like a number or a switch, NaN, infinity, a date.
    """
    if isinstance(value, str) and NO_TEXT.fullmatch(value):
        raise ValueError(f"{key} as a number, true or false, not as the text {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{key} as a finite number, not {value}")
    if value is not None and not isinstance(value, str | float | int):
        raise ValueError(f"{key} as a number, a text, true or false, not as {value!r}")


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """Say which known word is meant, if one is close; case and underscores do not count."""
    plain = {_simplify(word): word for word in known}
    close = get_close_matches(_simplify(key), plain, n=1)
    return f" (did you mean {plain[close[0]]!r}?)" if close else ""


def _simplify(word: str) -> str:
    return word.replace("_", "").lower()
