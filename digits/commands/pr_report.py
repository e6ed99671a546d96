"""`digits pr-report BASE`: what the workspace changes against BASE, as one Markdown page.

Parameters, metrics, the errors on validation that are fixed and new, and whether `dvc.lock` and the
metrics are those of this code. The page is written whatever is wrong, and says what; then the exit
status is not 0.
"""

import json
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tabulate import tabulate

from digits.dvc.git import is_commit, try_git
from digits.dvc.revisions import WORKSPACE, load_record
from digits.dvc.run import read_dvc
from digits.errors import DigitsError
from digits.evaluation.comparison_text import describe_split, draw_changes, render_comparison
from digits.evaluation.records import check_same_images, list_notes
from digits.evaluation.results import NOT_VERIFIED, load_metrics
from digits.files import write_text
from digits.markdown import escape
from digits.paths import EVALUATE_METRICS_PATH

REPORT_DIR = Path("report")
PAGE_PATH = REPORT_DIR / "pull-request.md"
PICTURE_PATH = REPORT_DIR / "errors.png"
PLOTS_DIR = REPORT_DIR / "plots"
MARKER = "<!-- digits pr-report -->"  # by which CI finds its own comment


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("base", nargs="?", default="origin/main", help="revision [origin/main]")


def find_merge_base(base: str) -> str:
    """Return the commit at which the workspace and the base diverged.

    Raises:
        DigitsError: there is none.
    """
    start = try_git("merge-base", base, "HEAD") if is_commit(base) else ""
    if not start:
        raise DigitsError(
            f"{base}: expected a revision with a commit in common with HEAD, received none: "
            "`git fetch` brings what is not here yet, in a shallow clone `git fetch --unshallow`"
        )
    return start[:10]


def judge_lock() -> str:
    """Say that `dvc.lock` is about this code, these parameters, metrics and plots.

    Files that this checkout lacks are not judged.

    Raises:
        DigitsError: it is not; says what is older, or newer.
    """
    status: dict[str, list[Any]] = json.loads(read_dvc("status", "--json"))
    changes = {stage: [*_list_changes(changed)] for stage, changed in status.items()}
    stale = [f"{stage}: {', '.join(lines)}" for stage, lines in changes.items() if lines]
    if stale:
        raise DigitsError(f"dvc.lock is out of date, run `dvc repro`: {'; '.join(stale)}")
    return "The digests in `dvc.lock` are those of this code, these parameters, metrics and plots."


def _list_changes(changes: list[Any]) -> Iterator[str]:
    for change in changes:
        if isinstance(change, str):  # "changed command" and the like
            yield change
            continue
        for states in change.values():
            for path, state in states.items():
                if isinstance(state, dict):  # of parameters
                    yield from (f"{key} {what}" for key, what in state.items())
                elif state not in ("deleted", "not in cache"):
                    yield f"{path} {state}"


def judge_metrics() -> str:
    """Say which metrics follow from the predictions, or that this cannot be checked.

    Raises:
        DigitsError: they are not.
    """
    metrics, verified = load_metrics()
    if not verified:
        return f"`{EVALUATE_METRICS_PATH}` is {NOT_VERIFIED}."
    untold = ", ".join(sorted(metrics.keys() - verified))
    rest = f"; not checked: {escape(untold)}" if untold else ""
    return f"`{EVALUATE_METRICS_PATH}` follows from the predictions{rest}."


def judge_errors(base: str) -> str:
    """Compare the errors on validation and draw them, or say which predictions are missing."""
    split = "validation"
    try:
        before, after = load_record(base, split), load_record(WORKSPACE, split)
        check_same_images(before, after, split)
    except DigitsError as error:
        return f"No comparison: {escape(error)}"
    draw_changes(PICTURE_PATH, before, after)
    text = render_comparison([before], [after], (base, WORKSPACE))
    notes = map(escape, list_notes((before, after), split))
    return "\n\n".join([escape(describe_split(before, split)), text, *notes])


def describe_diff(kind: str, base: str) -> str:
    """Tabulate what `dvc params diff` or `dvc metrics diff` lists; DVC escapes no cell."""
    diff: dict[str, dict[str, dict[str, Any]]] = json.loads(read_dvc(kind, "diff", "--json", base))
    changes = [
        (path, key, change["old"], change["new"])
        for path, changed in diff.items()
        for key, change in changed.items()
    ]
    rows = [[escape("-" if cell is None else cell) for cell in change] for change in changes]
    if not rows:
        return "No change."
    return tabulate(rows, ("Path", "Key", base, WORKSPACE), "github", disable_numparse=True)


def draw_plots(base: str) -> str:
    """Draw the plots of both sides; say which pictures there are."""
    read_dvc("plots", "diff", base, "--out", str(PLOTS_DIR))
    places = {"both sides": PLOTS_DIR / "index.html", "errors fixed and new": PICTURE_PATH}
    there = [f"{name}: `{path}`" for name, path in places.items() if path.is_file()]
    return "; ".join(there) or "None."


def render(sections: dict[str, Callable[[], str]]) -> tuple[bool, str]:
    """Write every section; one that fails says why in bold, the others are written all the same."""
    texts, failed = [], False
    for title, write in sections.items():
        try:
            text = write()
        except DigitsError as error:
            failed, text = True, f"**{escape(error)}**"
        texts.append(f"## {title}\n\n{text}\n")
    return failed, "\n".join(texts)


def main(arguments: Namespace) -> None:
    start = find_merge_base(arguments.base)
    shutil.rmtree(PLOTS_DIR, ignore_errors=True)
    PICTURE_PATH.unlink(missing_ok=True)
    failed, text = render(
        {
            "Is dvc.lock up to date?": judge_lock,
            "Do the metrics match the predictions?": judge_metrics,
            "Is it better?": lambda: judge_errors(start),
            "Parameters": lambda: describe_diff("params", start),
            "Metrics": lambda: describe_diff("metrics", start),
            "Pictures": lambda: draw_plots(start),
        }
    )
    page = f"{MARKER}\n# Against {escape(arguments.base)} ({start})\n\n{text}"
    write_text(PAGE_PATH, page)
    print(f"{PAGE_PATH}\n\n{page}")
    if failed:
        raise DigitsError(
            f"{PAGE_PATH}: expected dvc.lock and the metrics to be what `dvc repro` makes, "
            "received the differences that the page has in bold"
        )
