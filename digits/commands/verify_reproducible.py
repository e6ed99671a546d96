"""`make verify-reproducible`: run the pipeline twice from scratch and compare all that it makes."""

import hashlib
import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from digits.config import load_params
from digits.dvc.run import run_dvc
from digits.evaluation.results import LOCK_PATH
from digits.paths import DVC_YAML_PATH

Digests = dict[Path, str]  # SHA-256 by file


def list_results() -> list[Path]:
    """List the files that the stages make, and DVC's record of them."""
    stages: dict[str, Any] = load_params("stages", dict[str, Any], DVC_YAML_PATH)
    outs = [
        Path(out if isinstance(out, str) else next(iter(out)))
        for stage in stages.values()
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
    ]
    found = [path for out in outs for path in (out, *out.rglob("*")) if path.is_file()]
    return sorted([LOCK_PATH, *found])


def digest_files(paths: Iterable[Path]) -> Digests:
    """Digest every file."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def describe_differences(first: Digests, second: Digests) -> list[str]:
    """List the files that differ or are there once only, a line each."""
    lines = []
    for path in sorted(first.keys() | second.keys()):
        if path not in second:
            lines.append(f"{path}: made by the first run only")
        elif path not in first:
            lines.append(f"{path}: made by the second run only")
        elif first[path] != second[path]:
            lines.append(f"{path}: SHA-256 {first[path][:12]}, then {second[path][:12]}")
    return lines


def reproduce() -> Digests:
    """Run every stage, whatever the cache has; return the digests of what they made."""
    status = run_dvc("repro", "--force").status
    if status != 0:
        sys.exit(status)
    return digest_files(list_results())


def main(_: Namespace) -> None:
    first, second = reproduce(), reproduce()
    differences = describe_differences(first, second)
    size = sum(path.stat().st_size for path in second)
    for difference in differences:
        print(difference)
    print(f"{len(differences)} of {len(second)} files differ between two runs ({size:,} bytes)")
    sys.exit(1 if differences else 0)
