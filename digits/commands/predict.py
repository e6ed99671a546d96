"""`python -m digits predict PATH...`: read the digits on photographs, scans and drawings.

A path is a file, a folder or `-`, standard input. A file that cannot be read gets a line, and the
others are read all the same.
"""

import csv
import io
import json
import math
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from digits.commands.classifier import load_classifier
from digits.errors import DigitsError
from digits.imaging.pictures import Picture, PictureError, read_pictures
from digits.imaging.segmentation import Found, find_digits, read_digits
from digits.imaging.splitting import Judge

STANDARD_INPUT = Path("-")
MOST_BYTES = 2**30  # of a file
UNSURE = "?"
NO_PIXELS = np.empty((1, 1, 1), np.float32)
CSV_HEADER = (
    *("file", "page", "number", "left", "top", "right", "bottom"),
    *("digit", "probability", "runner_up", "runner_up_probability"),
)


class PredictError(DigitsError):
    """Some files were not read, or an option makes no sense."""


@dataclass(frozen=True)
class Page:
    """A picture of a file, and the digits found on it; or why there are none.

    `pixels` are kept only where they will be drawn.
    """

    file: str
    page: str = ""
    found: Sequence[Found] = ()
    pitch: float = 1.0  # pixels of the file to one in which digits were found
    error: str = ""
    pixels: np.ndarray = field(default_factory=lambda: NO_PIXELS)

    @property
    def name(self) -> str:
        return f"{self.file}, {self.page}" if self.page else self.file


@dataclass(frozen=True)
class Reading:
    """What a page reads: of each digit the probabilities of the classes, float32 (n, k)."""

    page: Page
    probabilities: np.ndarray


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
    chosen.add_argument("--model", type=Path, metavar="PATH", help="another .keras file")
    chosen.add_argument("--rev", help="the model of a Git revision, branch or experiment")


def check_options(arguments: Namespace) -> None:
    """Refuse what no picture could make good.

    Raises:
        PredictError: says which option.
    """
    if not 0 <= arguments.min_probability <= 1:
        raise PredictError(
            f"--min-probability: expected 0 to 1, received {arguments.min_probability}"
        )
    drawn = arguments.picture
    if drawn and drawn.suffix.lower() != ".png":
        raise PredictError(f"--picture: expected a .png, received {drawn}")
    if drawn and drawn.resolve() in {path.resolve() for path in arguments.paths}:
        raise PredictError(f"--picture: expected another file than {drawn}, an input")


# Reading


def list_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those of folders, in order of their names; hidden ones are left out."""
    for path in paths:
        if path == STANDARD_INPUT or not path.is_dir():
            yield path
            continue
        inside = (it for it in path.rglob("*") if it.is_file())
        shown = (it for it in inside if not _is_hidden(it.relative_to(path)))
        yield from sorted(shown)


def find_pages(path: Path, judge: Judge | None = None, *, keep_pixels: bool) -> Iterator[Page]:
    """Yield the pages of a file with the digits found on them."""
    name = str(path) if str(path).isprintable() else ascii(str(path))  # from another system
    try:
        for picture in read_pictures(_read_bytes(path)):
            found, error = _find(picture, judge)
            pixels = picture.pixels if keep_pixels else NO_PIXELS
            yield Page(name, picture.page, found, picture.pitch, error, pixels)
    except PictureError as error:
        yield Page(name, error=str(error))
    except OSError as error:
        yield Page(name, error=error.strerror or str(error))


def read_pages(pages: Iterable[Page], predict: Judge) -> list[Reading]:
    """Read all pages' digits at once."""
    listed = list(pages)
    digits = [found for page in listed for found in page.found]
    if not digits:
        return [Reading(page, np.empty((0, 0), np.float32)) for page in listed]
    ends = np.cumsum([len(page.found) for page in listed])
    parts = np.split(read_digits(digits, predict), ends[:-1])
    return [Reading(page, part) for page, part in zip(listed, parts, strict=True)]


def _find(picture: Picture, judge: Judge | None) -> tuple[list[Found], str]:
    """Return the digits of a picture, or why there are none."""
    try:
        found = find_digits(picture.pixels, judge)
    except PictureError as error:
        return [], str(error)
    return found, "" if found else "expected ink, received a blank picture"


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_bytes(path: Path) -> bytes:
    """Read a file whole.

    Raises:
        PictureError: no file, or one of more bytes than a picture has.
        OSError: the system's own words.
    """
    if path == STANDARD_INPUT:
        raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        size = len(raw)
    elif path.is_file():
        size = path.stat().st_size
        raw = path.read_bytes() if size <= MOST_BYTES else b""
    elif path.exists() or path.is_symlink():
        raise PictureError("expected a file or a folder, received something else")
    else:
        raise PictureError("expected a file or a folder, received none")
    if size > MOST_BYTES:
        raise PictureError(f"expected at most {MOST_BYTES:,} bytes, received more")
    return raw


# Printing


def render_text(readings: Sequence[Reading], names: Sequence[str], least: float) -> str:
    """Tabulate a line a page: what it reads, how likely that is, and what is next likely."""
    rows = [_summarize(it, names, least) for it in readings if not it.page.error]
    header = ("file", "reads", "probability", "runner-up")
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True) if rows else ""


def _summarize(reading: Reading, names: Sequence[str], least: float) -> tuple[str, ...]:
    order = np.argsort(-reading.probabilities, axis=1, kind="stable")[:, :2]
    first, second = np.take_along_axis(reading.probabilities, order, axis=1).T
    likely = float(first.prod())
    # The next likely reading of the whole is another one of the digit that is least sure.
    weakest = int(np.argmax(second / first))
    others = [order[n, 1 if n == weakest else 0] for n in range(len(order))]
    shown = [names[it] if p >= least else UNSURE for it, p in zip(order[:, 0], first, strict=True)]
    ratio = float(second[weakest] / first[weakest])
    runner_up = f"{_join([names[it] for it in others])} ({likely * ratio:.4f})"
    return reading.page.name, _join(shown), f"{likely:.4f}", runner_up


def _join(names: Sequence[str]) -> str:
    return ("" if all(len(name) == 1 for name in names) else ", ").join(names)


def render_json(readings: Sequence[Reading], names: Sequence[str], least: float) -> str:
    """Write an object a page: its digits with all probabilities, or its error."""
    pages = []
    for reading in readings:
        page = reading.page
        said: dict[str, Any] = {"file": page.file, "page": page.page}
        if page.error:
            said["error"] = page.error
        else:
            said["digits"] = [
                {key: fact[key] for key in ("digit", "probability", "box", "probabilities")}
                for fact in _list_facts(reading, names, least)
            ]
        pages.append(said)
    return json.dumps(pages, indent=2, ensure_ascii=False)


def render_csv(readings: Sequence[Reading], names: Sequence[str], least: float) -> str:
    """Write a line a digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for reading in readings:
        page = reading.page
        for number, fact in enumerate(_list_facts(reading, names, least), start=1):
            where = (page.file, page.page, number, *fact["box"])
            digit = UNSURE if fact["digit"] is None else fact["digit"]
            writer.writerow(
                (*where, digit, fact["probability"], fact["runner_up"], fact["runner_up_p"])
            )
    return text.getvalue().rstrip("\n")


def _list_facts(reading: Reading, names: Sequence[str], least: float) -> Iterator[dict[str, Any]]:
    """Yield what there is to say of each digit; its box is left, top, right, bottom in the file."""
    for found, given in zip(reading.page.found, reading.probabilities, strict=True):
        first, second = np.argsort(-given, kind="stable")[:2]
        pitch, rows, columns = reading.page.pitch, found.rows, found.columns
        yield {
            "digit": names[first] if given[first] >= least else None,
            "probability": round(float(given[first]), 6),
            "runner_up": names[second],
            "runner_up_p": round(float(given[second]), 6),
            "box": [
                *(math.floor(it * pitch) for it in (columns.start, rows.start)),
                *(math.ceil(it * pitch) for it in (columns.stop, rows.stop)),
            ],
            "probabilities": {
                name: round(float(p), 6) for name, p in zip(names, given, strict=True)
            },
        }


RENDERERS = {"text": render_text, "json": render_json, "csv": render_csv}


def main(arguments: Namespace) -> None:
    check_options(arguments)
    classifier = load_classifier(arguments.model, arguments.rev)
    files = list(list_files(arguments.paths))
    if not files:
        raise PredictError(f"{arguments.paths[0]}: expected files, received none")
    watched = tqdm(files, unit="file", leave=False, disable=None, delay=1)
    keep_pixels = arguments.picture is not None
    pages = [
        page
        for path in watched
        for page in find_pages(path, classifier.judge, keep_pixels=keep_pixels)
    ]
    readings = read_pages(pages, classifier.predict)
    render = RENDERERS[arguments.format]
    text = render(readings, classifier.class_names, arguments.min_probability)
    if text:
        print(text)
    if arguments.picture:
        _draw(arguments.picture, readings, classifier.class_names)
    failed = [page for page in pages if page.error]
    for page in failed:
        print(f"ERROR: {page.name}: {page.error}", file=sys.stderr)
    if failed:
        raise PredictError(f"{len(failed)} of {len(pages)} pictures not read, reasons above")


def _draw(path: Path, readings: Sequence[Reading], names: Sequence[str]) -> None:
    # Imported here: Matplotlib takes a second.
    from digits.commands.reading_figure import draw_readings  # noqa: PLC0415
    from digits.evaluation.plotting import write_figure  # noqa: PLC0415

    write_figure(path, draw_readings([it for it in readings if not it.page.error], names))
