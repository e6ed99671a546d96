"""`make export`: each form agrees with Keras, loads as its page says, and is whole or not there."""

import contextlib
import hashlib
import importlib.util
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DIGIT_NAMES
from imports import ROOT
from PIL import Image
from projects import Project
from samples import FLATTEN, SOFTMAX, make_recipe, make_split, spec

from digits.commands import conversion, export
from digits.commands.export import EXPORTED_DIR, FORMS, ExportError
from digits.commands.export_figure import draw_forms
from digits.commands.runtimes import Predict, load_litert, load_onnx
from digits.config import load_params
from digits.data.splits import Card, load_card, write_card, write_split
from digits.errors import run_main
from digits.files.artifacts import ArtifactError
from digits.model.backend import keras, without_lines
from digits.model.ensemble import join_members
from digits.model.networks import build_network
from digits.model.recipes import Recipe
from digits.model.saving import load_model, predict_probabilities, write_model
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
    """Return a project whose model has been exported: to be read, never changed."""
    folder = tmp_path_factory.mktemp("export")
    make_project(folder)
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "TIMED_COUNT", 5)
        export_model()
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: a project whose model has not been exported."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "TIMED_COUNT", 5)
    return tmp_path


def read_page(folder: Path) -> str:
    return (folder / EXPORTED_DIR / "README.md").read_text()


# The forms


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("count", [1, 7])
def test_form_agrees_with_keras_for_any_number_of_images(
    count: int, form: export.Form, exported: Path
) -> None:
    received = form.load(exported / EXPORTED_DIR / form.file)(IMAGES[:count])
    assert received.dtype == np.float32
    assert received.shape == (count, 10)
    expected = predict(build("sample"), IMAGES[:count])
    np.testing.assert_allclose(received, expected, atol=TOLERANCE if form.exact else COARSE, rtol=0)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_page_says_how_to_load_a_form(
    form: export.Form, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(
        rf"^## `{re.escape(form.file)}`\n\n.*?```python\n(.*?)```",
        read_page(exported),
        re.MULTILINE | re.DOTALL,
    )
    monkeypatch.chdir(exported / EXPORTED_DIR)
    names: dict[str, Any] = {"images": IMAGES}
    exec(code, names)  # noqa: S102 (what a reader of the page types)
    np.testing.assert_allclose(
        names["probabilities"],
        predict(build("sample")),
        atol=TOLERANCE if form.exact else COARSE,
        rtol=0,
    )


def test_page_says_what_is_there(exported: Path) -> None:
    page = read_page(exported)
    model = (exported / MODEL_PATH).read_bytes()
    assert f"MD5 `{hashlib.md5(model, usedforsecurity=False).hexdigest()}`" in page
    assert "of the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, in this order" in page
    assert "among 20 validation images" in page
    assert "Left out: TensorFlow.js." in page
    rows = re.findall(
        r"^\| `(.+?)` +\| ([\d,]+) kB +\| [\d.]+ ms +\| \S+ +\| (.+?)% ", page, re.MULTILINE
    )
    assert [name for name, _, _ in rows] == [form.file for form in FORMS]
    assert {name for name, _, _ in rows} | {"README.md", "forms.png"} == list_names(
        exported / EXPORTED_DIR
    )
    accuracy = (
        predict(build("sample"), make_split(20, 4).images).argmax(1) == make_split(20, 4).labels
    )
    assert rows[0][2] == f"{100 * accuracy.mean():.2f}"
    size = (exported / EXPORTED_DIR / "model.onnx").stat().st_size
    assert {name: it for name, it, _ in rows}["model.onnx"] == f"{size / 1000:,.0f}"


def test_page_shows_the_picture(exported: Path) -> None:
    (name,) = re.findall(r"^!\[.+\]\((.+)\)$", read_page(exported), re.MULTILINE)
    with Image.open(exported / EXPORTED_DIR / name) as picture:
        picture.verify()


def test_picture_has_the_numbers_of_every_form() -> None:
    rows = [export.Measured(form, 1000 * n, n / 1000, 0.0, 1.0) for n, form in enumerate(FORMS, 7)]
    figure = draw_forms(rows, "title")
    written = [text.get_text() for axes in figure.axes for text in axes.texts]
    numbers = range(7, 7 + len(FORMS))
    assert written == [*map(str, numbers), *(f"{number:.2f}" for number in numbers)]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [form.file for form in FORMS]


def test_archive_is_that_of_the_pipeline(exported: Path) -> None:
    copied = (exported / EXPORTED_DIR / "model.keras").read_bytes()
    assert copied == (exported / MODEL_PATH).read_bytes()


def test_equal_models_are_equal_bytes(exported: Path) -> None:
    """Whatever was built and converted before."""
    build("other", seed=1)
    model, calibration = build("sample"), make_split(40).images
    for name, data in (
        ("model.onnx", conversion.to_onnx(model)),
        ("model.tflite", conversion.to_litert(model)),
        ("model_int8.tflite", conversion.to_litert_int8(model, calibration)),
        ("model.h5", conversion.to_h5(model)),
    ):
        assert data == (exported / EXPORTED_DIR / name).read_bytes(), name


CONVERTERS = [(conversion.to_onnx, load_onnx), (conversion.to_litert, load_litert)]


@pytest.fixture(scope="module")
def ensemble() -> keras.Model:
    """Return what the recipe of a champion gives: members, each of which sees shifted images."""
    return join_members("champion", [build("first", 1), build("second", 2)], 1)


@pytest.fixture(scope="module")
def ensemble_onnx(ensemble: keras.Model) -> bytes:
    return conversion.to_onnx(ensemble)


def check_agreement(predict_as: Predict, model: keras.Model) -> None:
    np.testing.assert_allclose(predict_as(IMAGES), predict(model), atol=TOLERANCE, rtol=0)


def test_ensemble_in_onnx(ensemble_onnx: bytes, ensemble: keras.Model, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(ensemble_onnx)
    check_agreement(load_onnx(tmp_path / "model.onnx"), ensemble)


def test_ensemble_in_litert(ensemble: keras.Model, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(conversion.to_litert(ensemble))
    check_agreement(load_litert(tmp_path / "model.tflite"), ensemble)


def test_ensemble_in_onnx_is_the_same_bytes(ensemble_onnx: bytes, ensemble: keras.Model) -> None:
    """Its members stand side by side, and tf2onnx takes them in the order of a set."""
    assert conversion.to_onnx(ensemble) == ensemble_onnx


def test_layer_that_a_form_lacks_is_one_line() -> None:
    image = keras.Input((28, 28, 1))
    strange = keras.ops.cholesky(keras.layers.Reshape((28, 28))(image))
    with pytest.raises(conversion.ConversionError) as raised:
        conversion.to_litert(keras.Model(image, strange, name="strange"))
    assert str(raised.value).startswith("strange: expected layers that litert has, received ")
    assert "Cholesky" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_converters_are_quiet(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    model = build("sample")
    conversion.to_litert_int8(model, IMAGES)
    conversion.to_h5(model)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


def test_only_the_noise_is_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    with without_lines("noise: "):
        os.write(2, b"noise: 1\nsomething real\nnoise: 2\n")
    os.write(2, b"noise: 3\n")
    assert capfd.readouterr().err == "something real\nnoise: 3\n"


# The folder


def test_export_replaces_the_one_before(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export_model("--only", "keras")
    export_model("--only", "h5")
    assert list_names(EXPORTED_DIR) == {"README.md", "forms.png", "model.h5"}
    out, err = capfd.readouterr()
    assert out.endswith("exported: written; exported/README.md says how to load each\n")
    assert err == ""
    assert list_left_overs(project) == []


def test_another_folder(project: Path) -> None:
    export_model("--only", "keras", "--folder", "some/where")
    assert list_names("some/where") == {"README.md", "forms.png", "model.keras"}
    assert not (project / EXPORTED_DIR).exists()


def list_names(folder: Path | str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def list_left_overs(project: Path) -> list[Path]:
    return list(project.rglob("*.tmp"))


def test_form_that_is_another_model_leaves_everything_as_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EXPORTED_DIR.mkdir()
    (EXPORTED_DIR / "README.md").write_text("before")
    other = replace(FORMS[-1], load=lambda _: lambda images: predict(build("other", 1), images))
    monkeypatch.setattr(export, "FORMS", (*FORMS[:-1], other))
    with pytest.raises(ExportError, match=r"^h5: expected the probabilities of Keras, received "):
        export_model("--only", "h5")
    assert list_names(EXPORTED_DIR) == {"README.md"}
    assert read_page(project) == "before"
    assert list_left_overs(project) == []


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_is_no_export_is_not_replaced(what: str, project: Path) -> None:
    path = project / "mine/notes.txt"
    path.parent.mkdir()
    path.touch()
    target = path.parent if what == "folder" else path
    with pytest.raises(ExportError, match="expected a new folder, or one of exports, received"):
        export_model("--folder", str(target))
    assert path.exists()


def test_link_that_leads_elsewhere_is_refused(project: Path) -> None:
    EXPORTED_DIR.symlink_to(project.parent)
    with pytest.raises(ExportError, match="expected a new folder, or one of exports"):
        export_model("--only", "keras")


# Failures, in a line each


def test_no_model_is_one_line(project: Path) -> None:
    (project / MODEL_PATH).unlink()
    with pytest.raises(
        ArtifactError, match=r"^models/model\.keras: expected a model, received none"
    ):
        export_model("--only", "keras")
    assert list_left_overs(project) == []


def test_unknown_form_is_one_line(project: Path) -> None:  # noqa: ARG001 (the current folder)
    with pytest.raises(
        ExportError, match=r"^--only: expected some of keras, .* received 'onx' .*'onnx'"
    ):
        export_model("--only", "onx")


def test_missing_extra_is_one_line_and_its_advice_works(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnx" else found(name)
    )
    with pytest.raises(ExportError) as raised:
        export_model()
    message = str(raised.value)
    assert message.startswith(
        "export: expected the packages of the extra `export`, received no module 'onnx': "
        "`make export` installs them; in an environment of your own, `pip install '.[export]'`; "
    )
    (words,) = re.findall("`--only (.*?)` works", message)
    assert [form.name for form in export.choose_forms(words.split())] == words.split()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder where nobody may write")
def test_read_only_folder_is_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001 (the current folder)
    assert run_main(lambda: export_model("--only", "keras", "--folder", "/sys/exported")) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(r"ERROR: .*(not permitted|denied|Read-only).*/sys/\.exported\..*\n", error)


# With DVC, and with the checkout's own model


@pytest.mark.slow
def test_model_of_a_revision(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "project")
    expected = (project.folder / MODEL_PATH).read_bytes()
    (project.folder / MODEL_PATH).write_bytes(b"")
    words = ("--rev", "HEAD", "--only", "keras", "litert")
    table = project.call("python", "-m", "digits", "export", *words).splitlines()
    assert [line[0] for line in table if line] == [*"||||", "e"]  # and no program's noise
    assert (project.folder / EXPORTED_DIR / "model.keras").read_bytes() == expected
    said = project.call("python", "-m", "digits", "export", "--rev", "nowhere", status=1)
    assert said.startswith("ERROR: nowhere: expected a Git revision, a branch, an experiment")
    assert project.call("git", "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.checkout
@pytest.mark.parametrize(("convert", "load"), CONVERTERS)
def test_trained_model_agrees_on_all_test_images(
    convert: Callable[[keras.Model], bytes],
    load: Callable[[Path], Predict],
    trained: Project,
    tmp_path: Path,
) -> None:
    """That of a small project, and the workspace's if there is one.

    No choice is made from it: only whether two programs say the same is asked.
    """
    images_path = "data/decoded/test/images.npy"
    workspaces = [ROOT] if (ROOT / images_path).exists() and (ROOT / MODEL_PATH).exists() else []
    for root in (trained.folder, *workspaces):
        model = load_model(root / MODEL_PATH, load_card(root / CARD_PATH).class_count)
        (tmp_path / "model").write_bytes(convert(model))
        run = load(tmp_path / "model")
        for images in np.array_split(np.load(root / images_path), 20):
            expected = predict(model, images)
            received = run(images)
            np.testing.assert_allclose(received, expected, atol=TOLERANCE, rtol=0)
            assert (received.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.slow
@pytest.mark.checkout
@pytest.mark.parametrize(("convert", "load"), CONVERTERS)
def test_every_recipe_can_be_exported(
    convert: Callable[[keras.Model], bytes],
    load: Callable[[Path], Predict],
    tmp_path: Path,
) -> None:
    for path in (ROOT / "recipes").glob("*.yaml"):
        name, recipe = path.stem, load_params("", Recipe, path).suit_classes(10)
        numbers = range(min(recipe.ensemble_size, 2))
        members = [build_network(f"{name}_{number}", recipe) for number in numbers]
        model = join_members(name, members, recipe.test_time_shift)
        (tmp_path / name).write_bytes(convert(model))
        check_agreement(load(tmp_path / name), model)
