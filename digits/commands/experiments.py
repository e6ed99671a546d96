"""`digits experiments`: the experiments below the commit they start from, and what each changed.

What is chosen among them is chosen on validation: no accuracy on the test images is listed.
"""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from digits.config import PARAMS_PATH
from digits.dvc.run import read_dvc
from digits.model.recipes import RECIPES_DIR
from digits.paths import TRAIN_METRICS_PATH

HEADER = ("experiment", "recipe", "changed", "validation")
FAILED = "failed"  # DVC's word
REASONS = "Why one failed: `dvc queue logs NAME`; `dvc queue remove --failed` drops it."

Run = Mapping[str, Any]  # of `dvc exp show --json`: a commit, or a revision of an experiment


def tabulate_experiments(commits: Sequence[Run]) -> list[tuple[str, str, str, str]]:
    """Return a row each: name, recipe, changes against the commit, validation accuracy."""
    table = []
    for commit in commits:
        if commit["rev"] == "workspace":
            continue
        table.append((commit["name"] or commit["rev"][:7], *describe(commit, commit)))
        for experiment in commit["experiments"] or ():
            newest, executor = experiment["revs"][0], experiment["executor"] or {}
            name = experiment["name"] or newest["rev"][:7]
            table.append((name, *describe(commit, newest, executor.get("state", ""))))
    return table


def describe(commit: Run, run: Run, state: str = "") -> tuple[str, str, str]:
    """Return recipe, changes and validation accuracy; of a run that has not ended, its state."""
    if not run["data"]:
        return "", "", str((run["error"] or {}).get("msg", "unreadable"))
    (before, old), (after, new) = read_params(commit), read_params(run)
    names = [sections.get("train", {}).get("recipe", "") for sections in (before, after)]
    changes = [*list_changes(before, after)]
    if names[0] == names[1]:  # of another recipe, its name says it
        changes += list_changes(old, new)
    # DVC gives the commit's accuracy to a run that failed or has not ended.
    accuracy = read_values(run, "metrics").get(str(TRAIN_METRICS_PATH), {}).get("val_accuracy")
    shown = f"{accuracy:.2%}" if isinstance(accuracy, float) else ""
    return names[1], "\n".join(changes), shown if state in ("", "success") else state


def read_values(run: Run, kind: str) -> dict[str, Any]:
    """Return `params` or `metrics` of a run, file by file."""
    files = (run["data"] or {}).get(kind) or {}
    return {path: file.get("data") or {} for path, file in files.items()}


def read_params(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sections of params.yaml, and the selected recipe."""
    files = read_values(run, "params")
    sections = files.get(str(PARAMS_PATH), {})
    return sections, files.get(f"{RECIPES_DIR}/{sections.get('train', {}).get('recipe')}.yaml", {})


def list_changes(before: Any, after: Any, key: str = "") -> Iterator[str]:
    """Yield what differs, a line each: `epochs 9 → 4`, `layers.dense2 - → {'type': ...}`."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before != after:
            yield f"{key} {before} → {after}"
        return
    for name in dict.fromkeys([*before, *after]):
        path = f"{key}.{name}" if key else name
        yield from list_changes(before.get(name, "-"), after.get(name, "-"), path)
    kept = [name for name in before if name in after]
    if key.endswith("layers") and kept != [name for name in after if name in before]:
        yield f"{key} in another order"


def main(_: Namespace) -> None:
    table = tabulate_experiments(json.loads(read_dvc("exp", "show", "--json")))
    print(tabulate(table, HEADER, disable_numparse=True, maxcolwidths=(24, 13, None, 10)))
    if any(row[-1].lower() == FAILED for row in table):
        print(f"\n{REASONS}")
