"""Train the network of the selected recipe on train, and score it on validation."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from digits.config import Section, load_params
from digits.data.splits import load_card, load_split
from digits.evaluation.predictions import Predictions, write_predictions
from digits.evaluation.robustness import (
    COLUMNS,
    group_kinds,
    measure_robustness,
    subsample,
    summarize_robustness,
)
from digits.files import write_json, write_table
from digits.model.batches import count_steps
from digits.model.recipes import RECIPES_DIR, load_recipe
from digits.model.saving import predict_probabilities, write_model
from digits.model.training import (
    VALIDATION_BATCH_SIZE,
    Plan,
    Trained,
    settle_recipe,
    train_recipe,
)
from digits.paths import (
    CARD_PATH,
    HISTORY_PATH,
    MODEL_PATH,
    TRAIN_DIR,
    TRAIN_METRICS_PATH,
    VAL_ROBUSTNESS_PATH,
    VALIDATION_DIR,
    VALIDATION_PREDICTIONS_DIR,
)
from digits.stage import run

CHECKPOINT_PATH = Path("models/checkpoint.json")  # no output: DVC would delete it before the stage
FEW_STEPS = 200
# Validation images that are corrupted: not all, since this is part of the time that a training
# takes, and `champion` looks at each 30 times.
ROBUSTNESS_COUNT = 1000
NOT_MEASURED = pd.DataFrame(columns=COLUMNS)  # until the training ends: `dvc plots` needs a table


class TrainParams(Section):
    """Which recipe, and what makes the run repeatable."""

    recipe: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")  # the model has its name
    seed: int = Field(ge=0, lt=2**32)
    threads: int = Field(ge=0)
    devices: int = Field(ge=1)


def load_plan() -> Plan:
    """Load the recipe that is trained, and the images."""
    params = load_params("train", TrainParams)
    card = load_card(CARD_PATH)
    return Plan(
        params.recipe,
        settle_recipe(load_recipe(params.recipe), card.class_names),
        load_split(TRAIN_DIR, card.class_count),
        load_split(VALIDATION_DIR, card.class_count),
        card.class_count,
        params.seed,
        params.threads,
        params.devices,
    )


def warn_of_few_steps(plan: Plan) -> None:
    """Warn of a recipe that was made for more images: in so few steps it learns little."""
    count = len(plan.train.labels)
    steps = plan.recipe.epochs * count_steps(count, plan.recipe.batch_size)
    if steps < FEW_STEPS:
        print(
            f"WARNING: {plan.name} takes {steps} steps on {count:,} images, and learns little in "
            f"so few: change epochs or batch_size in {RECIPES_DIR}/{plan.name}.yaml, or choose "
            "another recipe",
            file=sys.stderr,
        )


def write_results(
    history: pd.DataFrame, metrics: Mapping[str, Any], robustness: pd.DataFrame = NOT_MEASURED
) -> None:
    """Write the learning curves and the scores, those so far for `dvc metrics show`."""
    write_table(HISTORY_PATH, history)
    write_table(VAL_ROBUSTNESS_PATH, robustness)
    write_json(TRAIN_METRICS_PATH, metrics)


def judge_robustness(plan: Plan, trained: Trained) -> pd.DataFrame:
    """Score the model on corrupted validation images, since models are chosen by this score."""
    return measure_robustness(
        lambda batch: predict_probabilities(trained.model, batch, VALIDATION_BATCH_SIZE).argmax(1),
        subsample(plan.validation, ROBUSTNESS_COUNT),
        group_kinds(plan.recipe.augmentation.model_dump()),
    )


def main() -> None:
    plan = load_plan()
    warn_of_few_steps(plan)
    trained = train_recipe(plan, write_results, CHECKPOINT_PATH)
    robustness = judge_robustness(plan, trained)
    metrics = trained.metrics | summarize_robustness(robustness, "val_")
    write_results(trained.history, metrics, robustness)
    write_model(MODEL_PATH, trained.model)
    predictions = Predictions.of_split(plan.validation, trained.probabilities)
    write_predictions(VALIDATION_PREDICTIONS_DIR, predictions)
    CHECKPOINT_PATH.unlink(missing_ok=True)


if __name__ == "__main__":
    run(main)
