"""Load sections of `params.yaml`, strictly: every key typed, in range, known and present."""

import re
import reprlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from digits.errors import DigitsError

PARAMS_PATH = Path("params.yaml")
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
            raise ParamsError(f"{where}: expected the key {key!r}{_did_you_mean(key, known)}")
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
            return f"{key}: unknown key{_did_you_mean(str(details['loc'][-1]), known)}"
        case _:
            expected = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            return f"{key}: expected {expected}, received {SHORTENED.repr(details['input'])}"


def _did_you_mean(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
