"""`digits predict PATH...`: read the digits on photographs, scans and drawings.

A path is a file, a folder or `-`, standard input. A file that cannot be read gets a line, and the
others are read all the same.
"""

import json
import math
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from digits.deployment.classifier import Classifier, load_classifier
from digits.errors import DigitsError
from digits.imaging.pages import Reading, find_pages, read_pages
from digits.paths import CARD_PATH, MODEL_PATH

UNSURE = "?"


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="picture, .npy, IDX file, folder or -")
    add("--format", choices=RENDERERS, default="text", help="of the result [text]")
    add("--picture", type=Path, metavar="PATH", help="draw what was found and seen, as .png")
    add(
        "--min-probability",
        type=float,
        default=0.0,
        metavar="P",
        help=f"print {UNSURE} for digits that are less sure [0]",
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--model", type=Path, default=MODEL_PATH, metavar="PATH", help="another .keras file"
    )
    chosen.add_argument("--rev", help="the model of a Git revision, branch or experiment")


def load_model(path: Path, revision: str | None) -> Classifier:
    """Load the model of a file, or that of a revision with the card of its dataset."""
    if revision is None:
        return load_classifier(path)
    from digits.dvc.revisions import bring  # noqa: PLC0415 (DVC takes a second)

    with tempfile.TemporaryDirectory() as folder:
        bring(revision, [MODEL_PATH, CARD_PATH], Path(folder))
        return load_classifier(Path(folder, MODEL_PATH), Path(folder, CARD_PATH))


def list_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those of folders, in order of their names; hidden ones are left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for inside in sorted(path.rglob("*")):
            is_hidden = any(part.startswith(".") for part in inside.relative_to(path).parts)
            if inside.is_file() and not is_hidden:
                yield inside


def render_text(readings: Sequence[Reading], names: Sequence[str], least: float) -> str:
    """Tabulate a page a row: the reading, its probability, and the second most likely one."""
    rows = [_summarize(reading, names, least) for reading in readings if reading.page.found]
    header = ("file", "reads", "probability", "runner-up")
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True) if rows else ""


def _summarize(reading: Reading, names: Sequence[str], least: float) -> tuple[str, ...]:
    order = np.argsort(-reading.probabilities, axis=1, kind="stable")[:, :2]
    first, second = np.take_along_axis(reading.probabilities, order, axis=1).T
    # The second most likely reading differs in the least certain digit.
    weakest = int(np.argmax(second / first))
    others = order[:, 0].copy()
    others[weakest] = order[weakest, 1]
    shown = [names[n] if p >= least else UNSURE for n, p in zip(order[:, 0], first, strict=True)]
    likely = float(first.prod())
    next_likely = likely * float(second[weakest] / first[weakest])
    runner_up = f"{_join([names[n] for n in others])} ({next_likely:.4f})"
    return reading.page.name, _join(shown), f"{likely:.4f}", runner_up


def _join(names: Sequence[str]) -> str:
    return ("" if all(len(name) == 1 for name in names) else ", ").join(names)


def render_json(readings: Sequence[Reading], names: Sequence[str], least: float) -> str:
    """Write an object a page: its digits with all probabilities, or its error."""
    pages = []
    for reading in readings:
        page = reading.page
        if page.error:
            said: dict[str, Any] = {"error": page.error}
        else:
            said = {"digits": list(_list_facts(reading, names, least))}
        pages.append({"file": page.file, "page": page.page, **said})
    return json.dumps(pages, indent=2, ensure_ascii=False)


def _list_facts(reading: Reading, names: Sequence[str], least: float) -> Iterator[dict[str, Any]]:
    """Yield an object a digit; its box is left, top, right, bottom in pixels of the file."""
    for found, given in zip(reading.page.found, reading.probabilities, strict=True):
        best, pitch = int(given.argmax()), reading.page.pitch
        rows, columns = found.rows, found.columns
        yield {
            "digit": names[best] if given[best] >= least else None,
            "probability": round(float(given[best]), 6),
            "box": [
                *(math.floor(start * pitch) for start in (columns.start, rows.start)),
                *(math.ceil(stop * pitch) for stop in (columns.stop, rows.stop)),
            ],
            "probabilities": {
                name: round(float(p), 6) for name, p in zip(names, given, strict=True)
            },
        }


RENDERERS = {"text": render_text, "json": render_json}


def main(arguments: Namespace) -> None:
    drawn = arguments.picture
    if drawn and drawn.resolve() in {path.resolve() for path in arguments.paths}:
        raise DigitsError(f"--picture: expected another file than {drawn}, an input")
    files = list(list_files(arguments.paths))
    if not files:
        raise DigitsError(f"{arguments.paths[0]}: expected files, received none")
    classifier = load_model(arguments.model, arguments.rev)
    pages = [
        page
        for path in tqdm(files, unit="file", leave=False, disable=None, delay=1)
        for page in find_pages(path, classifier.judge, keep_pixels=drawn is not None)
    ]
    readings = read_pages(pages, classifier.predict)
    render = RENDERERS[arguments.format]
    if text := render(readings, classifier.class_names, arguments.min_probability):
        print(text)
    if drawn:
        _draw(drawn, readings, classifier.class_names)
    failed = [page for page in pages if page.error]
    for page in failed:
        print(f"ERROR: {page.name}: {page.error}", file=sys.stderr)
    if failed:
        raise DigitsError(f"{len(failed)} of {len(pages)} pictures not read, reasons above")


def _draw(path: Path, readings: Sequence[Reading], names: Sequence[str]) -> None:
    # Imported here: Matplotlib takes a second.
    from digits.commands.predict.figure import draw_readings  # noqa: PLC0415
    from digits.evaluation.plotting import write_figure  # noqa: PLC0415

    write_figure(path, draw_readings([given for given in readings if given.page.found], names))
