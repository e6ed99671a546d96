"""`digits docs`: write the committed run's numbers into README.md, docs/ and MODEL_CARD.md.

They stand between `<!-- NAME -->` and `<!-- /NAME -->`, which readers of the rendered page do not
see. The first marker carries the MD5 of the committed model: the tests compare the numbers
with `metrics/` only while `dvc.lock` has that very model.
"""

import re
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from digits.config import PARAMS_PATH
from digits.data.datasets import load_dataset
from digits.errors import DigitsError
from digits.evaluation.ledger import load_ledger
from digits.evaluation.metrics import score_accuracy_interval, score_calibration_error
from digits.evaluation.results import (
    LOCK_PATH,
    NOT_VERIFIED,
    describe_result,
    load_metrics,
    load_stages,
)
from digits.files import load_json, load_table, write_text
from digits.markdown import escape, quote
from digits.paths import EVALUATE_METRICS_PATH, MODEL_PATH, PLOTS_DIR, TRAIN_METRICS_PATH

LEADERBOARD_PATH, MODEL_CARD_PATH = Path("LEADERBOARD.md"), Path("MODEL_CARD.md")
# What DVC pushes first; the results are what another training adds.
DATA = ("data/raw", "data/decoded")
RESULTS = ("data/predictions", "models/model.keras", "data/analysis")
COLUMNS = ("recipe", "accuracy, %", "corrupted, %", "CPU seconds")  # of LEADERBOARD.md, in README
RELIABILITY_COLUMNS = ("low", "count", "confidence", "accuracy", "accuracy_low", "accuracy_high")
# Of `metrics/`, in the order of the card. What a run did not measure has no row.
MEASURED = {
    "val_accuracy": "accuracy on validation images",
    "optdigits_accuracy": "accuracy on other writers",
    "robustness": "mean accuracy under 15 corruptions",
    "robustness_seen": "of these, seen in training",
    "robustness_unseen": "of these, unseen",
}
WORST_COUNT = 3  # kinds of corruption that the card names


def fill_page(path: Path, blocks: Mapping[str, str], model: str) -> None:
    """Put each block between its markers in a page; the first marker then has the model's MD5.

    Raises:
        DigitsError: a marker has another name, or no counterpart.
    """

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- {name} {model} -->\n\n{blocks[name]}\n\n<!-- /{name} -->"

    between = rf"<!-- ({'|'.join(blocks)})(?: [0-9a-f]{{32}})? -->.*?<!-- /\1 -->"
    page = path.read_text(encoding="utf-8")
    rest = re.sub(between, "", page, flags=re.DOTALL)
    if strange := re.search(r"<!-- (?:/\S+|\S+ [0-9a-f]{32}) -->", rest):
        raise DigitsError(
            f"{path}: expected <!-- NAME --> and <!-- /NAME -->, NAME one of {', '.join(blocks)}; "
            f"received {strange[0]} alone"
        )
    written = re.sub(between, fill, page, flags=re.DOTALL)
    if written != page:
        write_text(path, written)
        print(f"{path}: written")


def describe_confidence(recipe: str, reliability: pd.DataFrame, rejection: pd.DataFrame) -> str:
    """Say how well the probabilities are calibrated, and what rejecting up to 2 % gains."""
    rejected, accuracy = rejection.query("rejected <= 0.02").iloc[-1]
    return (
        f"The expected calibration error of {quote(recipe)} on the test images is "
        f"{100 * score_calibration_error(reliability):.2f} %.\n"
        f"On the {100 * (1 - rejected):.0f} % most confident predictions, accuracy is "
        f"{100 * accuracy:.2f} %."
    )


def describe_sizes(outs: Sequence[Mapping[str, Any]]) -> str:
    """Say how many bytes are pushed."""
    data, results = (
        sum(out["size"] for out in outs for path in paths if Path(out["path"]).is_relative_to(path))
        for paths in (DATA, RESULTS)
    )
    return (
        f"The first push is {(data + results) / 1e6:.1f} MB; each further training adds at most "
        f"{results / 1e6:.1f} MB\nto the remote and to the cache."
    )


def shorten_table(page: str) -> str:
    """Return the columns of the leaderboard that README.md shows."""
    header, _, *rows = (
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in re.findall(r"(?m)^\|.*$", page)
    )
    places = [header.index(column) for column in COLUMNS]
    cells = [[row[place] for place in places] for row in rows]
    return tabulate(cells, COLUMNS, tablefmt="github", disable_numparse=True)


def describe_model(facts: Mapping[str, Any]) -> str:
    """Title the card; say what the model is, and what the leaderboard knows of it."""
    names, recipe = facts["dataset"].class_names, facts["recipe"]
    known = next((run for run in load_ledger() if run["model"] == facts["model"]["md5"]), None)
    text = (
        f"# Model card: {escape(facts['dataset'].title)}, recipe {quote(recipe)}\n\n"
        f"A network that classifies grey images of 28x28 pixels into {len(names)} classes: "
        f"{', '.join(map(escape, names))}.\n"
        "Input: float32 (n, 28, 28, 1) from 0 (paper) to 1 (ink); output: a probability for each "
        f"class.\nTrained by [recipes/{recipe}.yaml](recipes/{recipe}.yaml) with seed "
        f"{facts['seed']}."
    )
    if known:
        machine = known["machine"]
        text += (
            f"\n{known['parameter_count']:,} parameters, {known['precision']}, "
            f"{known['images_seen']:,} images seen, on {escape(machine['processor'])} "
            f"({machine['cores']} cores), TensorFlow\n"
            f"{machine['tensorflow']}, Keras {machine['keras']}, {known['date']}."
        )
    return text


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
            for key, words in MEASURED.items()
            if metrics.get(key) is not None
        ),
    ]
    return tabulate(rows, ("measure", "value"), tablefmt="github", disable_numparse=True)


def describe_worst(robustness: pd.DataFrame) -> str:
    """Name the corruptions with the lowest accuracy, of those that count towards the mean."""
    counted = robustness[robustness["group"].isin(["seen", "unseen"])]
    worst = counted.nsmallest(WORST_COUNT, "accuracy")
    kinds = zip(worst["corruption"], worst["accuracy"], worst["group"], strict=True)
    named = ", ".join(f"{kind} ({accuracy:.2%}, {group})" for kind, accuracy, group in kinds)
    return f"It is worst under {named}\n([what they are](docs/robustness.md))."


def describe_data(facts: Mapping[str, Any]) -> str:
    """Say where the data is from, and what was held out."""
    dataset, decode = facts["dataset"], facts["params"]["decode"]
    path = f"datasets/{facts['params']['dataset']}.yaml"
    return (
        f"{escape(dataset.title)}: {escape(dataset.licence)}. Files and SHA-256: "
        f"[{path}]({path}).\n"
        f"{100 * decode['validation_fraction']:g} % of the training images, stratified by label "
        f"with seed {decode['seed']}, are held out for validation, by which recipes\n"
        "and epochs are chosen."
    )


def load_facts() -> dict[str, Any]:
    """Load the run: the outputs of `dvc.lock`, its parameters, dataset and metrics.

    Raises:
        ArtifactError: a file is missing or damaged.
        DigitsError: `dvc.lock` is not that of a whole run.
    """
    stages = load_stages()
    outs = [out for stage in stages.values() for out in stage.get("outs", ())]
    model = next((out for out in outs if out["path"] == str(MODEL_PATH)), None)
    if model is None:
        raise DigitsError(f"{LOCK_PATH}: expected {MODEL_PATH}, received none: run `dvc repro`")
    params = {  # of params.yaml, as they were in that run
        key: value
        for stage in stages.values()
        for key, value in stage.get("params", {}).get(str(PARAMS_PATH), {}).items()
    }
    return {
        "outs": outs,  # path, md5 and size of each
        "model": model,
        "params": params,
        "dataset": load_dataset(params["dataset"]),
        "recipe": params["train"]["recipe"],
        "seed": params["train"]["seed"],
        "metrics": load_json(TRAIN_METRICS_PATH) | load_json(EVALUATE_METRICS_PATH),
    }


def write_blocks(facts: Mapping[str, Any]) -> dict[str, str]:
    """Write what stands between the markers, by their names."""
    recipe, metrics, model = facts["recipe"], facts["metrics"], facts["model"]
    result = describe_result(facts["dataset"].title, recipe, metrics)
    robustness = load_table(PLOTS_DIR / "robustness.csv", ("corruption", "group", "accuracy"))
    return {
        "result": f"```\n{result}\n```",
        "confidence": describe_confidence(
            recipe,
            load_table(PLOTS_DIR / "reliability.csv", RELIABILITY_COLUMNS),
            load_table(PLOTS_DIR / "rejection.csv", ("rejected", "accuracy")),
        ),
        "accuracy": f"The recipe {quote(recipe)}, trained with seed {facts['seed']}, has "
        f"a test accuracy of **{100 * metrics['accuracy']:.2f} %**.",
        "sizes": describe_sizes(facts["outs"]),
        "leaderboard": shorten_table(LEADERBOARD_PATH.read_text(encoding="utf-8")),
        "model": describe_model(facts),
        "measures": tabulate_metrics(metrics),
        "worst": describe_worst(robustness),
        "data": describe_data(facts),
        "file": f"`dvc pull {model['path']}` brings the model: MD5 `{model['md5']}`, "
        f"{model['size']:,} bytes.",
    }


def main(_: Namespace) -> None:
    _metrics, verified = load_metrics()
    if not verified:
        print(f"WARNING: {EVALUATE_METRICS_PATH}: {NOT_VERIFIED}", file=sys.stderr)
    facts = load_facts()
    blocks, model = write_blocks(facts), facts["model"]["md5"]
    paths = [Path("README.md"), *sorted(Path("docs").glob("*.md")), MODEL_CARD_PATH]
    for path in paths:
        fill_page(path, blocks, model)
    print(f"{len(paths)} pages have the numbers of the model {model}")
