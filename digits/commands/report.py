"""`make report`: everything the last run says of its model, on one page that needs no network.

Every number comes from a metrics file and every picture from `plots/`: nothing is computed anew.
"""

import base64
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import jinja2
from ruamel.yaml import YAML

from digits.data.datasets import DATASETS, DIGIT_NAMES
from digits.data.splits import Card, load_card
from digits.errors import DigitsError
from digits.files.artifacts import ArtifactError, load_json, write_text
from digits.files.params import load_params
from digits.model.archive import load_model
from digits.paths import CARD_PATH, METRICS_DIR, MODEL_PATH, PLOTS_DIR

TEMPLATE_PATH = Path(__file__).with_suffix(".html")
REPORT_PATH = Path("report/index.html")
SECTIONS = ("dataset", "decode", "train", "evaluate", "analyze")


class ReportError(DigitsError):
    """The files do not belong to one run."""


@dataclass(frozen=True)
class Picture:
    """A figure of `plots/` and how to read it."""

    name: str
    title: str
    reading: str


PICTURES = (
    Picture(
        "curves",
        "Learning curves",
        "Train is scored on the way, on distorted images and with dropout where the recipe has "
        "them, and so may lie below validation. Validation that falls while train rises would "
        "mean overfitting.",
    ),
    Picture(
        "confusion",
        "Confusion matrix",
        "Rows are what the images show, columns what the model said: what is right lies on the "
        "diagonal.",
    ),
    Picture(
        "confusion_errors",
        "Errors only",
        "The same without the diagonal, so that the errors can be seen.",
    ),
    Picture(
        "classes",
        "Precision, recall and F1",
        "Recall is the share of a class's images that were recognized; precision the share right "
        "of all that were taken for the class. The axis starts near the worst of them.",
    ),
    Picture(
        "reliability",
        "Do the probabilities mean anything?",
        "Of the images predicted with a confidence of 80 %, 80 % should be right: dots on the "
        "dashed line. Bins with few images (below) scatter by chance.",
    ),
    Picture(
        "rejection",
        "What rejection would buy",
        "If a person took over the images of which the model is least sure, how often would it "
        "err on the rest?",
    ),
    Picture(
        "robustness",
        "What would break it in use",
        "Accuracy on test images that were shifted, turned, blurred and so on, each the more, the "
        "farther right.",
    ),
    Picture(
        "errors",
        "The costliest errors",
        "True class, predicted class and its probability, and the number of the test image; the "
        "surest errors come first, of each kind a few at most.",
    ),
    Picture(
        "confused_pairs",
        "The most frequent kinds of error",
        "A row a kind, the surest errors first.",
    ),
    Picture(
        "prototypes",
        "What they have in common",
        "The mean image of each kind: recognized ones on the diagonal, errors beside it, with "
        "their numbers.",
    ),
    Picture(
        "label_issues",
        "Are the labels right?",
        "Test images whose label is not credible to confident learning (cleanlab); 'disputed' are "
        "those that human reviewers of the dataset found doubtful, too.",
    ),
    Picture(
        "samples",
        "The first test images",
        "Not chosen: the first ones of the test file, with what was predicted.",
    ),
)


def load_metrics() -> dict[str, Any]:
    """Load the metrics of the last three stages together.

    Raises:
        ArtifactError: a file is missing or damaged.
        ReportError: they are of another recipe or dataset than `params.yaml` selects.
    """
    names = ("train", "errors", "evaluate")
    metrics = {
        key: value
        for name in names
        for key, value in load_json(METRICS_DIR / f"{name}.json").items()
    }
    for key, section in (("recipe", "train.recipe"), ("dataset", "dataset")):
        selected = load_params(section, str)
        if metrics.get(key) != selected:
            raise ReportError(
                f"{METRICS_DIR}: expected results of {key} {selected!r}, which params.yaml "
                f"selects, received those of {metrics.get(key)!r}: run `dvc repro`"
            )
    return metrics


def dump_params(recipe: str) -> str:
    """Return the sections that the run used, and the selected recipe, as YAML."""
    values: dict[str, Any] = {section: load_params(section, Any) for section in SECTIONS}
    values["recipes"] = {recipe: load_params(f"recipes.{recipe}", dict)}
    text = StringIO()
    YAML().dump(values, text)
    return text.getvalue()


def summarize_model() -> str:
    """Return Keras's summary of the model."""
    lines: list[str] = []
    load_model(MODEL_PATH).summary(print_fn=lines.append, line_length=78)
    return "\n".join(lines)


def describe_dataset(card: Card) -> str:
    """Say what the dataset is, from its facts."""
    facts = DATASETS[card.name]
    train_count, test_count = facts.train_labels.raw_size - 8, facts.test_labels.raw_size - 8
    text = (
        f"{card.title}: {train_count:,} images to train and validate on, {test_count:,} to test "
        "on, 28x28 grey pixels each"
    )
    named = card.class_names != DIGIT_NAMES
    return f"{text}; its classes are {', '.join(card.class_names)}." if named else f"{text}."


def embed(name: str) -> str:
    """Return a picture of `plots/` as the address that holds it.

    Raises:
        ArtifactError: there is none.
    """
    path = PLOTS_DIR / f"{name}.png"
    if not path.is_file():
        raise ArtifactError(f"{path}: expected a figure, received none: run `dvc repro`")
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def render(metrics: Mapping[str, Any], card: Card, params: str, summary: str) -> str:
    """Fill in the page."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE_PATH.read_text(encoding="utf-8"))
    return template.render(
        metrics=metrics,
        title=card.title,
        dataset=describe_dataset(card),
        pictures=[(picture, embed(picture.name)) for picture in PICTURES],
        params=params,
        summary=summary,
    )


def main(_: Namespace) -> None:
    metrics = load_metrics()
    card = load_card(CARD_PATH)
    page = render(metrics, card, dump_params(metrics["recipe"]), summarize_model())
    write_text(REPORT_PATH, page)
    print(f"{REPORT_PATH}: {metrics['accuracy']:.2%} on {card.title}, {len(page) / 1e6:.1f} MB")
