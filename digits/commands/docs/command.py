"""`digits docs`: write the committed run's numbers into README.md and docs/, and the model card.

They stand between `<!-- NAME -->` and `<!-- /NAME -->`, which readers of the rendered page do not
see. The first marker carries the MD5 of the committed model: the tests compare the numbers
with `metrics/` only while `dvc.lock` has that very model.
"""

import re
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from digits.commands.docs.model_card import MODEL_CARD_PATH, load_facts, render_card
from digits.evaluation.results import NOT_VERIFIED, describe_result, load_metrics
from digits.files import load_table, write_text
from digits.markdown import quote
from digits.paths import EVALUATE_METRICS_PATH, PLOTS_DIR

LEADERBOARD_PATH = Path("LEADERBOARD.md")
# What DVC pushes first; the results are what another training adds.
DATA = ("data/raw", "data/decoded")
RESULTS = ("data/predictions", "models/model.keras", "data/analysis")
COLUMNS = ("recipe", "accuracy, %", "corrupted, %", "CPU seconds")  # of LEADERBOARD.md, in README
RELIABILITY_COLUMNS = ("low", "count", "confidence", "accuracy", "accuracy_low", "accuracy_high")


def render(page: str, blocks: Mapping[str, str], model: str) -> str:
    """Put each block between its markers in a page; the first marker then has the model's MD5."""

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- {name} {model} -->\n\n{blocks[name]}\n\n<!-- /{name} -->"

    between = rf"<!-- ({'|'.join(blocks)})(?: [0-9a-f]{{32}})? -->.*?<!-- /\1 -->"
    return re.sub(between, fill, page, flags=re.DOTALL)


def describe_confidence(recipe: str, reliability: pd.DataFrame, rejection: pd.DataFrame) -> str:
    """Say how well the probabilities are calibrated, and what rejecting 2 % gains."""
    gaps = (reliability["accuracy"] - reliability["confidence"]).abs()
    error = np.average(gaps, weights=reliability["count"])
    rejected, accuracy = rejection.query("rejected >= 0.02").iloc[0]
    return (
        f"The expected calibration error of {quote(recipe)} on the test images is "
        f"{100 * error:.2f} %.\n"
        f"On the {100 * (1 - rejected):.0f} % most confident predictions, accuracy is "
        f"{100 * accuracy:.2f} %."
    )


def describe_sizes(outs: Sequence[Mapping[str, Any]]) -> str:
    """Say how many bytes are pushed."""
    data, results = (
        sum(out["size"] for out in outs for path in paths if Path(out["path"]).is_relative_to(path))
        for paths in (DATA, RESULTS)
    )
    return (
        f"The first push is {(data + results) / 1e6:.1f} MB; each further training adds at most "
        f"{results / 1e6:.1f} MB\nto the remote and to the cache."
    )


def shorten_table(page: str) -> str:
    """Return the columns of the leaderboard that README.md shows."""
    header, _, *rows = (
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in re.findall(r"(?m)^\|.*$", page)
    )
    places = [header.index(column) for column in COLUMNS]
    cells = [[row[place] for place in places] for row in rows]
    return tabulate(cells, COLUMNS, tablefmt="github", disable_numparse=True)


def write_blocks(facts: Mapping[str, Any]) -> dict[str, str]:
    """Write what stands between the markers, by their names."""
    recipe, metrics = facts["recipe"], facts["metrics"]
    result = describe_result(facts["dataset"].title, recipe, metrics)
    return {
        "result": f"```\n{result}\n```",
        "confidence": describe_confidence(
            recipe,
            load_table(PLOTS_DIR / "reliability.csv", RELIABILITY_COLUMNS),
            load_table(PLOTS_DIR / "rejection.csv", ("rejected", "accuracy")),
        ),
        "accuracy": f"The recipe {quote(recipe)}, trained with seed {facts['seed']}, has "
        f"a test accuracy of **{100 * metrics['accuracy']:.2f} %**.",
        "sizes": describe_sizes(facts["outs"]),
        "leaderboard": shorten_table(LEADERBOARD_PATH.read_text(encoding="utf-8")),
    }


def main(_: Namespace) -> None:
    _metrics, verified = load_metrics()
    if not verified:
        print(f"WARNING: {EVALUATE_METRICS_PATH}: {NOT_VERIFIED}", file=sys.stderr)
    facts = load_facts()
    blocks = write_blocks(facts)
    pages = {
        path: render(path.read_text(encoding="utf-8"), blocks, facts["model"]["md5"])
        for path in (Path("README.md"), *sorted(Path("docs").glob("*.md")))
    }
    pages[MODEL_CARD_PATH] = render_card(facts, blocks["confidence"])
    for path, page in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != page:
            write_text(path, page)
            print(f"{path}: written")
    print(f"{len(pages)} pages have the numbers of the model {facts['model']['md5']}")
