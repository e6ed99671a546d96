"""`make pr-report BASE=origin/main`: what the workspace changes against BASE, as one Markdown page.

Parameters, metrics, the errors that are fixed and new, and whether `dvc.lock` tells the truth.
"""

import subprocess
from argparse import ArgumentParser, Namespace
from pathlib import Path

from digits.commands.compare import check_same_images, cut_strips, render_markdown
from digits.commands.dvc import read_dvc
from digits.commands.revisions import WORKSPACE, load_record
from digits.errors import DigitsError
from digits.evaluation.comparison import compare, tabulate_changes
from digits.evaluation.figures import write_figure
from digits.evaluation.galleries import draw_strips
from digits.files.artifacts import write_text

REPORT_DIR = Path("report")
PAGE_PATH = REPORT_DIR / "pull-request.md"
PICTURE_PATH = REPORT_DIR / "errors.png"
PLOTS_DIR = REPORT_DIR / "plots"
UP_TO_DATE = "Data and pipelines are up to date."


class PullRequestError(DigitsError):
    """There is no such base, or dvc.lock is not what the code makes."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("base", help="revision that the workspace is compared with")


def find_merge_base(base: str) -> str:
    """Return the commit from which the workspace and the base went apart.

    Raises:
        PullRequestError: there is none.
    """
    command = ("git", "merge-base", base, "HEAD")
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or "no commit in common").splitlines()[0]
        raise PullRequestError(f"{' '.join(command)}: exit status {done.returncode}, {reason}")
    return done.stdout.strip()[:10]


def judge_lock() -> tuple[bool, str]:
    """Ask whether dvc.lock is what today's code and parameters make, and say it."""
    if UP_TO_DATE in read_dvc("repro", "--allow-missing", "--dry"):
        return True, "`dvc.lock` agrees with the code and the parameters."
    return False, "**`dvc.lock` is not what the code and the parameters make: `dvc repro` it.**"


def judge_errors(base: str) -> str:
    """Compare the errors and draw them; where predictions cannot be had, say so instead."""
    try:
        before, after = load_record(base), load_record(WORKSPACE)
        check_same_images(before, after)
    except DigitsError as error:
        return f"No comparison: {error}"
    result = compare(before.predictions, after.predictions)
    changes = tabulate_changes(result, before.predictions.labels, before.card)
    strips = cut_strips(result, before.predictions, after.predictions, before.card)
    title = f"Errors fixed and new against {base} · {before.card.title}\n{result.verdict}"
    write_figure(PICTURE_PATH, draw_strips(strips, title))
    return render_markdown((base, WORKSPACE), result, changes)


def describe_diff(kind: str, base: str) -> str:
    """Return `dvc params diff` or `dvc metrics diff` as Markdown."""
    return read_dvc(kind, "diff", "--md", base) or "No change."


def main(arguments: Namespace) -> None:
    base = arguments.base
    start = find_merge_base(base)
    agrees, lock = judge_lock()
    read_dvc("plots", "diff", start, "--out", str(PLOTS_DIR))
    page = f"""\
# Against {base} ({start})

{lock}

## Is it better?

{judge_errors(start)}

## Parameters

{describe_diff("params", start)}

## Metrics

{describe_diff("metrics", start)}

Plots of both sides: `{PLOTS_DIR}/index.html`; the images fixed and new: `{PICTURE_PATH}`.
"""
    write_text(PAGE_PATH, page)
    print(f"{PAGE_PATH}\n\n{page}")
    if not agrees:
        raise PullRequestError(
            "dvc.lock: expected what `dvc repro` makes, received something older"
        )
