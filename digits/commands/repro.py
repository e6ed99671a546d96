"""`make repro`: reproduce the pipeline and show its result.

When no mirror has the dataset, the same stages run on the embedded one instead: loudly, and as a
DVC experiment, so that parameters, data and results stay tracked.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from digits.config import load_params
from digits.data.datasets import load_dataset
from digits.data.splits import load_card
from digits.dvc.experiments import run_experiment
from digits.dvc.git import try_git
from digits.dvc.run import DvcError, run_dvc
from digits.evaluation.metrics import score_accuracy_interval
from digits.evaluation.results import LOCK_PATH, load_metrics
from digits.model.recipes import load_recipe
from digits.paths import CARD_PATH, PLOTS_DIR

EMBEDDED = {"dataset": "optdigits", "train.recipe": "cnn_optdigits"}


def fetch_data() -> None:
    """Bring the dataset into DVC's cache: mirrors beside the checkout are not beside a run.

    Raises:
        DvcError: DVC failed.
    """
    status = run_dvc("repro", "decode").status
    if status != 0:
        raise DvcError(f"dvc repro decode: exit status {status}, reasons above")


def run_embedded() -> int:
    """Run the same stages on the embedded dataset as an experiment; return DVC's exit status."""
    before = {key: load_params(key, str) for key in EMBEDDED}
    say_loudly(
        f"{before['dataset']} could not be reached (reasons above).",
        f"Running the same five stages on {EMBEDDED['dataset']} instead: 1,797 real digits that",
        f"come with scikit-learn. What follows is NOT a result on {before['dataset']}.",
    )
    status = run_experiment(EMBEDDED).status
    settings = " ".join(f"-S {key}={value}" for key, value in before.items())
    say_loudly(f"Back to {before['dataset']}, once it can be reached: dvc exp run {settings}")
    return status


def say_loudly(*lines: str) -> None:
    """Print lines that nobody scrolls past."""
    rule = "=" * 78
    print("", rule, *lines, rule, "", sep="\n", flush=True)


def describe_result(title: str, recipe: str, metrics: Mapping[str, Any]) -> str:
    """Say how good the model is, and where the pictures are."""
    count, error_count = metrics["image_count"], metrics["error_count"]
    low, high = score_accuracy_interval(count - error_count, count)
    return (
        f"{title}, recipe {recipe}: test accuracy {metrics['accuracy']:.2%} "
        f"(95 % interval {low:.2%} to {high:.2%}), {error_count} errors in {count:,} images\n"
        f"Pictures in {PLOTS_DIR}/; `make report` puts everything on one page"
    )


def advise_to_keep() -> str:
    """Say how the run is kept, if it changed what is committed; nothing otherwise."""
    if not try_git("status", "--porcelain", "--", str(LOCK_PATH)):
        return ""
    return (
        "\nThese results are not the committed ones: another processor, or changes of yours. Commit"
        "\nthem, and DVC compares with them from now on:\n\n"
        "  git add --all && git commit --message 'My run'"
    )


def main(_: Namespace) -> None:
    # Of a name that is none, DVC would say only that a file is missing.
    load_dataset(load_params("dataset", str))
    load_recipe(load_params("train.recipe", str))
    outcome = run_dvc("repro")
    status = outcome.status
    if outcome.stages.get("fetch", {}).get("exit_status") == os.EX_UNAVAILABLE:
        status = run_embedded()
    if status != 0:
        sys.exit(status)
    recipe = load_params("train.recipe", str)
    metrics = load_metrics()[0]
    result = describe_result(load_card(CARD_PATH).title, recipe, metrics)
    print(f"\n{result}{advise_to_keep()}")
