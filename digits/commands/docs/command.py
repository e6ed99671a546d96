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
from digits.config import PARAMS_PATH, load_params
from digits.data.datasets import load_dataset
from digits.errors import DigitsError
from digits.evaluation.results import LOCK_PATH, NOT_VERIFIED, describe_result, load_metrics
from digits.files import load_table, write_text
from digits.markdown import quote
from digits.paths import EVALUATE_METRICS_PATH, MODEL_PATH, PLOTS_DIR

LEADERBOARD_PATH = Path("LEADERBOARD.md")
MARKER = r"<!-- (/?[\w-]+)(?: [0-9a-f]{32})? -->"
BLOCK = re.compile(rf"{MARKER}(?:(.*?)(<!-- /\1 -->))?", re.DOTALL)
# What DVC pushes first; the results are what another training adds.
DATA = ("data/raw", "data/decoded")
RESULTS = ("data/predictions", "models/model.keras", "data/analysis")
COLUMNS = ("recipe", "accuracy, %", "corrupted, %", "CPU seconds")  # of LEADERBOARD.md, in README
RELIABILITY_COLUMNS = ("low", "count", "confidence", "accuracy", "accuracy_low", "accuracy_high")


def render(path: Path, blocks: Mapping[str, str], model: str) -> str:
    """Put each block between its markers in a page, the first marker then carries the model's MD5.

    Raises:
        DigitsError: a marker that names no block, or whose block does not end.
    """

    def fill(found: re.Match[str]) -> str:
        name, old, end = found.groups()
        if name not in blocks or end is None or re.search(MARKER, old):
            raise DigitsError(
                f"{path}: expected a block of {', '.join(blocks)} from <!-- NAME --> to "
                f"<!-- /NAME -->, received <!-- {name} --> alone or of another name"
            )
        return f"<!-- {name} {model} -->\n\n{blocks[name]}\n\n{end}"

    return BLOCK.sub(fill, path.read_text(encoding="utf-8"))


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
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in re.findall(r"(?m)^\|.*$", page)
    ]
    if not rows:
        raise DigitsError(f"{LEADERBOARD_PATH}: expected a table, received none")
    header, _, *rows = rows
    places = [header.index(column) for column in COLUMNS]
    cells = [[row[place] for place in places] for row in rows]
    return tabulate(cells, COLUMNS, tablefmt="github", disable_numparse=True)


def load_blocks() -> tuple[dict[str, str], str]:
    """Load what there is to write, by the name of its markers, and the MD5 of the model.

    Raises:
        ArtifactError: a metrics file is missing or damaged.
        DigitsError: there is no trained model, or no leaderboard.
    """
    stages: dict[str, Any] = load_params("stages", dict[str, Any], LOCK_PATH)
    outs = [out for stage in stages.values() for out in stage.get("outs", ())]
    models = [out["md5"] for out in outs if out["path"] == str(MODEL_PATH)]
    if not models:
        raise DigitsError(f"{LOCK_PATH}: expected {MODEL_PATH}, received none: run `dvc repro`")
    params = stages["train"]["params"][str(PARAMS_PATH)]
    title = load_dataset(stages["fetch"]["params"][str(PARAMS_PATH)]["dataset"]).title
    recipe = params["train"]["recipe"]
    metrics, verified = load_metrics()
    if not verified:
        print(f"WARNING: {EVALUATE_METRICS_PATH}: {NOT_VERIFIED}", file=sys.stderr)
    result = describe_result(title, recipe, metrics)
    confidence = describe_confidence(
        recipe,
        load_table(PLOTS_DIR / "reliability.csv", RELIABILITY_COLUMNS),
        load_table(PLOTS_DIR / "rejection.csv", ("rejected", "accuracy")),
    )
    blocks = {
        "result": f"```\n{result}\n```",
        "confidence": confidence,
        "accuracy": f"The recipe {quote(recipe)}, trained with seed {params['train']['seed']}, has "
        f"a test accuracy of **{100 * metrics['accuracy']:.2f} %**.",
        "sizes": describe_sizes(outs),
        "leaderboard": shorten_table(LEADERBOARD_PATH.read_text(encoding="utf-8")),
    }
    return blocks, models[0]


def write_page(path: Path, written: str) -> None:
    """Write a page if it has changed, and print whether it has."""
    same = path.exists() and path.read_text(encoding="utf-8") == written
    if not same:
        write_text(path, written)
    print(f"{path}: {'nothing to change' if same else 'written'}")


def main(_: Namespace) -> None:
    blocks, model = load_blocks()
    for path in (Path("README.md"), *sorted(Path("docs").glob("*.md"))):
        write_page(path, render(path, blocks, model))
    write_page(MODEL_CARD_PATH, render_card(load_facts(), blocks["confidence"]))
