"""One run: a job as an experiment of DVC, and its line of the ledger."""

import datetime as dt
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.commands.leaderboard.jobs import Job, digest_inputs
from digits.dvc.experiments import name_ref, run_experiment
from digits.dvc.git import ask_git, is_commit
from digits.dvc.revisions import bring, load_record
from digits.dvc.run import Outcome, run_dvc
from digits.errors import DigitsError
from digits.evaluation.ledger import Run, describe_machine
from digits.files import HISTORY_COLUMNS, load_json, load_table
from digits.model.backend import keras
from digits.model.networks import build_network
from digits.model.recipes import load_recipe
from digits.paths import EVALUATE_METRICS_PATH, HISTORY_PATH, TRAIN_METRICS_PATH

# Robustness is a mean over corruptions: all, those seen in training, and the others. The first
# runs have neither of the latter two.
EVALUATED = (
    "image_count",
    "error_count",
    "accuracy",
    "robustness",
    "robustness_seen",
    "robustness_unseen",
    "optdigits_accuracy",
)
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def perform(job: Job, *, force: bool) -> Outcome:
    """Run the experiment, replacing one of the same name.

    Raises:
        DigitsError: it failed.
    """
    if is_commit(name_ref(ask_git("rev-parse", "HEAD"), job.name)):
        run_dvc("exp", "remove", "--quiet", job.name)  # killed before it came into the ledger
    settings = {f"train.{key}": value for key, value in job._asdict().items()}
    # Forced without --downstream, a run would fetch the dataset again, too.
    again = ("--force", "--downstream", "train") if force else ()
    outcome = run_experiment(settings, "--temp", "--name", job.name, *again)
    if outcome.status != 0:
        raise DigitsError(
            f"{job.name}: exit status {outcome.status}, reasons above; what has run is kept, and "
            "the same command goes on from here"
        )
    return outcome


def count_multiply_adds(network: keras.Model) -> int:
    """Count the multiply-adds of one image's forward pass through the layers that have a kernel."""
    total = 0
    for layer in network.layers:
        # A kernel is applied once for every position of the output, channels left out.
        positions = math.prod(layer.output.shape[1:-1])
        kernels = [getattr(layer, name) for name in KERNELS if hasattr(layer, name)]
        total += sum(math.prod(kernel.shape) * positions for kernel in kernels)
    return total


def describe_run(job: Job, timing: Mapping[str, Any]) -> Run:
    """Describe the job's experiment as a line of the ledger.

    `timing` is the journal's record of its training: empty if DVC restored the model.
    """
    test = load_record(job.name, "test")
    predicted, labels = test.predictions.predicted, test.predictions.labels
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bring(job.name, (HISTORY_PATH, TRAIN_METRICS_PATH, EVALUATE_METRICS_PATH), root)
        epochs = int(load_table(root / HISTORY_PATH, HISTORY_COLUMNS)["epoch"].max())
        trained, evaluated = (
            load_json(root / path) for path in (TRAIN_METRICS_PATH, EVALUATE_METRICS_PATH)
        )
    recipe = load_recipe(job.recipe)
    network = build_network("network", recipe.suit_classes(test.card.class_names))
    counts = test.card.image_counts
    return {
        **job._asdict(),
        "inputs": digest_inputs(job),
        "model": test.model,  # its MD5, as in dvc.lock
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "precision": trained["compute_dtype"],
        "threads": test.settings["train.threads"],  # 0: one a core
        "machine": describe_machine(),
        "training_seconds": timing.get("seconds"),
        "training_cpu_seconds": timing.get("cpu_seconds"),
        "parameter_count": recipe.ensemble_size * int(network.count_params()),
        # Of one image, forward, through all networks of the model.
        "multiply_adds": recipe.ensemble_size * count_multiply_adds(network),
        "images_seen": epochs * counts["train"],  # by each network
        "val_image_count": counts["validation"],
        "val_error_count": round((1 - trained["val_accuracy"]) * counts["validation"]),
        "val_accuracy": trained["val_accuracy"],
        **{key: evaluated.get(key) for key in EVALUATED},
        "errors": np.flatnonzero(predicted != labels).tolist(),
    }
