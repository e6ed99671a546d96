"""Train the network of the selected recipe on the train split, watched on the validation split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from digits.data.splits import load_split
from digits.files.artifacts import write_json
from digits.files.history import write_history
from digits.files.params import load_params
from digits.model.archive import write_model
from digits.model.ensemble import Plan, train_recipe
from digits.model.recipes import Overrides, Precision, Recipe
from digits.paths import MODEL_PATH, TRAIN_DIR, TRAIN_METRICS_PATH, VALIDATION_DIR
from digits.stage import run

CHECKPOINT_PATH = Path("models/checkpoint.json")  # no output: DVC would delete it before the stage


class TrainParams(Overrides):
    """Which recipe, with which changes, and what makes the run repeatable."""

    recipe: str
    seed: int = Field(ge=0, lt=2**32)
    threads: int = Field(ge=0)
    precision: Precision


def load_plan() -> Plan:
    """Load the recipe that is trained, and the images."""
    params = load_params("train", TrainParams)
    recipe = params.apply(load_params(f"recipes.{params.recipe}", Recipe))
    splits = load_split(TRAIN_DIR), load_split(VALIDATION_DIR)
    return Plan(params.recipe, recipe, *splits, params.seed, params.threads, params.precision)


def write_results(history: pd.DataFrame, metrics: Mapping[str, Any]) -> None:
    """Write how the training stands, for whoever looks on, and how it ended."""
    write_history(history)
    write_json(TRAIN_METRICS_PATH, metrics)


def main() -> None:
    trained = train_recipe(load_plan(), write_results, CHECKPOINT_PATH)
    write_results(trained.history, trained.metrics)
    write_model(MODEL_PATH, trained.model)
    CHECKPOINT_PATH.unlink(missing_ok=True)


if __name__ == "__main__":
    run(main)
