"""`digits leaderboard`: run every recipe over its seeds as DVC experiments, and rank the recipes.

`benchmarks/leaderboard.yaml` lists them. Each run becomes a line of the ledger; page and picture
are made of the ledger alone, in a fresh clone, too. What the ledger has is not run again, as long
as its parameters, its data and `TRAINING_VERSION` are the same.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from digits.commands.leaderboard.jobs import BOARD_PATH, Board, Job, list_jobs, load_board
from digits.commands.leaderboard.page import PICTURE_PATH, rank_recipes, write_page
from digits.commands.leaderboard.picture import draw_leaderboard
from digits.config import did_you_mean
from digits.data.datasets import load_dataset
from digits.dvc.git import check_committed
from digits.dvc.run import fetch_data
from digits.errors import DigitsError
from digits.evaluation.ledger import load_ledger, write_ledger
from digits.evaluation.plotting import write_figure
from digits.files import write_text

PAGE_PATH = Path("LEADERBOARD.md")
# What a run may be made of: nothing runs that no commit describes.
SOURCES = ("params.yaml", "recipes", "datasets", "dvc.yaml", "pipeline", "digits")


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--only", nargs="+", metavar="RECIPE", help="run these recipes only")
    add("--force", action="store_true", help="train again what has run, to measure its time")
    add("--no-run", action="store_true", help="rank what has run")


def publish(board: Board, jobs: Mapping[str, Job]) -> None:
    """Write page and picture from the ledger.

    Raises:
        DigitsError: it has no run of what is listed.
    """
    ledger = load_ledger()
    done = {run["inputs"]: run for run in ledger if run["inputs"] in jobs}
    if not done:
        raise DigitsError(f"expected at least one run of {BOARD_PATH}, received none")
    ranking, title = rank_recipes(list(done.values())), load_dataset(board.dataset).title
    missing = [job for inputs, job in jobs.items() if inputs not in done]
    write_figure(PICTURE_PATH, draw_leaderboard(ranking, board.published, title))
    write_text(PAGE_PATH, write_page(ranking, missing, board, title, len(ledger)))
    print(f"Ranked {len(done)} runs in {PAGE_PATH}, drawn in {PICTURE_PATH}")


def run_jobs(jobs: list[Job], *, force: bool) -> None:
    """Run the jobs one after another, each a line of the ledger as soon as it is done."""
    # TensorFlow takes seconds, and most often there is nothing to run.
    from digits.commands.leaderboard.runs import describe_run, perform  # noqa: PLC0415

    check_committed("--untracked-files=all", "--", *SOURCES)
    fetch_data()
    for number, job in enumerate(jobs, start=1):
        print(f"\n=== {job.name}, {number} of {len(jobs)} ===", flush=True)
        outcome = perform(job, force=force)
        new = describe_run(job, outcome.stages.get("train", {}))
        others = [run for run in load_ledger() if run["inputs"] != new["inputs"]]
        write_ledger([*others, new])


def main(arguments: Namespace) -> None:
    board = load_board()
    jobs = list_jobs(board)
    chosen = [] if arguments.no_run else arguments.only or [*board.recipes]
    for name in set(chosen) - set(board.recipes):
        hint = did_you_mean(name, board.recipes)
        raise DigitsError(f"--only: expected recipes of {BOARD_PATH}, received {name!r}{hint}")
    done = {run["inputs"] for run in load_ledger()}
    waiting = [
        job
        for inputs, job in jobs.items()
        if job.recipe in chosen and (arguments.force or inputs not in done)
    ]
    print(f"{len(waiting)} runs to do", flush=True)
    if waiting:
        run_jobs(waiting, force=arguments.force)
    publish(board, jobs)
