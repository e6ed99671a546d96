"""The model's card: what it is for, what it was made of, how good it is, and its limits.

`digits docs` writes it. Every number comes from what the run has left: the metrics, the tables
below `plots/`, `dvc.lock` with the parameters of that run, the dataset's file and the ledger.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from tabulate import tabulate

from digits.config import PARAMS_PATH, load_params
from digits.data.datasets import DATASETS_DIR, load_dataset
from digits.errors import DigitsError
from digits.evaluation.ledger import load_ledger
from digits.evaluation.metrics import score_accuracy_interval
from digits.evaluation.results import LOCK_PATH
from digits.files import load_json, load_table
from digits.markdown import escape, quote
from digits.paths import EVALUATE_METRICS_PATH, MODEL_PATH, PLOTS_DIR, TRAIN_METRICS_PATH

TEMPLATE_PATH = Path(__file__).with_suffix(".md")
MODEL_CARD_PATH = Path("MODEL_CARD.md")
# Of `metrics/`, in the order of the page. What a run did not measure has no row.
MEASURED = (
    ("val_accuracy", "accuracy on validation images"),
    ("optdigits_accuracy", "accuracy on other writers"),
    ("robustness", "mean accuracy under 15 corruptions"),
    ("robustness_seen", "of these, seen in training"),
    ("robustness_unseen", "of these, unseen"),
)
WORST_COUNT = 3  # kinds of corruption that are named


def load_facts() -> dict[str, Any]:
    """Load from the workspace what the pages show, by the names that the template uses.

    Raises:
        ArtifactError: a file is missing or damaged.
        DigitsError: `dvc.lock` is not that of a whole run.
    """
    stages: dict[str, Any] = load_params("stages", dict[str, Any], LOCK_PATH)
    outs = [out for stage in stages.values() for out in stage.get("outs", ())]
    model = next((out for out in outs if out["path"] == str(MODEL_PATH)), None)
    if model is None:
        raise DigitsError(f"{LOCK_PATH}: expected {MODEL_PATH}, received none: run `dvc repro`")
    params = {  # of params.yaml, as they were in that run
        key: value
        for stage in stages.values()
        for key, value in stage.get("params", {}).get(str(PARAMS_PATH), {}).items()
    }
    metrics = load_json(TRAIN_METRICS_PATH) | load_json(EVALUATE_METRICS_PATH)
    runs = load_ledger()
    facts = {
        "outs": outs,  # path, md5 and size of each, as in dvc.lock
        "model": model,
        "dataset": load_dataset(params["dataset"]),
        "dataset_path": f"{DATASETS_DIR.name}/{params['dataset']}.yaml",
        "recipe": params["train"]["recipe"],
        "seed": params["train"]["seed"],
        "fraction": f"{100 * params['decode']['validation_fraction']:g}",
        "decode_seed": params["decode"]["seed"],
        # Of the leaderboard, if the model is one of its runs.
        "run": next((run for run in runs if run["model"] == model["md5"]), None),
        "run_count": len(runs),
        "metrics": metrics,
        "table": tabulate_metrics(metrics),
        "worst": name_worst(
            load_table(PLOTS_DIR / "robustness.csv", ("corruption", "group", "accuracy"))
        ),
    }
    # Of the same facts, the tests want the same page.
    return facts | {"digest": hashlib.sha256(repr(facts).encode()).hexdigest()}


def render_card(facts: Mapping[str, Any], confidence: str) -> str:
    """Fill in the page; `confidence` says how well the model's probabilities are calibrated."""
    environment = jinja2.Environment(  # noqa: S701 (a page of Markdown: `escape` is ours)
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"escape": escape, "quote": quote}
    template = environment.from_string(TEMPLATE_PATH.read_text(encoding="utf-8"))
    return template.render(facts, confidence=confidence)


def tabulate_metrics(metrics: Mapping[str, Any]) -> str:
    """Tabulate what was measured, the accuracy with its interval."""
    count, wrong = metrics["image_count"], metrics["error_count"]
    low, high = score_accuracy_interval(count - wrong, count)
    rows = [
        ("accuracy on test images", f"{metrics['accuracy']:.2%}"),
        ("95 % confidence interval (Wilson)", f"{low:.2%} to {high:.2%}"),
        ("errors", f"{wrong} in {count:,}"),
        *(
            (words, f"{metrics[key]:.2%}")
            for key, words in MEASURED
            if metrics.get(key) is not None
        ),
    ]
    return tabulate(rows, ("measure", "value"), tablefmt="github", disable_numparse=True)


def name_worst(robustness: pd.DataFrame) -> str:
    """Name the corruptions with the lowest accuracy, of those that count towards the mean."""
    counted = robustness[robustness["group"].isin(["seen", "unseen"])]
    worst = counted.nsmallest(WORST_COUNT, "accuracy")
    kinds = zip(worst["corruption"], worst["accuracy"], worst["group"], strict=True)
    return ", ".join(f"{kind} ({accuracy:.2%}, {group})" for kind, accuracy, group in kinds)
