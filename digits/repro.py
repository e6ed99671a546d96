"""`make repro`: reproduce the pipeline and show its result.

When no mirror has the dataset, the same stages run on the embedded one instead: loudly, and as a
DVC experiment, so that parameters, data and results stay tracked.
"""

import logging
import os
import sys
from pathlib import Path

from dvc.cli import main as run_dvc

from digits.data.datasets import DATASETS
from digits.experiments import run_experiment
from digits.files.artifacts import load_json
from digits.files.params import load_params
from digits.stage import run

METRICS_PATH = Path("metrics/evaluate.json")
PLOTS_DIR = Path("plots")
EMBEDDED = {"dataset": "optdigits", "train.recipe": "cnn_optdigits"}
UNREACHABLE = f"pipeline.fetch, exited with {os.EX_UNAVAILABLE}"


class ErrorCollector(logging.Handler):
    """Keep what DVC reports as failed: its exit status does not say which stage, or why."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        while cause is not None:
            self.text += f"{cause}\n"
            cause = cause.__cause__


def reproduce() -> tuple[int, str]:
    """Run `dvc repro` in this process; return its exit status and its errors."""
    collector = ErrorCollector()
    logging.getLogger("dvc").addHandler(collector)
    status = run_dvc(["repro"])
    return status, collector.text


def run_embedded() -> int:
    """Run the same stages on the embedded dataset as an experiment; return DVC's exit status."""
    before = {key: load_params(key, str) for key in EMBEDDED}
    say_loudly(
        f"{before['dataset']} could not be reached (reasons above).",
        f"Running the same five stages on {EMBEDDED['dataset']} instead: 1,797 real digits that",
        f"come with scikit-learn. What follows is NOT a result on {before['dataset']}.",
    )
    status = run_experiment(EMBEDDED)
    settings = " ".join(f"-S {key}={value}" for key, value in before.items())
    say_loudly(f"Back to {before['dataset']}, once it can be reached: dvc exp run {settings}")
    return status


def say_loudly(*lines: str) -> None:
    """Print lines that nobody scrolls past."""
    rule = "=" * 78
    print("", rule, *lines, rule, "", sep="\n", flush=True)


def show_result() -> None:
    """Print what the metrics file says, and where the pictures are."""
    metrics = load_json(METRICS_PATH)
    print(
        f"\n{DATASETS[metrics['dataset']].title}, recipe {metrics['recipe']}: "
        f"test accuracy {metrics['accuracy']:.2%} "
        f"(95 % interval {metrics['accuracy_low']:.2%} to {metrics['accuracy_high']:.2%}), "
        f"{metrics['error_count']} errors in {metrics['image_count']:,} images"
    )
    print(f"Pictures in {PLOTS_DIR}/; `make report` puts everything on one page")


def main() -> None:
    status, errors = reproduce()
    if status != 0 and UNREACHABLE in errors:
        status = run_embedded()
    if status != 0:
        sys.exit(status)
    show_result()


if __name__ == "__main__":
    run(main)
