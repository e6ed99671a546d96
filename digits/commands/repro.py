"""`make repro`: reproduce the pipeline and show its result.

When no mirror has the dataset, the same stages run on the embedded one instead: loudly, and as a
DVC experiment, so that parameters, data and results stay tracked.
"""

import os
import sys
from argparse import Namespace

from digits.commands.dvc import run_dvc, run_experiment
from digits.data.datasets import load_dataset
from digits.data.splits import load_card
from digits.files.artifacts import load_json
from digits.files.params import load_params
from digits.paths import CARD_PATH, EVALUATE_METRICS_PATH, PLOTS_DIR

EMBEDDED = {"dataset": "optdigits", "train.recipe": "cnn_optdigits"}


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


def show_result() -> None:
    """Print what the metrics file says, and where the pictures are."""
    metrics = load_json(EVALUATE_METRICS_PATH)
    print(
        f"\n{load_card(CARD_PATH).title}, recipe {metrics['recipe']}: "
        f"test accuracy {metrics['accuracy']:.2%} "
        f"(95 % interval {metrics['accuracy_low']:.2%} to {metrics['accuracy_high']:.2%}), "
        f"{metrics['error_count']} errors in {metrics['image_count']:,} images"
    )
    print(f"Pictures in {PLOTS_DIR}/; `make report` puts everything on one page")


def main(_: Namespace) -> None:
    load_dataset(load_params("dataset", str))  # of a name that is none, DVC misses a file only
    outcome = run_dvc("repro")
    status = outcome.status
    if outcome.stages.get("fetch", {}).get("exit_status") == os.EX_UNAVAILABLE:
        status = run_embedded()
    if status != 0:
        sys.exit(status)
    show_result()
