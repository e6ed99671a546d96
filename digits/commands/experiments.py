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


def list_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs, a line a key: `epochs 9 → 4`, `layers.dropout.rate - → 0.2`.

    A new order of the layers, too, which `dvc params diff` does not list.
    """
    old, new = flatten(before), flatten(after)
    for key in dict.fromkeys([*old, *new]):
        values = old.get(key, "-"), new.get(key, "-")
        if values[0] != values[1]:
            yield f"{key} {values[0]} → {values[1]}"
    first, then = (list(values.get("layers") or ()) for values in (before, after))
    if [name for name in first if name in then] != [name for name in then if name in first]:
        yield "layers in another order"


def flatten(values: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Return the values of nested sections by dotted keys."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        is_section = isinstance(value, dict) and value
        flat |= flatten(value, f"{start}{name}.") if is_section else {f"{start}{name}": value}
    return flat


def main(_: Namespace) -> None:
    table = tabulate_experiments(json.loads(read_dvc("exp", "show", "--json")))
    print(tabulate(table, HEADER, disable_numparse=True, maxcolwidths=(24, 13, None, 10)))
    if any(row[-1].lower() == FAILED for row in table):
        print(f"\n{REASONS}")
