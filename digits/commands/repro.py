"""`digits repro`: reproduce the pipeline and show its result.

When no mirror has the dataset, the same stages run on the embedded one instead, as a DVC
experiment, so that parameters, data and results stay tracked.
"""

import os
import sys
from argparse import Namespace

from digits.config import load_params
from digits.data.datasets import load_dataset
from digits.data.splits import load_card
from digits.dvc.experiments import run_experiment
from digits.dvc.git import try_git
from digits.dvc.run import run_dvc
from digits.evaluation.results import LOCK_PATH, describe_result, load_metrics
from digits.model.recipes import load_recipe
from digits.paths import CARD_PATH

# Of a run that changed what is committed.
KEEP = """
These results are not the committed ones: other data, another processor, or changes of yours.
Commit them, and DVC compares with them from now on:

  git add --all && git commit --message 'My run'"""
EMBEDDED = {"dataset": "optdigits", "train.recipe": "cnn_optdigits"}


def run_embedded() -> int:
    """Run the same stages on the embedded dataset as an experiment; return DVC's exit status."""
    before = {key: load_params(key, str) for key in EMBEDDED}
    print_banner(
        f"{before['dataset']} could not be reached (reasons above).",
        f"Running the same five stages on {EMBEDDED['dataset']} instead: 1,797 real digits that",
        f"come with scikit-learn. What follows is NOT a result on {before['dataset']}.",
    )
    status = run_experiment(EMBEDDED).status
    settings = " ".join(f"-S {key}={value}" for key, value in before.items())
    print_banner(f"Back to {before['dataset']}, once it can be reached: dvc exp run {settings}")
    return status


def print_banner(*lines: str) -> None:
    """Print lines between rules, so that they are seen."""
    rule = "=" * 78
    print("", rule, *lines, rule, "", sep="\n", flush=True)


def main(_: Namespace) -> None:
    # DVC would only say that a file is missing.
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
    print(f"\n{result}")
    if try_git("status", "--porcelain", "--", str(LOCK_PATH)):
        print(KEEP)
