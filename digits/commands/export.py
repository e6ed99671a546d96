"""`make export`: the trained model in the forms of other programs, each loaded back and compared.

They are compared with Keras on validation images: the test images are opened by `evaluate` only.
"""

import hashlib
import importlib.util
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from digits.commands.conversion import (
    load_keras,
    load_saved_model,
    to_h5,
    to_litert,
    to_litert_int8,
    to_onnx,
    write_saved_model,
)
from digits.commands.export_figure import draw_forms
from digits.commands.leaderboard import describe_machine
from digits.commands.markdown import escape, quote
from digits.commands.runtimes import Predict, load_litert, load_onnx
from digits.config import did_you_mean
from digits.data.splits import Card, Split, load_card, load_split
from digits.dvc.revisions import bring
from digits.errors import DigitsError
from digits.evaluation.figures import write_figure
from digits.files.artifacts import write_bytes, write_text
from digits.model.backend import keras, without_lines
from digits.model.saving import load_model, predict_probabilities
from digits.paths import CARD_PATH, MODEL_PATH, TRAIN_DIR, VALIDATION_DIR

EXPORTED_DIR = Path("exported")
PAGE_NAME, FIGURE_NAME = "README.md", "forms.png"
SPLIT_FILES = ("images.npy", "labels.npy")
BATCH_SIZE = 500  # a matter of memory, not of results
CALIBRATION_COUNT = 500  # training images; 100 and 2,000 came to the same accuracy in 8 bits
TIMED_COUNT = 200  # images, one at a time, after as many as it takes to warm up
WARMUP_COUNT = 20
# Of probabilities. Rounding stays below 1e-5, and below this on a GPU that computes in TF32; what
# differs by more is another model.
AGREEMENT = 0.01
DELEGATE = "INFO: Created TensorFlow Lite "  # LiteRT tells how it computes
HEADER = ("form", "size", "one image", "largest difference", "validation accuracy")
LEFT_OUT = """\
Left out: TensorFlow.js. Its newest converter, tensorflowjs 4.22, needs TensorFlow Decision Forests,
which holds TensorFlow at 2.19. In a browser, LiteRT.js runs `model.tflite`, and ONNX Runtime Web
`model.onnx`."""


class ExportError(DigitsError):
    """A form is unknown, cannot be made here or is another model, or its folder is somebody's."""


@dataclass(frozen=True)
class Source:
    """A trained model, on disk and loaded, and images for calibration and for comparison."""

    path: Path
    model: keras.Model
    card: Card
    calibration: np.ndarray  # training images float32 (n, 28, 28, 1)
    validation: Split


@dataclass(frozen=True)
class Form:
    """What a form is for, what its programs read and how they do."""

    name: str
    file: str  # or folder
    use: str
    code: str  # from `images` to `probabilities`
    write: Callable[[Path, Source], None]
    load: Callable[[Path], Predict]
    packages: tuple[str, ...] = ()  # of the extra
    exact: bool = True  # but for rounding


@dataclass(frozen=True)
class Measured:
    """What became of a form: bytes, seconds, and how it compares with Keras."""

    form: Form
    size: int
    latency: float
    difference: float
    accuracy: float


LITERT_CODE = """\
from ai_edge_litert.interpreter import Interpreter

run = Interpreter("{}").get_signature_runner()
(probabilities,) = run(images=images).values()
"""
FORMS = (
    Form(
        name="keras",
        file="model.keras",
        use="Keras 3, to predict, to look inside or to train on. The same bytes as `models/`'s.",
        code="""\
import keras

model = keras.saving.load_model("model.keras", compile=False)
probabilities = model.predict(images)
""",
        write=lambda path, source: write_bytes(path, source.path.read_bytes()),
        load=load_keras,
    ),
    Form(
        name="saved_model",
        file="saved_model",
        use="TensorFlow Serving, and TensorFlow without Keras.",
        code="""\
import tensorflow as tf

serve = tf.saved_model.load("saved_model").signatures["serving_default"]
(probabilities,) = serve(images=tf.constant(images)).values()
""",
        write=lambda path, source: write_saved_model(path, source.model),
        load=load_saved_model,
    ),
    Form(
        name="onnx",
        file="model.onnx",
        use="ONNX Runtime, in many languages and in browsers; what reads ONNX.",
        code="""\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
(probabilities,) = session.run(["probabilities"], {"images": images})
""",
        write=lambda path, source: write_bytes(path, to_onnx(source.model)),
        load=load_onnx,
        packages=("tf2onnx", "onnx", "onnxruntime"),
    ),
    Form(
        name="litert",
        file="model.tflite",
        use="LiteRT (once TensorFlow Lite), on phones, small boards and in browsers.",
        code=LITERT_CODE.format("model.tflite"),
        write=lambda path, source: write_bytes(path, to_litert(source.model)),
        load=load_litert,
        packages=("ai_edge_litert",),
    ),
    Form(
        name="litert_int8",
        file="model_int8.tflite",
        use="The same with weights and activations of 8 bits: a quarter of the size, coarser.",
        code=LITERT_CODE.format("model_int8.tflite"),
        write=lambda path, source: write_bytes(
            path, to_litert_int8(source.model, source.calibration)
        ),
        load=load_litert,
        packages=("ai_edge_litert",),
        exact=False,
    ),
    Form(
        name="h5",
        file="model.h5",
        use="Programs that expect the file of Keras 2; everybody else is better served above.",
        code="""\
import keras

model = keras.saving.load_model("model.h5", compile=False)
probabilities = model.predict(images)
""",
        write=lambda path, source: write_bytes(path, to_h5(source.model)),
        load=load_keras,
    ),
)


def add_arguments(parser: ArgumentParser) -> None:
    names = ", ".join(form.name for form in FORMS)
    parser.add_argument("--only", nargs="+", metavar="FORM", help=f"some of {names}")
    parser.add_argument("--folder", type=Path, help=f"write there instead of {EXPORTED_DIR}/")
    parser.add_argument("--rev", help="a Git revision, branch or experiment, for its model")


def choose_forms(names: Sequence[str] | None) -> list[Form]:
    """Return the forms of these names, or all.

    Raises:
        ExportError: an unknown name, or a package that a form needs is not installed.
    """
    known = {form.name: form for form in FORMS}
    for name in names or ():
        if name not in known:
            hint = did_you_mean(name, known)
            raise ExportError(
                f"--only: expected some of {', '.join(known)}, received {name!r}{hint}"
            )
    chosen = [form for form in FORMS if names is None or form.name in names]
    for package in (package for form in chosen for package in form.packages):
        if importlib.util.find_spec(package) is None:
            plain = " ".join(form.name for form in FORMS if not form.packages)
            raise ExportError(
                f"export: expected the packages of the extra `export`, received no module "
                f"{package!r}: `make export` installs them; in an environment of your own, "
                f"`pip install '.[export]'`; without them, `--only {plain}` works"
            )
    return chosen


def check_free(folder: Path) -> None:
    """Refuse to replace a folder that holds anything but exports.

    Raises:
        ExportError: says what is there.
    """
    if not folder.exists():
        return
    ours = {PAGE_NAME, FIGURE_NAME, *(form.file for form in FORMS)}
    others = sorted({it.name for it in folder.iterdir()} - ours) if folder.is_dir() else [folder]
    if others:
        raise ExportError(
            f"{folder}: expected a new folder, or one of exports, received {str(others[0])!r}: "
            "name another by --folder"
        )


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Make a temporary folder that takes the place of `folder` once the block succeeds."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent
    ) as temporary:
        made = Path(temporary, "made")
        made.mkdir()
        yield made
        if folder.exists():
            folder.rename(Path(temporary, "replaced"))
        made.rename(folder)


@contextmanager
def finding_files(revision: str | None) -> Iterator[Path]:
    """Return the folder below which the model and the images are: the project, or a copy.

    Raises:
        RevisionError: no such revision, or files that are nowhere to be had.
    """
    if revision is None:
        yield Path()
        return
    splits = [split / name for split in (TRAIN_DIR, VALIDATION_DIR) for name in SPLIT_FILES]
    with tempfile.TemporaryDirectory() as folder:
        bring(revision, [MODEL_PATH, CARD_PATH, *splits], Path(folder))
        yield Path(folder)


def load_source(root: Path) -> Source:
    """Load the model and the images.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    card = load_card(root / CARD_PATH)
    path = root / MODEL_PATH
    return Source(
        path,
        load_model(path, card.class_count),
        card,
        load_split(root / TRAIN_DIR, card.class_count).images[:CALIBRATION_COUNT],
        load_split(root / VALIDATION_DIR, card.class_count),
    )


def measure(form: Form, path: Path, split: Split, expected: np.ndarray) -> Measured:
    """Load a form and compare its probabilities with those of Keras, float32 (n, k).

    Raises:
        ExportError: it is another model.
    """
    predict, images = form.load(path), split.images
    starts = range(0, len(images), BATCH_SIZE)
    received = np.concatenate([predict(images[it : it + BATCH_SIZE]) for it in starts])
    difference = float(np.abs(received - expected).max())
    if form.exact and not difference <= AGREEMENT:  # so written that NaN is refused too
        raise ExportError(
            f"{form.name}: expected the probabilities of Keras, received others by up to "
            f"{difference:.2g}: the converter has made another model; --only leaves this form out"
        )
    return Measured(
        form,
        _count_bytes(path),
        _time(predict, images),
        difference,
        float((received.argmax(axis=1) == split.labels).mean()),
    )


def _count_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _time(predict: Predict, images: np.ndarray) -> float:
    """Return the seconds that an image takes by itself, the median."""
    seconds = []
    for number in range(WARMUP_COUNT + TIMED_COUNT):
        start = time.perf_counter()
        predict(images[number % len(images)][np.newaxis])
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[WARMUP_COUNT:]))


def render_table(rows: Sequence[Measured]) -> str:
    """Tabulate the forms as Markdown."""
    cells = [
        (
            f"`{row.form.file}`",
            f"{row.size / 1000:,.0f} kB",
            f"{1000 * row.latency:.2f} ms",
            f"{row.difference:.1g}",
            f"{row.accuracy:.2%}",
        )
        for row in rows
    ]
    return tabulate(cells, HEADER, tablefmt="github", disable_numparse=True)


def render_page(source: Source, rows: Sequence[Measured]) -> str:
    """Write what lies in the folder, and how each form is loaded."""
    machine, card = describe_machine(), source.card
    digest = hashlib.md5(source.path.read_bytes(), usedforsecurity=False).hexdigest()
    names = ", ".join(escape(name) for name in card.class_names)
    forms = "\n\n".join(
        f"## `{row.form.file}`\n\n{row.form.use}\n\n```python\n{row.form.code}```" for row in rows
    )
    return f"""\
# {escape(card.title)}, {quote(source.model.name)}, for other programs

![Sizes and times of the forms]({FIGURE_NAME})

Exported from `{MODEL_PATH}` with MD5 `{digest}`.
Each form takes `images`, float32 (n, 28, 28, 1) from 0 (paper) to 1 (ink), and gives
`probabilities`, float32 (n, {card.class_count}), of the classes {names}, in this order.

{render_table(rows)}

One image: the median of {TIMED_COUNT} calls with an image each, on {escape(machine.processor)},
{machine.cores} cores, TensorFlow {machine.tensorflow}. Largest difference: of a probability from
that of Keras, among {len(source.validation.labels):,} validation images.

{forms}

{LEFT_OUT}
"""


def main(arguments: Namespace) -> None:
    forms = choose_forms(arguments.only)
    folder = arguments.folder or EXPORTED_DIR
    check_free(folder)
    # The folder first: one that cannot be written is told at once.
    with replacing_folder(folder) as made, finding_files(arguments.rev) as root:
        source = load_source(root)
        expected = predict_probabilities(source.model, source.validation.images, BATCH_SIZE)
        rows = []
        for form in tqdm(forms, unit="form", leave=False, disable=None):
            form.write(made / form.file, source)
            with without_lines(DELEGATE):
                rows.append(measure(form, made / form.file, source.validation, expected))
        write_text(made / PAGE_NAME, render_page(source, rows))
        title = f"{source.card.title}, {source.model.name}, for other programs"
        write_figure(made / FIGURE_NAME, draw_forms(rows, title))
    print(f"{render_table(rows)}\n\n{folder}: written; {folder / PAGE_NAME} says how to load each")
