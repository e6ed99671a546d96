"""What the leaderboard runs: recipes from several seeds, and what identifies a run."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from digits.config import PARAMS_PATH, Section, load_params
from digits.data.datasets import Line, load_dataset
from digits.errors import DigitsError
from digits.model.recipes import load_recipe

BOARD_PATH = Path("benchmarks/leaderboard.yaml")
# Raise it when `decode` or `train` makes another model of the same parameters and data (other
# initial weights, order of images, augmentation, rounding), or when `evaluate` measures otherwise:
# everything then runs again. Not for words, names, messages or speed.
TRAINING_VERSION = 1

Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)]


class Published(Section):
    """A published result, and how it was measured."""

    name: Line
    accuracy: Annotated[float, Field(gt=0, le=100)]  # per cent
    deviation: float | None  # between runs
    runs: Annotated[int, Field(ge=1)]
    protocol: Line
    source: Line  # Markdown: it may be a link
    multiply_adds: Annotated[int, Field(ge=1)]  # of one image, forward
    images_seen: Annotated[int, Field(ge=1)]  # in training


class Board(Section):
    """`benchmarks/leaderboard.yaml`."""

    dataset: str
    recipes: dict[str, Seeds]  # by the names of files in recipes/
    published: list[Published]


class Job(NamedTuple):
    """A recipe to be trained from a seed."""

    recipe: str
    seed: int

    @property
    def name(self) -> str:
        """Name the experiment."""
        return f"leaderboard-{self.recipe}-{self.seed}"


def load_board() -> Board:
    """Load the file.

    Raises:
        DigitsError: `params.yaml` has another dataset.
    """
    board = load_params("", Board, BOARD_PATH)
    selected = load_params("dataset", str)
    if selected != board.dataset:
        raise DigitsError(
            f"{PARAMS_PATH}: dataset: expected {board.dataset!r}, which {BOARD_PATH} is about, "
            f"received {selected!r}"
        )
    return board


def list_jobs(board: Board) -> dict[str, Job]:
    """List the jobs in the order of the file, by the digests of their inputs."""
    jobs = [Job(recipe, seed) for recipe, seeds in board.recipes.items() for seed in seeds]
    return {digest_inputs(job): job for job in jobs}


def digest_inputs(job: Job) -> str:
    """Digest what identifies a run: parameters, data and the version of the training."""
    recipe = load_recipe(job.recipe, f"{BOARD_PATH}: recipes.{job.recipe}")
    train = load_params("train", dict[str, Any]) | job._asdict()
    dataset = load_dataset(load_params("dataset", str))
    inputs = {
        "version": TRAINING_VERSION,
        "train": sorted(train.items()),
        # In the order of the layers, and without defaults: a new key changes nothing.
        "recipe": recipe.model_dump(exclude_defaults=True),
        "decode": sorted(load_params("decode", dict[str, Any]).items()),
        "files": [file.raw_sha256 or file.gzip_sha256 for file in dataset.files],
        "classes": dataset.class_names,
    }
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
