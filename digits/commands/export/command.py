"""`digits export`: the trained model in other formats, each loaded back and compared with Keras.

They are compared on validation images: only `evaluate` opens the test images.
"""

import hashlib
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from digits.data.splits import Split, load_card, load_split
from digits.deployment.classifier import BATCH_SIZE
from digits.deployment.conversion import (
    load_saved_model,
    to_litert,
    to_litert_int8,
    to_onnx,
    write_saved_model,
)
from digits.deployment.runtimes import Predict, load_litert, load_onnx
from digits.dvc.revisions import bring
from digits.errors import DigitsError
from digits.files import write_text
from digits.markdown import escape, quote
from digits.model.backend import keras
from digits.model.loading import load_model
from digits.model.saving import predict_probabilities
from digits.paths import CARD_PATH, MODEL_PATH, TRAIN_DIR, VALIDATION_DIR

EXPORTED_DIR = Path("exported")
PAGE_NAME = "README.md"
EXPORTED = "Exported from `models/model.keras`"  # in the page of each export
TEMPLATE_PATH = Path(__file__).with_name("readme.md")  # of that page
HEADER = ("form", "size", "largest difference", "validation accuracy")
CALIBRATION_COUNT = 500  # training images; 100 and 2,000 came to the same accuracy in 8 bits
# Of probabilities. Rounding stays below 1e-5, and below this on a GPU that computes in TF32; what
# differs by more is another model.
AGREEMENT = 0.01


class Form(NamedTuple):
    """A file or folder, and how its program loads it."""

    file: str
    load: Callable[[Path], Predict]
    exact: bool = True  # but for rounding


FORMS = {
    "saved_model": Form("saved_model", load_saved_model),
    "onnx": Form("model.onnx", load_onnx),
    "litert": Form("model.tflite", load_litert),
    "litert_int8": Form("model_int8.tflite", load_litert, exact=False),
}
EXACT_FORMS = [name for name, form in FORMS.items() if form.exact]


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    forms = f"some of {', '.join(FORMS)} [{' '.join(EXACT_FORMS)}]"
    add("--only", nargs="+", choices=FORMS, default=EXACT_FORMS, metavar="FORM", help=forms)
    add("--folder", type=Path, default=EXPORTED_DIR, help=f"write there [{EXPORTED_DIR}/]")
    add("--rev", help="a Git revision, branch or experiment, for its model")


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; at the end it replaces the folder, new or of an earlier export.

    Raises:
        DigitsError: the folder holds anything else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held, page = {path.name for path in folder.iterdir()}, folder / PAGE_NAME
    strange = held - {PAGE_NAME, *(form.file for form in FORMS.values())}
    is_export = page.is_file() and EXPORTED.encode() in page.read_bytes()
    if strange or (held and not is_export):
        raise DigitsError(
            f"{folder}: expected a new folder, or one of exports, received "
            f"{min(strange or held)!r}: remove it, or name another folder by --folder"
        )
    with tempfile.TemporaryDirectory(prefix=".export.", suffix=".tmp", dir=folder.parent) as there:
        made = Path(there, "made")
        made.mkdir()
        yield made
        folder.rename(Path(there, "replaced"))
        made.rename(folder)


@contextmanager
def finding_files(revision: str | None) -> Iterator[Path]:
    """Yield the folder that has the model and the images: the project, or a revision's copy.

    Raises:
        DigitsError: no such revision, or files that nothing has.
    """
    if revision is None:
        yield Path()
        return
    splits, names = (TRAIN_DIR, VALIDATION_DIR), ("images.npy", "labels.npy")
    images = [split / name for split in splits for name in names]
    with tempfile.TemporaryDirectory() as folder:
        bring(revision, [MODEL_PATH, CARD_PATH, *images], Path(folder))
        yield Path(folder)


def write(name: str, path: Path, model: keras.Model, images: np.ndarray) -> None:
    """Write the form of this name; the images, float32 (n, 28, 28, 1), calibrate 8 bits."""
    match name:
        case "saved_model":
            write_saved_model(path, model)
        case "onnx":
            path.write_bytes(to_onnx(model))
        case "litert":
            path.write_bytes(to_litert(model))
        case "litert_int8":
            path.write_bytes(to_litert_int8(model, images))


def check(form: Form, path: Path, split: Split, expected: np.ndarray) -> tuple[str, ...]:
    """Load a form, compare it with the probabilities of Keras, float32 (n, k); return a row.

    Raises:
        DigitsError: the form is another model.
    """
    predict, images = form.load(path), split.images
    starts = range(0, len(images), BATCH_SIZE)
    received = np.concatenate([predict(images[start : start + BATCH_SIZE]) for start in starts])
    difference = float(np.abs(received - expected).max())
    if form.exact and not difference <= AGREEMENT:  # written so that NaN is refused, too
        raise DigitsError(
            f"{form.file}: expected the probabilities of Keras, received others by up to "
            f"{difference:.2g}: the converter has made another model; --only leaves this form out"
        )
    size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    accuracy = (received.argmax(axis=1) == split.labels).mean()
    return f"`{form.file}`", f"{size / 1000:,.0f} kB", f"{difference:.1g}", f"{accuracy:.2%}"


def main(arguments: Namespace) -> None:
    folder = arguments.folder
    with replacing_folder(folder) as made, finding_files(arguments.rev) as root:
        card = load_card(root / CARD_PATH)
        model = load_model(root / MODEL_PATH, card.class_count)
        training = load_split(root / TRAIN_DIR, card.class_count)
        validation = load_split(root / VALIDATION_DIR, card.class_count)
        expected = predict_probabilities(model, validation.images, BATCH_SIZE)
        rows = []
        for name in tqdm(arguments.only, unit="form", leave=False, disable=None):
            form = FORMS[name]
            write(name, made / form.file, model, training.images[:CALIBRATION_COUNT])
            rows.append(check(form, made / form.file, validation, expected))
        table = tabulate(rows, HEADER, tablefmt="github", disable_numparse=True)
        page = TEMPLATE_PATH.read_text(encoding="utf-8").format(
            title=escape(card.title),
            recipe=quote(model.name),
            digest=hashlib.md5((root / MODEL_PATH).read_bytes(), usedforsecurity=False).hexdigest(),
            class_names=", ".join(escape(name) for name in card.class_names),
            image_count=f"{len(validation.labels):,}",
            table=table,
        )
        write_text(made / PAGE_NAME, page)
    print(f"{table}\n\n{folder}: written; {folder / PAGE_NAME} says how to load each")
