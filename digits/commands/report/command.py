"""`digits report`: everything the last run says of its model, on one page that needs no network.

Every number comes from a metrics file and every picture from `plots/`. What follows from the
predictions is held against them first.
"""

import base64
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jinja2
from pydantic import ConfigDict, Field, ValidationError

from digits.config import PARAMS_PATH, Section, describe_errors, load_params
from digits.data.splits import Card, load_card
from digits.errors import DigitsError
from digits.evaluation.results import NOT_VERIFIED, verify_metrics
from digits.files import ArtifactError, load_json, write_text
from digits.model.backend import keras
from digits.model.recipes import RECIPES_DIR
from digits.model.saving import load_model
from digits.paths import (
    CARD_PATH,
    MODEL_PATH,
    PLOTS_DIR,
    SCORES_PATH,
    SUMMARY_PATH,
    TRAIN_METRICS_PATH,
)

TEMPLATE_PATH = Path(__file__).with_name("page.html")
REPORT_PATH = Path("report/index.html")
NUMBERS = (TRAIN_METRICS_PATH, SUMMARY_PATH, SCORES_PATH)
SUMMARY_WIDTH = 78  # letters: narrower, Keras cuts off the layers' names


Share = Annotated[float, Field(ge=0, le=1)]


class PartMetrics(Section):
    """The numbers of a part of a joined dataset."""

    model_config = ConfigDict(extra="ignore")

    accuracy: Share
    error_count: int
    image_count: int

    accuracy_low: Share
    accuracy_high: Share


class ReportMetrics(PartMetrics):
    """The numbers that the page shows."""

    robustness: Share
    other_hands: Share | None = None  # of a model that reads digits
    calibration_error: Share
    coverage_at_999: Share
    undisputed_accuracy: Share | None = None  # of a dataset whose labels reviewers disputed
    disputed_error_count: int | None = None
    parts: dict[str, PartMetrics] = Field(default={})  # of a dataset that was joined
    label_issue_count: int
    confident_error_count: int
    most_confused_pair: str
    most_confused_count: int


class ReportError(DigitsError):
    """The files do not belong to one run."""


@dataclass(frozen=True)
class Picture:
    """A figure of `plots/`, the question that it answers and how to read it."""

    name: str
    title: str
    reading: str


# A figure names itself: what stands over it here is the question that it answers.
PICTURES = (
    Picture(
        "curves",
        "How training went",
        "Train is scored on the way, on distorted images and with dropout where the recipe has "
        "them, and so may lie below validation. Validation that falls while train rises would "
        "mean overfitting.",
    ),
    Picture(
        "confusion",
        "What is taken for what",
        "Rows are what the images show, columns what the model said. What is right lies on the "
        "diagonal; the darker a cell beside it, the more errors of this kind.",
    ),
    Picture(
        "classes",
        "Which classes are harder",
        "Recall is the share of a class's images that were recognized; precision the share right "
        "of all that were taken for the class; F1 their harmonic mean. The axis starts near the "
        "worst of them.",
    ),
    Picture(
        "reliability",
        "Do the probabilities mean anything?",
        "Of the images predicted with a confidence of 80 %, 80 % should be right: dots on the "
        "dashed line. Where a bin has few images (counted below), its interval is long, and the "
        "dot may lie anywhere in it by chance.",
    ),
    Picture(
        "rejection",
        "What a second opinion would buy",
        "If a person took over the images of which the model is least sure, how often would it "
        "err on the rest?",
    ),
    Picture(
        "robustness",
        "What would break it in use",
        "Accuracy on test images that were corrupted in the 15 ways of the MNIST-C benchmark. Some "
        "are like what training does to its images: 'not seen' tells more of what nobody thought "
        "of. Inversion and defocus are not of the benchmark.",
    ),
    Picture(
        "corruptions",
        "What these corruptions look like",
        "One image, and the accuracy on all that were corrupted so.",
    ),
    Picture(
        "errors",
        "Would a person have known better?",
        "Over each image its true and its predicted class, the probability of the predicted one, "
        "and the number of the test image; of each kind of error a few at most.",
    ),
    Picture(
        "prototypes",
        "What confused images have in common",
        "Recognized images on the diagonal, errors beside it, with their numbers.",
    ),
    Picture(
        "label_issues",
        "Is the model wrong, or the label?",
        "Test images whose label is not credible to confident learning (cleanlab); 'disputed' are "
        "those that human reviewers of the dataset found doubtful, too.",
    ),
    Picture(
        "samples",
        "What the task looks like",
        "Not chosen: the beginning of the test file, with what was predicted.",
    ),
)


def load_metrics() -> dict[str, Any]:
    """Load the numbers of the last three stages together.

    Raises:
        ArtifactError: a file is missing or damaged.
        ReportError: numbers are missing, or are not of the selected recipe and dataset.
    """
    metrics = {key: value for path in NUMBERS for key, value in load_json(path).items()}
    try:
        ReportMetrics.model_validate(metrics)
    except ValidationError as error:
        reason = describe_errors("", ReportMetrics, error)
        raise ReportError(f"{SCORES_PATH.parent}: {reason}: run `dvc repro`") from error
    for key, section in (("recipe", "train.recipe"), ("dataset", "dataset")):
        selected = load_params(section, str)
        if metrics.get(key) != selected:
            raise ReportError(
                f"{SCORES_PATH}: expected results of {key} {selected!r}, which params.yaml "
                f"selects, received those of {metrics.get(key)!r}: run `dvc repro`"
            )
    return metrics


def read_params(recipe: str) -> str:
    """Return the parameters that the run used, as they are written."""
    paths = (PARAMS_PATH, RECIPES_DIR / f"{recipe}.yaml")
    return "\n".join(f"# {path}\n{path.read_text(encoding='utf-8')}" for path in paths)


def summarize_model(model: keras.Model) -> str:
    """Return Keras's summary of the model."""
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=SUMMARY_WIDTH)
    return "\n".join(lines)


def describe_dataset(card: Card) -> str:
    """Say what the dataset is, from its card."""
    counts = ", ".join(f"{count:,} {split}" for split, count in card.image_counts.items())
    text = f"{card.title}: {counts} images of 28x28 grey pixels"
    named = not all(name.isdigit() for name in card.class_names)
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
        summary_width=SUMMARY_WIDTH,
    )


def main(_: Namespace) -> None:
    card = load_card(CARD_PATH)
    if not verify_metrics():
        raise ReportError(f"{SCORES_PATH.parent}: {NOT_VERIFIED}")
    metrics = load_metrics()
    model = load_model(MODEL_PATH, card.class_count)
    metrics |= {"parameter_count": model.count_params()}
    page = render(metrics, card, read_params(metrics["recipe"]), summarize_model(model))
    write_text(REPORT_PATH, page)
    print(f"{REPORT_PATH}: {metrics['accuracy']:.2%} on {card.title}, {len(page) / 1e6:.1f} MB")
