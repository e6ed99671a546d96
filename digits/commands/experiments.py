"""`make experiments`: the experiments below the commit they start from, and what each changed.

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
    """Put name, recipe, changes against the commit and validation accuracy into a row each."""
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
    before, after = read_params(commit), read_params(run)
    recipe = str(after.get("train", {}).get("recipe", ""))
    changes = "\n".join(list_changes(before, after))
    # DVC gives the commit's accuracy to a run that failed or has not ended.
    accuracy = read_values(run, "metrics").get(str(TRAIN_METRICS_PATH), {}).get("val_accuracy")
    shown = f"{accuracy:.2%}" if isinstance(accuracy, float) else ""
    return recipe, changes, shown if state in ("", "success") else state


def read_values(run: Run, kind: str) -> dict[str, Any]:
    """Return `params` or `metrics` of a run, file by file."""
    files = (run["data"] or {}).get(kind) or {}
    return {path: file.get("data") or {} for path, file in files.items()}


def read_params(run: Run) -> dict[str, Any]:
    """Return the sections of params.yaml, and beside them the selected recipe's keys."""
    files = read_values(run, "params")
    sections = files.get(str(PARAMS_PATH), {})
    name = sections.get("train", {}).get("recipe")
    return {**sections, **files.get(f"{RECIPES_DIR}/{name}.yaml", {})}


def list_changes(before: Any, after: Any, key: str = "") -> Iterator[str]:
    """Yield what differs, a short line each: `epochs 9 → 4`, `+ layers.dense Dense(32)`.

    Of another recipe, only its name is of interest.
    """
    if before == after and not isinstance(after, dict):
        return
    if not isinstance(before, dict) or not isinstance(after, dict):
        yield f"{key} {_spell(before)} → {_spell(after)}"
        return
    if key == "" and before.get("train", {}).get("recipe") != after.get("train", {}).get("recipe"):
        before = {name: value for name, value in before.items() if name in SECTIONS}
        after = {name: value for name, value in after.items() if name in SECTIONS}
    for name in dict.fromkeys([*before, *after]):
        path = f"{key}.{name}" if key else name
        if name not in before:
            yield f"+ {path} {_spell(after[name])}"
        elif name not in after:
            yield f"- {path} {_spell(before[name])}"
        else:
            yield from list_changes(before[name], after[name], path)
    kept = [name for name in before if name in after]
    if key.endswith("layers") and kept != [name for name in after if name in before]:
        yield f"{key} in another order"


def _spell(value: Any) -> str:
    """Write a value in short; an object by its type and its first argument."""
    if not isinstance(value, dict):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    kind, *arguments = value.values() or ("{}",)
    first = f"({_spell(arguments[0])})" if arguments else ""
    return f"{kind}{first}" if "type" in value else ", ".join(value)


SECTIONS = ("dataset", "fetch", "decode", "train", "evaluate", "analyze")


def main(_: Namespace) -> None:
    table = tabulate_experiments(json.loads(read_dvc("exp", "show", "--json")))
    print(tabulate(table, HEADER, disable_numparse=True, maxcolwidths=(24, 13, None, 10)))
    if any(row[-1].lower() == FAILED for row in table):
        print(f"\n{REASONS}")
