"""`digits pr-report BASE`: what the workspace changes against BASE, as one Markdown page.

Parameters, metrics, the errors on validation that are fixed and new, both results on the test
images for the record, and whether `dvc.lock` and the metrics are true. The page is written whatever
is wrong, and says what; then the exit status is not 0.
"""

import json
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from digits.commands.compare import (
    check_same_images,
    describe_side,
    describe_split,
    judge_models,
    list_notes,
    render_models,
)
from digits.dvc.git import GitError, ask_git, is_commit, try_git
from digits.dvc.revisions import WORKSPACE, load_record
from digits.dvc.run import read_dvc
from digits.errors import DigitsError
from digits.evaluation.comparison import score_side
from digits.evaluation.results import NOT_VERIFIED, load_metrics
from digits.files import write_text
from digits.markdown import escape, render_table
from digits.paths import EVALUATE_METRICS_PATH

REPORT_DIR = Path("report")
PAGE_PATH = REPORT_DIR / "pull-request.md"
PICTURE_PATH = REPORT_DIR / "errors.png"
PLOTS_DIR = REPORT_DIR / "plots"
UNSHALLOW = "this checkout is shallow, `git fetch --unshallow` brings the others"
MARKER = "<!-- digits pr-report -->"  # by which CI finds its own comment
# Bytes: GitHub refuses comments of more than 65,536 letters, and a letter is a byte or more.
LONGEST_PAGE = 65_000
CUT = "\n\nCut here: GitHub takes no longer comment.\n"


class PullRequestError(DigitsError):
    """There is no such base, or the page says what is wrong."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("base", help="revision that the workspace is compared with")


def find_merge_base(base: str) -> str:
    """Return the commit from which the workspace and the base went apart.

    Raises:
        PullRequestError: there is no such base; says the command that helps, where one does.
        GitError: Git does not open the repository.
    """
    if not is_commit(base):
        raise PullRequestError(f"BASE: expected a commit, received {base!r}: {advise(base)}")
    try:
        return ask_git("merge-base", base, "HEAD")[:10]
    except GitError as error:
        hint = f": {UNSHALLOW}" if is_shallow() else ""
        raise PullRequestError(
            f"BASE: expected a commit in common with HEAD, received {base!r}, which has none{hint}"
        ) from error


def is_shallow() -> bool:
    return ask_git("rev-parse", "--is-shallow-repository") == "true"


def advise(base: str) -> str:
    """Say how a base may come to be there."""
    if is_shallow():
        return UNSHALLOW
    remote, _, branch = base.partition("/")
    default = try_git("symbolic-ref", "--short", f"refs/remotes/{remote}/HEAD")
    if default not in ("", base):
        return f"the default branch is {default}: BASE={default}"
    return f"`git fetch {remote} {branch}`, if that is its name, brings it"


def find_stale() -> list[str]:
    """List where `dvc.lock` is not about this code, these parameters, metrics and plots.

    What is not here (data and models of a checkout without them) is not judged.
    """
    status: dict[str, list[Any]] = json.loads(read_dvc("status", "--json"))
    return [
        f"{stage}: {line}"
        for stage, changes in status.items()
        for change in changes
        for line in _describe_change(change)
    ]


def _describe_change(change: Any) -> Iterator[str]:
    if isinstance(change, str):  # "changed command" and the like
        yield change
        return
    for states in change.values():
        for path, state in states.items():
            if isinstance(state, dict):  # of parameters
                yield from (f"{key} {it}" for key, it in state.items())
            elif state not in ("deleted", "not in cache") or try_git("ls-files", "--", path):
                yield f"{path} {state}"


def judge_lock() -> str:
    """Say that `dvc.lock` is about what is here.

    Raises:
        PullRequestError: it is not; says what is older, or newer.
    """
    stale = find_stale()
    if stale:
        raise PullRequestError(
            f"dvc.lock is not about what is here, dvc repro it: {'; '.join(stale)}"
        )
    return "The digests in `dvc.lock` are those of this code, these parameters, metrics and plots."


def judge_metrics() -> str:
    """Say which of the metrics are those of the predictions, or that it is not known.

    Raises:
        ResultError: they are not.
    """
    metrics, verified = load_metrics()
    if not verified:
        return f"`{EVALUATE_METRICS_PATH}` is {NOT_VERIFIED}."
    untold = ", ".join(sorted(metrics.keys() - verified))
    rest = f", but for {escape(untold)}, of which they say nothing" if untold else ""
    return f"`{EVALUATE_METRICS_PATH}` is what the predictions come to{rest}."


def judge_errors(base: str) -> str:
    """Compare the errors on validation, draw them; where predictions cannot be had, say so."""
    split = "validation"
    try:
        before, after = load_record(base, split), load_record(WORKSPACE, split)
        check_same_images(before, after, split)
    except DigitsError as error:
        return f"No comparison: {escape(error)}"
    result, changes = judge_models(before, after, PICTURE_PATH)
    text = render_models(result, changes, (base, WORKSPACE))
    notes = map(escape, list_notes((before, after), split))
    return "\n\n".join([escape(describe_split(before, split)), text, *notes])


def record_test(base: str) -> str:
    """Write down both models' results on the test images; nothing is decided by them."""
    rows = []
    for name in (base, WORKSPACE):
        try:
            side = score_side(load_record(name, "test").predictions)
        except DigitsError as error:
            return f"Not known: {escape(error)}"
        rows.append((name, *describe_side(side)))
    return render_table(("", "accuracy", "95 % interval", "errors"), rows)


def describe_diff(kind: str, base: str) -> str:
    """Return what `dvc params diff` or `dvc metrics diff` lists, as a table."""
    diff: dict[str, dict[str, dict[str, Any]]] = json.loads(read_dvc(kind, "diff", "--json", base))
    rows = [
        (path, key, change.get("old", ""), change.get("new", ""))
        for path, changes in diff.items()
        for key, change in changes.items()
    ]
    return render_table(("file", "key", "before", "now"), rows) if rows else "No change."


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


def cut(page: str) -> str:
    """Shorten a page to what GitHub takes as a comment."""
    data = page.encode()
    if len(data) <= LONGEST_PAGE:
        return page
    return data[:LONGEST_PAGE].decode(errors="ignore") + CUT  # no half a letter


def list_sections(start: str) -> dict[str, Callable[[], str]]:
    """Return what writes each section."""
    return {
        "Does dvc.lock tell the truth?": judge_lock,
        "Do the metrics?": judge_metrics,
        "Is it better?": lambda: judge_errors(start),
        "For the record: the test images": lambda: record_test(start),
        "Parameters": lambda: describe_diff("params", start),
        "Metrics": lambda: describe_diff("metrics", start),
        "Pictures": lambda: draw_plots(start),
    }


def main(arguments: Namespace) -> None:
    base = arguments.base
    start = find_merge_base(base)
    shutil.rmtree(PLOTS_DIR, ignore_errors=True)
    PICTURE_PATH.unlink(missing_ok=True)
    failed, text = render(list_sections(start))
    page = cut(f"{MARKER}\n# Against {escape(base)} ({start})\n\n{text}")
    write_text(PAGE_PATH, page)
    print(f"{PAGE_PATH}\n\n{page}")
    if failed:
        raise PullRequestError(
            f"{PAGE_PATH}: expected dvc.lock and the metrics to be what `dvc repro` makes, "
            "received what it says in bold"
        )
