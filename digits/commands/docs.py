"""`make docs`: write the numbers of the committed run into README.md and docs/.

They stand between `<!-- NAME -->` and `<!-- /NAME -->`, which readers of the rendered page do not
see. The first marker comes to carry the MD5 of the committed model: the tests compare the numbers
with `metrics/` only while `dvc.lock` has that very model.
"""

import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from digits.data.datasets import load_dataset
from digits.errors import DigitsError
from digits.files.artifacts import load_json, write_text
from digits.files.params import load_params
from digits.paths import ERRORS_METRICS_PATH, EVALUATE_METRICS_PATH, MODEL_PATH

LOCK_PATH = Path("dvc.lock")
LEADERBOARD_PATH = Path("LEADERBOARD.md")
MARKER = r"<!-- (/?[\w-]+)(?: [0-9a-f]{32})? -->"
BLOCK = re.compile(rf"{MARKER}(?:(.*?)(<!-- /\1 -->))?", re.DOTALL)
# What DVC pushes, in rows of the table; the last three are what another training adds.
DATA = ("data/raw", "data/decoded")
RESULTS = ("data/predictions", "models/model.keras", "data/analysis")
LEADERBOARD_COLUMNS = ("recipe", "published", "ours", "training seconds", "parameters")


class DocsError(DigitsError):
    """A marker is unknown or without its end, or there is nothing to write there."""


def render(text: str, blocks: Mapping[str, str], model: str) -> str:
    """Put each block between its markers, the first of which then carries the model's MD5.

    Raises:
        DocsError: a marker that names no block, or whose block does not end.
    """

    def fill(found: re.Match[str]) -> str:
        name, old, end = found.groups()
        if name not in blocks:
            raise DocsError(f"expected a marker of {', '.join(blocks)}, received <!-- {name} -->")
        if end is None or re.search(MARKER, old):
            raise DocsError(f"expected <!-- /{name} --> after <!-- {name} -->, received none")
        return f"<!-- {name} {model} -->\n\n{blocks[name]}\n\n{end}"

    return BLOCK.sub(fill, text)


def describe_result(metrics: Mapping[str, Any], title: str) -> str:
    """Return the last lines of `make repro` as a block of code."""
    return (
        "```\n"
        f"{title}, recipe {metrics['recipe']}: test accuracy {metrics['accuracy']:.2%} "
        f"(95 % interval {metrics['accuracy_low']:.2%} to {metrics['accuracy_high']:.2%}), "
        f"{metrics['error_count']} errors in {metrics['image_count']:,} images\n"
        "Pictures in plots/; `make report` puts everything on one page\n"
        "```"
    )


def describe_confidence(metrics: Mapping[str, Any]) -> str:
    """Say what the model's probabilities are worth."""
    return (
        f"The expected calibration error of `{metrics['recipe']}` on the test images is "
        f"{100 * metrics['calibration_error']:.2f} %.\n"
        f"It can answer {100 * metrics['coverage_at_999']:.1f} % of them at 99.9 % accuracy, "
        "if it may reject the rest."
    )


def tabulate_sizes(outs: Sequence[Mapping[str, Any]]) -> str:
    """List how many bytes are pushed."""
    sizes = {
        row: sum(out["size"] for out in outs if Path(out["path"]).is_relative_to(row))
        for row in DATA + RESULTS
    }
    again = sum(sizes[row] for row in RESULTS)
    rows = [
        *((f"`{row}`", size) for row, size in sizes.items()),
        ("the first push", sum(sizes.values())),
        ("each further experiment that trains anew, at most", again),
    ]
    cells = [
        (name, f"{size / 1e6:.1f} MB" if size >= 1e5 else "below 0.1 MB") for name, size in rows
    ]
    return tabulate(cells, ("pushed", "size"), tablefmt="github", disable_numparse=True)


def shorten_leaderboard(page: str) -> str:
    """Return the table of the leaderboard with its main columns only."""
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    if not lines:
        raise DocsError(f"{LEADERBOARD_PATH}: expected a table, received none")
    header, _, *rows = ([cell.strip() for cell in line] for line in lines)
    kept = [header.index(column) for column in LEADERBOARD_COLUMNS]
    cells = [[row[column] for column in kept] for row in rows]
    return tabulate(cells, LEADERBOARD_COLUMNS, tablefmt="github", disable_numparse=True)


def load_blocks() -> tuple[dict[str, str], str]:
    """Load what there is to write, by the name of its markers, and the MD5 of the model.

    Raises:
        ArtifactError: a metrics file is missing or damaged.
        DocsError: there is no trained model, or no leaderboard.
    """
    metrics = load_json(EVALUATE_METRICS_PATH) | load_json(ERRORS_METRICS_PATH)
    stages: dict[str, Any] = load_params("stages", dict[str, Any], LOCK_PATH)
    outs = [out for stage in stages.values() for out in stage.get("outs", ())]
    models = [out["md5"] for out in outs if out["path"] == str(MODEL_PATH)]
    if not models:
        raise DocsError(f"{LOCK_PATH}: expected {MODEL_PATH}, received none: run `dvc repro`")
    blocks = {
        "result": describe_result(metrics, load_dataset(metrics["dataset"]).title),
        "confidence": describe_confidence(metrics),
        "sizes": tabulate_sizes(outs),
        "leaderboard": shorten_leaderboard(LEADERBOARD_PATH.read_text(encoding="utf-8")),
    }
    return blocks, models[0]


def main(_: Namespace) -> None:
    blocks, model = load_blocks()
    for path in (Path("README.md"), *sorted(Path("docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        try:
            written = render(text, blocks, model)
        except DocsError as error:
            raise DocsError(f"{path}: {error}") from error
        if written != text:
            write_text(path, written)
        print(f"{path}: {'written' if written != text else 'nothing to change'}")
