"""Where the sources are, and which local modules a module imports, read without running it."""

import ast
import os
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("digits", "pipeline")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}  # of a process that finds them from anywhere


@cache
def imported_names(path: Path) -> set[str]:
    """Name all that the file imports; `from a import b` gives `a` and `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def local_imports(path: Path) -> set[Path]:
    """Files of this project that the file imports itself."""
    candidates = (Path(*name.split(".")).with_suffix(".py") for name in imported_names(path))
    return {
        ROOT / found
        for found in candidates
        if found.parts[0] in PACKAGES and (ROOT / found).is_file()
    }


def import_closure(path: Path) -> set[Path]:
    """Files of this project that running the file reads, itself included."""
    closure: set[Path] = set()
    waiting = {path}
    while waiting:
        current = waiting.pop()
        closure.add(current)
        inits = (folder / "__init__.py" for folder in current.parents)  # Python runs them first
        waiting |= {*local_imports(current), *filter(Path.is_file, inits)} - closure
    return closure
