"""Train the network of the selected recipe on the train split, watched on the validation split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from digits.data.splits import load_split
from digits.files.artifacts import write_json
from digits.files.params import load_params
from digits.files.tables import write_table
from digits.model.archive import write_model
from digits.model.ensemble import Plan, train_recipe
from digits.model.recipes import Overrides, Precision, Recipe
from digits.stage import run

TRAIN_DIR, VALIDATION_DIR = Path("data/decoded/train"), Path("data/decoded/validation")
MODEL_PATH = Path("models/model.keras")
METRICS_PATH = Path("metrics/train.json")
HISTORY_PATH = Path("plots/history.csv")
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
    write_table(HISTORY_PATH, history)
    write_json(METRICS_PATH, metrics)


def main() -> None:
    trained = train_recipe(load_plan(), write_results, CHECKPOINT_PATH)
    write_results(trained.history, trained.metrics)
    write_model(MODEL_PATH, trained.model)
    CHECKPOINT_PATH.unlink(missing_ok=True)


if __name__ == "__main__":
    run(main)
