"""Load sections of `params.yaml`, strictly: every key typed, in range, known and present."""

import copy
import math
import re
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, overload

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from yaml.constructor import SafeConstructor

from digits.errors import DigitsError
from digits.urls import mask_url

PARAMS_PATH = Path("params.yaml")
# Texts that were meant as something else: YAML 1.2 has only true and false, and quotes make texts.
NO_TEXT = re.compile(r"on|off|yes|no|true|false|[-+]?(nan|inf|[\d_.]+(e[-+]?\d+)?)", re.IGNORECASE)
# PyYAML's parser in C: the nodes of `yaml.safe_load` in a tenth of the time. A tab may pass it.
PYYAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What a terminal obeys, and what turns the order of letters around; neither shows itself.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
DEEPEST = 100  # of lists and mappings, one in the other: far more than any recipe needs

T = TypeVar("T")


class _Repr(reprlib.Repr):
    """Show a value in a few words: a few lines of YAML can stand for billions of elements."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxlist, self.maxstring = 4, 12, 12, 80

    def repr_str(self, text: str, level: int) -> str:
        # Before it is cut short: what is left of a password is still a part of it.
        return super().repr_str(mask_url(text), level)

    def repr_int(self, number: int, level: int) -> str:
        # Python refuses to write integers of thousands of digits.
        bits = number.bit_length()
        return super().repr_int(number, level) if bits < 128 else f"an integer of {bits} bits"


SHORTENED = _Repr()


class ConfigError(DigitsError):
    """A key of `params.yaml` is unknown, missing, of the wrong type or out of range."""


class Section(BaseModel):
    """Base of a section: immutable, no conversion ('5' is no int), no unknown key, no NaN."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


@overload
def load_params(section: str, kind: type[T], path: Path = PARAMS_PATH) -> T: ...
@overload
def load_params(section: str, kind: Any, path: Path = PARAMS_PATH) -> Any: ...
def load_params(section: str, kind: Any, path: Path = PARAMS_PATH) -> Any:
    """Load the section at a dotted path, such as `train` or `recipes.cnn`, as `kind`.

    Without a path that is the whole file.

    The file is parsed as YAML 1.2 by the parser that DVC uses, so both see the same values. What
    PyYAML, which most people read it with, takes for another value by YAML 1.1 is refused, but for
    exponents as `dvc exp run -S` writes them: 1e-05. So are anchors, aliases and tags.

    Raises:
        ConfigError: one line with section, key, expected and received.
    """
    document, nodes = _load_yaml(path)
    values = document
    walked: list[str] = []
    for key in section.split(".") if section else ():
        if not isinstance(values, dict) or key not in values:
            where = f"{path}: {'.'.join(walked)}" if walked else str(path)
            known = [_join([name]) for name in values] if isinstance(values, dict) else []
            raise ConfigError(f"{where}: expected the key {key!r}{did_you_mean(key, known)}")
        values = values[key]
        walked.append(key)
    _check_alike([path], document, nodes, walked)
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe_errors(section, kind, error)}") from error


def describe_errors(section: str, kind: Any, error: ValidationError) -> str:
    """Say in one line at which keys of a section what was expected and received."""
    return "; ".join(_explain(section, kind, details) for details in error.errors())


def _load_yaml(path: Path) -> tuple[Any, Any]:
    """Return what a file says in YAML 1.2, and the same as nodes of YAML 1.1."""
    try:
        document, nodes = _parse(path, path.read_text(encoding="utf-8"))
        return copy.deepcopy(document), nodes
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: expected a file, received none") from error
    except (MarkedYAMLError, yaml.MarkedYAMLError) as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"{path}, line {line}: expected YAML, {error.problem}") from error
    except (YAMLError, yaml.YAMLError, ValueError, OverflowError) as error:
        # Characters that YAML does not allow, or not UTF-8; a number or a date that is none.
        raise ConfigError(f"{path}: expected YAML, {str(error).splitlines()[0]}") from error


@lru_cache(maxsize=4)  # a command asks for section after section of the same file
def _parse(path: Path, text: str) -> tuple[Any, Any]:
    parser = yaml.SafeLoader if "\t" in text else PYYAML
    _check_written_out(path, yaml.parse(text, parser))
    nodes = yaml.compose(text, parser)
    _check_keys(path, nodes)
    return YAML(typ="safe").load(text), nodes


def _check_written_out(path: Path, events: Iterable[yaml.Event]) -> None:
    """Refuse what stands for other things than it says, before anything is made of it.

    An alias may stand for billions of elements, and `dvc exp run -S` does not keep it. A tag makes
    objects, each kind with failures of its own. = and << are no texts in YAML 1.1. Brackets within
    brackets take any time.
    """
    depth = 0
    for event in events:
        received = None
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            received = f"brackets within brackets, more than {DEEPEST} deep"
        elif isinstance(event, yaml.AliasEvent):
            received = f"the alias *{event.anchor}"
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            received = f"the anchor &{event.anchor}"
        elif getattr(event, "tag", None):
            received = f"the tag {event.tag!r}"
        elif isinstance(event, yaml.ScalarEvent) and (found := _find_control(event.value)):
            received = f"the control character {found!a}"
        elif isinstance(event, yaml.ScalarEvent) and event.value in ("=", "<<") and not event.style:
            received = f"{event.value}, which has a meaning in YAML 1.1: write '{event.value}'"
        if received:
            where = f"{path}, line {event.start_mark.line + 1}"
            raise ConfigError(f"{where}: expected values written out, received {received}")


def _find_control(text: str) -> str:
    """Return a control character; a text may have several lines, though."""
    found = CONTROL.search(text.replace("\n", "").replace("\t", ""))
    return found[0] if found else ""


def check_line(text: str) -> str:
    """Return a text that is shown to people, if it is one line without control characters.

    Raises:
        ValueError: it is not.
    """
    if CONTROL.search(text):
        raise ValueError("one line without control characters")
    return text


def _check_keys(path: Path, node: Any) -> None:
    """Refuse lists and mappings as keys: Python cannot hash them, and no parser says so well."""
    if isinstance(node, yaml.ScalarNode) or node is None:
        return
    for entry in node.value:
        key, value = entry if isinstance(node, yaml.MappingNode) else (None, entry)
        if isinstance(key, yaml.CollectionNode):
            where = f"{path}, line {key.start_mark.line + 1}"
            raise ConfigError(f"{where}: expected a text as a key, received brackets")
        _check_keys(path, value)


def _check_alike(where: list[object], value: Any, node: Any, section: Sequence[str] = ()) -> None:
    """Refuse a value, or one of a section inside it, that PyYAML takes for another one."""
    match value, node:
        case dict(), yaml.MappingNode(value=nodes) if len(nodes) == len(value):
            for (key, entry), (key_node, entry_node) in zip(value.items(), nodes, strict=True):
                if not section or key == section[0]:
                    _check_alike([*where, key], key, key_node)
                    _check_alike([*where, key], entry, entry_node, section[1:])
        case list(), yaml.SequenceNode(value=nodes) if len(nodes) == len(value):
            for index, (entry, entry_node) in enumerate(zip(value, nodes, strict=True)):
                _check_alike([*where, index], entry, entry_node)
        case None, None:  # an empty file
            pass
        case _:
            other = _construct(node)
            # `-S train.learning_rate=0.00001` gives no choice: DVC writes floats as Python does.
            by_dvc = isinstance(value, float) and repr(value) == node.value
            if not by_dvc and not _is_same(value, other):
                path, *keys = where
                key = f"{path}: {_join(keys)}" if keys else str(path)
                received = _explain_readings(node, value, other)
                raise ConfigError(
                    f"{key}: expected what YAML 1.1 and 1.2 read alike, received {received}"
                )


def _explain_readings(node: Any, value: Any, other: Any) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.style or not node.value.isprintable():
        return SHORTENED.repr(value)  # a key in brackets, or a bug of either parser
    return (
        f"{node.value:.80}: write {_spell(value, node.value)} (as DVC reads it) "
        f"or {_spell(other, node.value)} (as PyYAML does)"
    )


def _construct(node: yaml.Node) -> Any:
    """Return PyYAML's value of a node; if it has none, the reason."""
    try:
        return SafeConstructor().construct_document(node)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        return error


def _is_same(value: Any, other: Any) -> bool:
    nan = value != value and other != other  # noqa: PLR0124 - that is what NaN is
    return type(value) is type(other) and (nan or value == other)


def _spell(value: Any, text: str) -> str:
    """Write a value so that YAML 1.1 and 1.2 read it alike."""
    match value:
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case float() if not math.isfinite(value):
            return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
        case float():  # an exponent needs a dot before it
            return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
        case int() | str():
            return SHORTENED.repr(value)
        case _:  # what PyYAML cannot compute
            return SHORTENED.repr(text)


def _join(parts: Iterable[object]) -> str:
    """Write a key with those above it, in one line."""
    texts = (part if isinstance(part, str) else SHORTENED.repr(part) for part in parts)
    key = ".".join(text for text in texts if text)
    return key if key.isprintable() else repr(key)[1:-1]  # a key may hold line feeds


def _explain(section: str, kind: Any, details: ErrorDetails) -> str:
    key = _join([section, *details["loc"]])
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
