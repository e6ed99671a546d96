"""`make pr-report BASE=origin/main`: what the workspace changes against BASE, as one Markdown page.

Parameters, metrics, the errors that are fixed and new, and whether `dvc.lock` tells the truth.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from digits import stage
from digits.compare import check_same_images, cut_strips, render_markdown
from digits.errors import DigitsError
from digits.evidence.comparison import compare, tabulate_changes
from digits.evidence.figures import write_figure
from digits.evidence.galleries import draw_strips
from digits.files.artifacts import write_text
from digits.revisions import WORKSPACE, load_record

REPORT_DIR = Path("report")
PAGE_PATH = REPORT_DIR / "pull-request.md"
PICTURE_PATH = REPORT_DIR / "errors.png"
PLOTS_DIR = REPORT_DIR / "plots"
METRICS = ("metrics/evaluate.json", "metrics/errors.json")
UP_TO_DATE = "Data and pipelines are up to date."


class PullRequestError(DigitsError):
    """A command that the report is made of failed, or dvc.lock is not what the code makes."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make pr-report", description=__doc__.partition("\n")[0])
    parser.add_argument("base", help="revision that the workspace is compared with")
    return parser.parse_args()


def call(*command: str) -> str:
    """Return what a command prints.

    Raises:
        PullRequestError: it failed.
    """
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise PullRequestError(f"{' '.join(command)}: exit status {done.returncode}, {reason}")
    return done.stdout.strip()


def call_dvc(*arguments: str) -> str:
    return call(sys.executable, "-m", "dvc", *arguments)


def judge_lock() -> tuple[bool, str]:
    """Ask whether dvc.lock is what today's code and parameters make, and say it."""
    if UP_TO_DATE in call_dvc("repro", "--allow-missing", "--dry"):
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


def describe_diff(kind: str, base: str, *targets: str) -> str:
    """Return `dvc params diff` or `dvc metrics diff` as Markdown."""
    options = ("--targets", *targets) if targets else ()
    return call_dvc(kind, "diff", "--md", base, *options) or "No change."


def main() -> None:
    base = parse_arguments().base
    start = call("git", "merge-base", base, "HEAD")[:10]
    agrees, lock = judge_lock()
    call_dvc("plots", "diff", start, "--out", str(PLOTS_DIR))
    page = f"""\
# Against {base} ({start})

{lock}

## Is it better?

{judge_errors(start)}

## Parameters

{describe_diff("params", start)}

## Metrics

{describe_diff("metrics", start, *METRICS)}

Plots of both sides: `{PLOTS_DIR}/index.html`; the images fixed and new: `{PICTURE_PATH}`.
"""
    write_text(PAGE_PATH, page)
    print(f"{PAGE_PATH}\n\n{page}")
    if not agrees:
        raise PullRequestError(
            "dvc.lock: expected what `dvc repro` makes, received something older"
        )


if __name__ == "__main__":
    stage.run(main)
