"""`digits report`: everything the last run says of its model, on one page that needs no network.

Every number comes from a metrics file, every picture, its question and how to read it from
`plots/`. What follows from the predictions is held against them first.
"""

import re
from argparse import Namespace
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from digits.config import PARAMS_PATH, load_params
from digits.data.splits import Card, load_card
from digits.errors import DigitsError
from digits.evaluation.results import NOT_VERIFIED, load_metrics
from digits.files import load_json, write_text
from digits.model.backend import keras
from digits.model.loading import load_model
from digits.model.recipes import RECIPES_DIR
from digits.paths import (
    CARD_PATH,
    DVC_YAML_PATH,
    MODEL_PATH,
    SCORES_PATH,
    SUMMARY_PATH,
    TRAIN_METRICS_PATH,
)

TEMPLATE_PATH = Path(__file__).with_name("page.html")
REPORT_PATH = Path("report/index.html")
NUMBERS = (TRAIN_METRICS_PATH, SUMMARY_PATH, SCORES_PATH)
SUMMARY_WIDTH = 78  # letters: narrower, Keras cuts off the layers' names


def load_numbers() -> dict[str, Any]:
    """Load the numbers of the last three stages together.

    Raises:
        ArtifactError: a file is missing or damaged.
        DigitsError: no predictions, numbers that do not follow from them, or numbers of another
            recipe or dataset than the selected.
    """
    if not load_metrics()[1]:
        raise DigitsError(f"{SCORES_PATH.parent}: {NOT_VERIFIED}")
    numbers = {key: value for path in NUMBERS for key, value in load_json(path).items()}
    for key, section in (("recipe", "train.recipe"), ("dataset", "dataset")):
        selected = load_params(section, str)
        if numbers[key] != selected:
            raise DigitsError(
                f"{SCORES_PATH}: expected results of {key} {selected!r}, which params.yaml "
                f"selects, received those of {numbers[key]!r}: run `dvc repro`"
            )
    return numbers


def load_pictures() -> list[dict[str, str]]:
    """Load the figures that the stages write, in the order of dvc.yaml.

    Each with the question that it answers and how to read it, which are in the file.
    """
    pictures = []
    for path in re.findall(r"\bplots/[\w-]+\.png\b", DVC_YAML_PATH.read_text(encoding="utf-8")):
        data = Path(path).read_bytes()
        texts = Image.open(BytesIO(data)).info
        picture = {"name": Path(path).stem, "question": texts["Title"]}
        address = "data:image/png;base64," + b64encode(data).decode()
        pictures.append(picture | {"reading": texts["Description"], "address": address})
    return pictures


def describe_dataset(card: Card) -> str:
    """Say what the dataset is, from its card."""
    counts = ", ".join(f"{count:,} {split}" for split, count in card.image_counts.items())
    text = f"{card.title}: {counts} images of 28x28 grey pixels"
    named = not all(name.isdigit() for name in card.class_names)
    return f"{text}; its classes are {', '.join(card.class_names)}." if named else f"{text}."


def summarize_model(model: keras.Model) -> str:
    """Return Keras's summary of the model."""
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=SUMMARY_WIDTH)
    return "\n".join(lines)


def main(_: Namespace) -> None:
    card, numbers = load_card(CARD_PATH), load_numbers()
    model = load_model(MODEL_PATH, card.class_count)
    params = (PARAMS_PATH, RECIPES_DIR / f"{numbers['recipe']}.yaml")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE_PATH.read_text(encoding="utf-8"))
    page = template.render(
        metrics=numbers | {"parameter_count": model.count_params()},
        title=card.title,
        dataset=describe_dataset(card),
        pictures=load_pictures(),
        params="\n".join(f"# {path}\n{path.read_text(encoding='utf-8')}" for path in params),
        summary=summarize_model(model),
        summary_width=SUMMARY_WIDTH,
    )
    write_text(REPORT_PATH, page)
    print(f"{REPORT_PATH}: {numbers['accuracy']:.2%} on {card.title}, {len(page) / 1e6:.1f} MB")
