"""`make leaderboard`: run every recipe over its seeds as DVC experiments, and rank the recipes.

`benchmarks/leaderboard.yaml` lists them: files of `recipes/`, and some that are one of those with
other settings, under a name of their own: `cnn_20_epochs` is `cnn` with `epochs: 20`.

Each run becomes a line of the ledger, and the page and the picture are made of the ledger alone: in
a fresh clone, too. What the ledger has is not run again, as long as the code, the parameters and
the data of which the model is made are the same. What is run is what is committed.
"""

import datetime as dt
import hashlib
import json
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from digits.commands.leaderboard.ledger import (
    Run,
    add_run,
    describe_machine,
    load_ledger,
    write_ledger,
)
from digits.commands.leaderboard.page import Entry, Job, Published, list_jobs, write_markdown
from digits.commands.leaderboard.picture import draw_leaderboard
from digits.commands.repro import fetch_data
from digits.config import (
    PARAMS_PATH,
    describe_errors,
    did_you_mean,
    load_params,
    load_yaml,
)
from digits.data.datasets import load_dataset
from digits.dvc.experiments import name_ref, run_experiment
from digits.dvc.git import ask_git, is_commit
from digits.dvc.revisions import bring, load_record
from digits.dvc.run import Outcome, run_dvc
from digits.errors import DigitsError
from digits.evaluation.figures import write_figure
from digits.files.artifacts import load_json, write_text
from digits.files.history import COLUMNS
from digits.files.tables import load_table
from digits.model.recipes import RECIPES_DIR, Recipe, load_recipe
from digits.paths import DVC_YAML_PATH, EVALUATE_METRICS_PATH, HISTORY_PATH, TRAIN_METRICS_PATH

BOARD_PATH = Path("benchmarks/leaderboard.yaml")
PICTURE_PATH = Path("benchmarks/leaderboard.png")
MARKDOWN_PATH = Path("LEADERBOARD.md")
# What makes a model and judges it on validation: these stages, of their code that which computes.
# How errors are said and files are written changes no number.
MAKERS = ("decode", "train")
COMPUTING = ("pipeline/", "digits/data/", "digits/model/", "digits/evaluation/corruptions.py")
ROBUSTNESS_KEYS = ("robustness", "robustness_seen", "robustness_unseen", "other_hands")


class LeaderboardError(DigitsError):
    """The runs cannot start, or one of them failed."""


@dataclass(frozen=True)
class Board:
    """What the page is about, beside the runs."""

    title: str  # of the dataset
    entries: dict[str, Entry]
    published: list[Published]


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", metavar="RECIPE", help="run these recipes only")
    parser.add_argument("--seeds", nargs="+", type=int, help="run these of their seeds only")
    parser.add_argument(
        "--force", action="store_true", help="train anew what has run, to take its time"
    )
    parser.add_argument("--no-run", action="store_true", help="rank what has run")


def choose_jobs(wanted: Sequence[Job], arguments: Namespace) -> list[Job]:
    """Keep what the arguments ask for.

    Raises:
        LeaderboardError: an unknown recipe, or none that was asked for has one of the seeds.
    """
    known = {job.recipe for job in wanted}
    recipes = arguments.only or known
    for name in set(recipes) - known:
        hint = did_you_mean(name, known)
        raise LeaderboardError(f"--only: expected recipes of {BOARD_PATH}, received {name!r}{hint}")
    of_recipes = [job for job in wanted if job.recipe in recipes]
    seeds = sorted({job.seed for job in of_recipes})
    unknown = set(arguments.seeds or ()) - set(seeds)
    if unknown:
        listed = f"of {seeds}, listed in {BOARD_PATH}"
        raise LeaderboardError(f"--seeds: expected some {listed}, received {sorted(unknown)}")
    return [job for job in of_recipes if arguments.seeds is None or job.seed in arguments.seeds]


def load_board() -> Board:
    """Load what there is to run, and what others have published.

    Raises:
        LeaderboardError: `params.yaml` has another dataset, or lacks a recipe.
    """
    dataset = load_params("dataset", str, BOARD_PATH)
    selected = load_params("dataset", str)
    if selected != dataset:
        raise LeaderboardError(
            f"{PARAMS_PATH}: dataset: expected {dataset!r}, which {BOARD_PATH} is about, "
            f"received {selected!r}"
        )
    entries: dict[str, Entry] = load_params("recipes", dict[str, Entry], BOARD_PATH)
    for name, entry in entries.items():
        load_recipe(entry.recipe or name, f"{BOARD_PATH}: recipes.{name}")
    published: list[Published] = load_params("published", list[Published], BOARD_PATH)
    return Board(load_dataset(dataset).title, entries, published)


def list_code(stages: Iterable[str]) -> list[str]:
    """List the stages' own modules, from `dvc.yaml`."""
    listed: dict[str, Any] = load_params("stages", dict[str, Any], DVC_YAML_PATH)
    return sorted({dep for it in stages for dep in listed[it]["deps"] if dep.endswith(".py")})


def digest_inputs(job: Job) -> str:
    """Digest what makes the model of a job: code, parameters and data, the last by its digests."""
    section = {**load_params("train", dict[str, Any]), "recipe": job.base, "seed": job.seed}
    dataset = load_dataset(load_params("dataset", str))
    inputs = {
        "name": job.recipe,
        "code": {
            path: _digest(Path(path).read_bytes())
            for path in list_code(MAKERS)
            if path.startswith(COMPUTING)
        },
        "decode": load_params("decode", dict),
        "train": section,
        "recipe": load_job_recipe(job).model_dump(),
        "files": [file.model_dump() for file in dataset.files],
        "classes": dataset.class_names,
    }
    return _digest(json.dumps(inputs).encode())  # unsorted: the order of layers counts


def load_job_recipe(job: Job) -> Recipe:
    """Load the recipe as the job trains it.

    Raises:
        LeaderboardError: a setting that makes it invalid.
    """
    path = RECIPES_DIR / f"{job.base}.yaml"
    values = load_yaml(path)
    for key, value in job.entry.settings.items():
        *above, last = key.split(".")
        inner = values
        for part in above:
            inner = inner.setdefault(part, {})
        inner[last] = value
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise LeaderboardError(
            f"{BOARD_PATH}: {job.recipe}: {describe_errors('settings', Recipe, error)}"
        ) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def check_committed() -> None:
    """Refuse to run what no commit describes.

    Raises:
        LeaderboardError: a file that a run is made of has uncommitted changes.
    """
    stages: dict[str, Any] = load_params("stages", dict[str, Any], DVC_YAML_PATH)
    inputs = [str(PARAMS_PATH), str(RECIPES_DIR), str(DVC_YAML_PATH), *list_code(stages)]
    changed = ask_git("status", "--porcelain", "--untracked-files=all", "--", *inputs)
    if changed:
        names = ", ".join(line[3:] for line in changed.splitlines())
        raise LeaderboardError(f"expected everything committed, received changes in {names}")


def perform(job: Job, *, force: bool) -> Outcome:
    """Run the experiment, in place of one of its name.

    Raises:
        LeaderboardError: it failed.
    """
    if is_commit(name_ref(ask_git("rev-parse", "HEAD"), job.name)):
        run_dvc("exp", "remove", "--quiet", job.name)  # killed before it came into the ledger
    # Forced without --downstream, a run would fetch the dataset again, too.
    again = ("--force", "--downstream", "train") if force else ()
    outcome = run_experiment(job.settings, "--temp", "--name", job.name, *again)
    if outcome.status != 0:
        raise LeaderboardError(
            f"{job.name}: exit status {outcome.status}, reasons above; what has run is kept, and "
            "the same command goes on from here"
        )
    return outcome


def describe_run(job: Job, timing: Mapping[str, Any]) -> Run:
    """Read from the job's experiment what there is to say of it.

    `timing` is what its training has left in the journal: nothing, where DVC restored it.
    """
    from digits.commands.cost import count_multiply_adds  # noqa: PLC0415 (TensorFlow takes seconds)
    from digits.model.networks import build_network  # noqa: PLC0415

    validation, test = (load_record(job.name, split) for split in ("validation", "test"))
    with tempfile.TemporaryDirectory() as folder:
        bring(job.name, (HISTORY_PATH, TRAIN_METRICS_PATH, EVALUATE_METRICS_PATH), Path(folder))
        epochs = int(load_table(Path(folder) / HISTORY_PATH, COLUMNS)["epoch"].max())
        precision = load_json(Path(folder) / TRAIN_METRICS_PATH)["compute_dtype"]
        evaluated = load_json(Path(folder) / EVALUATE_METRICS_PATH)
    predictions = (validation.predictions, test.predictions)
    recipe = load_job_recipe(job)
    network = build_network("network", recipe.suit_classes(test.card.class_count))
    errors = [np.flatnonzero(it.predicted != it.labels) for it in predictions]
    counts = [len(it.labels) for it in predictions]
    robustness: dict[str, Any] = {key: evaluated.get(key) for key in ROBUSTNESS_KEYS}
    return Run(
        recipe=job.recipe,
        seed=job.seed,
        inputs=digest_inputs(job),
        model=test.model,
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        precision=precision,
        threads=test.settings["train.threads"],
        machine=describe_machine(),
        training_seconds=timing.get("seconds"),
        training_cpu_seconds=timing.get("cpu_seconds"),
        parameter_count=recipe.ensemble_size * int(network.count_params()),
        multiply_adds=recipe.ensemble_size * count_multiply_adds(network),
        images_seen=epochs * test.card.image_counts["train"],
        val_image_count=counts[0],
        val_error_count=len(errors[0]),
        val_accuracy=round(1 - len(errors[0]) / counts[0], 6),
        image_count=counts[1],
        error_count=len(errors[1]),
        accuracy=round(1 - len(errors[1]) / counts[1], 6),
        **robustness,
        errors=errors[1].tolist(),
    )


def perform_all(jobs: Sequence[Job], *, force: bool) -> None:
    """Run the experiments one after another, and write each into the ledger when it has ended."""
    for number, job in enumerate(jobs, start=1):
        print(f"\n=== {job.name}, {number} of {len(jobs)} ===", flush=True)
        outcome = perform(job, force=force)
        run = describe_run(job, outcome.stages.get("train", {}))
        write_ledger(add_run(load_ledger(), run))


def render(board: Board, runs: Sequence[Run], current: Collection[str]) -> str:
    """Render the page, its first line a digest of all that it is made of.

    By that line, tests know a page that ought to be the same today.
    """
    made_of = [*runs, *board.entries.values(), *board.published]
    texts = [
        board.title,
        *board.entries,
        *sorted(current),
        *(it.model_dump_json() for it in made_of),
    ]
    page = write_markdown(runs, current, board.entries, board.published, board.title)
    picture = f"![Accuracy against training cost]({PICTURE_PATH.as_posix()})"
    return f"<!-- {_digest(json.dumps(texts).encode())} -->\n\n{page}\n{picture}\n"


def publish(board: Board, current: Collection[str]) -> int:
    """Write the page and the picture from the ledger; return how many of its runs are today's.

    Raises:
        LeaderboardError: the ledger is empty.
    """
    runs = load_ledger()
    if not runs:
        raise LeaderboardError("expected at least one run to rank, received none")
    todays = [run for run in runs if run.inputs in current]
    page = render(board, runs, current)
    write_figure(PICTURE_PATH, draw_leaderboard(todays or runs, board.published, board.title))
    write_text(MARKDOWN_PATH, page)
    return len(todays)


def main(arguments: Namespace) -> None:
    board = load_board()
    current = {digest_inputs(job): job for job in list_jobs(board.entries)}
    chosen = [] if arguments.no_run else choose_jobs(list(current.values()), arguments)
    done = {run.inputs for run in load_ledger()}
    jobs = [
        job
        for inputs, job in current.items()
        if job in chosen and (arguments.force or inputs not in done)
    ]
    print(f"{len(jobs)} of {len(chosen)} runs to do", flush=True)
    if jobs:
        check_committed()
        fetch_data()
        perform_all(jobs, force=arguments.force)
    count = publish(board, current)
    print(f"Ranked {count} runs in {MARKDOWN_PATH}, drawn in {PICTURE_PATH}")
