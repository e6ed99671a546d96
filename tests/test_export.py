"""`digits export`: each form agrees with Keras, loads as its page says, is whole or not there."""

import contextlib
import hashlib
import re
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DIGIT_NAMES
from imports import ROOT
from projects import Project
from samples import FLATTEN, SOFTMAX, make_recipe, make_split, spec

from digits.commands.export import command as export
from digits.commands.export.command import EXPORTED, EXPORTED_DIR, FORMS
from digits.config import load_params
from digits.data.splits import Card, write_card, write_split
from digits.deployment import conversion
from digits.deployment.runtimes import Predict, load_litert, load_onnx
from digits.errors import DigitsError
from digits.model.backend import keras
from digits.model.networks import build_network, join_members
from digits.model.recipes import Recipe
from digits.model.saving import predict_probabilities, write_model
from digits.paths import CARD_PATH, MODEL_PATH, TRAIN_DIR, VALIDATION_DIR

TOLERANCE = 1e-5  # of a probability: float32 rounds
COARSE = 0.1  # the same in 8 bits
CONVOLUTION = spec("Conv2D", filters=4, kernel_size=3, strides=2)
RECIPE = make_recipe(CONVOLUTION, spec("BatchNormalization"), FLATTEN, SOFTMAX)
IMAGES = make_split(7).images


def build(name: str, seed: int = 0) -> keras.Model:
    """Build a network with weights that tell images apart, the same for a seed."""
    network = build_network(name, RECIPE)
    generator = np.random.default_rng(seed)
    for weight in network.weights:
        lowest = 0.1 if weight.path.endswith("variance") else -0.3
        weight.assign(generator.random(weight.shape, np.float32) + lowest)
    return network


def predict(model: keras.Model, images: np.ndarray = IMAGES) -> np.ndarray:
    return predict_probabilities(model, images, len(images))  # refuses NaN


def export_model(*words: str) -> None:
    """Call the command with these words."""
    parser = ArgumentParser()
    export.add_arguments(parser)
    export.main(parser.parse_args(words))


def make_project(folder: Path) -> None:
    """Lay down what the command takes: a model, a card, images of two splits."""
    write_model(folder / MODEL_PATH, build("sample"))
    counts = {"train": 40, "validation": 20, "test": 0}
    card = Card(name="any", title="Sample", class_names=DIGIT_NAMES, image_counts=counts)
    write_card(folder / CARD_PATH, card)
    for path, split in ((TRAIN_DIR, make_split(40)), (VALIDATION_DIR, make_split(20, seed=4))):
        write_split(folder / path, [split.images], split.labels)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all forms: to be read, never changed."""
    folder = tmp_path_factory.mktemp("export")
    make_project(folder)
    with contextlib.chdir(folder):
        export_model("--only", *FORMS)
    return folder / EXPORTED_DIR


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: a project whose model has not been exported."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_form_agrees_with_keras_and_loads_as_its_page_says(
    form: export.Form, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tolerance = TOLERANCE if form.exact else COARSE
    (code,) = re.findall(
        rf"(?ms)^## `{re.escape(form.file)}`\n\n.*?```python\n(.*?)```",
        (exported / "README.md").read_text(),
    )
    monkeypatch.chdir(exported)
    for count in (1, 7):  # any number of images
        names: dict[str, Any] = {"pixels": (255 * IMAGES[:count]).round().astype(np.uint8)}
        exec(code, names)  # noqa: S102 (what a reader of the page types)
        expected = predict(build("sample"), (names["pixels"] / 255).astype(np.float32))
        assert names["probabilities"].dtype == np.float32
        np.testing.assert_allclose(names["probabilities"], expected, atol=tolerance, rtol=0)


def test_page_says_what_is_there(exported: Path) -> None:
    page = (exported / "README.md").read_text()
    assert "classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, in this order" in page
    assert "on 20 validation images" in page
    rows = re.findall(r"^\| `(.+?)` +\| ([\d,]+) kB +\| \S+ +\| (.+?)% ", page, re.MULTILINE)
    names = [name for name, _, _ in rows]
    assert names == [form.file for form in FORMS.values()]
    assert {*names, "README.md"} == list_names(exported)
    split = make_split(20, 4)
    accuracy = (predict(build("sample"), split.images).argmax(axis=1) == split.labels).mean()
    assert rows[0][2] == f"{100 * accuracy:.2f}"
    assert rows[1][1] == f"{(exported / 'model.onnx').stat().st_size / 1000:,.0f}"


def test_equal_models_are_equal_bytes_and_converters_are_quiet(
    exported: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    build("other", seed=1)
    model = build("sample")
    received = conversion.to_litert(model), conversion.to_litert_int8(model, make_split(40).images)
    names = ("model.tflite", "model_int8.tflite")
    assert received == tuple((exported / name).read_bytes() for name in names)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


# The folder


def test_export_replaces_the_one_before(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export_model("--only", "saved_model", "--folder", "some/where")
    export_model("--only", "litert", "--folder", "some/where")
    assert list_names("some/where") == {"README.md", "model.tflite"}
    assert not (project / EXPORTED_DIR).exists()
    out, err = capfd.readouterr()
    assert out.endswith("some/where: written; some/where/README.md says how to load each\n")
    assert err == ""


def list_names(folder: Path | str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


@pytest.mark.usefixtures("project")
def test_form_that_is_another_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = FORMS["litert"]._replace(load=lambda _: lambda images: predict(build("o", 1), images))
    monkeypatch.setitem(FORMS, "litert", other)
    export_model("--only", "saved_model")
    with pytest.raises(DigitsError, match=r"^model.tflite: expected the probabilities of Keras, "):
        export_model("--only", "litert")
    assert list_names(EXPORTED_DIR) == {"README.md", "saved_model"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("README.md", "My café."), ("notes.txt", EXPORTED), ("model.onnx", "mine")],
    ids=["page", "other", "model"],
)
def test_what_is_no_export_is_not_replaced(name: str, text: str, project: Path) -> None:
    path = project / "mine" / name
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    (project / "link").symlink_to("mine")
    with pytest.raises(DigitsError, match=f"a new folder, or one of exports, received '{name}'"):
        export_model("--folder", "link", "--only", "litert")
    assert path.read_text(encoding="latin-1") == text


# With DVC, and with the checkout's own recipes


@pytest.mark.nightly
def test_model_of_a_revision(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "project")
    expected = (project.folder / MODEL_PATH).read_bytes()
    (project.folder / MODEL_PATH).write_bytes(b"")
    project.digits("export", "--rev", "HEAD", "--only", "saved_model", "litert")
    page = (project.folder / EXPORTED_DIR / "README.md").read_text()
    assert f"MD5 `{hashlib.md5(expected, usedforsecurity=False).hexdigest()}`" in page
    assert list_names(project.folder / EXPORTED_DIR) == {"README.md", "saved_model", "model.tflite"}


@pytest.mark.nightly
@pytest.mark.checkout
@pytest.mark.parametrize(
    ("convert", "load"), [(conversion.to_onnx, load_onnx), (conversion.to_litert, load_litert)]
)
def test_every_recipe_can_be_exported(
    convert: Callable[[keras.Model], bytes], load: Callable[[Path], Predict], tmp_path: Path
) -> None:
    for path in (ROOT / "recipes").glob("*.yaml"):
        recipe = load_params("", Recipe, path).suit_classes("0123456789")
        members = [build_network(f"n{n}", recipe) for n in range(min(recipe.ensemble_size, 2))]
        model = join_members(path.stem, members, recipe.test_time_shift)
        (tmp_path / path.stem).write_bytes(convert(model))
        received = load(tmp_path / path.stem)(IMAGES)
        np.testing.assert_allclose(received, predict(model), atol=TOLERANCE, rtol=0)
