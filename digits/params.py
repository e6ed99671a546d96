"""Load sections of `params.yaml`, strictly: every key typed, in range, known and present."""

import re
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
    except (YAMLError, ValueError) as error:  # characters that YAML does not allow, or not UTF-8
        raise ParamsError(f"{path}: expected YAML, {str(error).splitlines()[0]}") from error


def _explain(section: str, kind: Any, details: ErrorDetails) -> str:
    key = ".".join([section, *(str(part) for part in details["loc"])])
    match details["type"]:
        case "missing":
            return f"{key}: expected a value, received none (missing key)"
        case "extra_forbidden":
            known = list(kind.model_fields) if len(details["loc"]) == 1 else []
            return f"{key}: unknown key{_did_you_mean(str(details['loc'][-1]), known)}"
        case _:
            expected = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            received = CREDENTIALS.sub("//***@", repr(details["input"]))
            return f"{key}: expected {expected}, received {received}"


def _did_you_mean(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
