"""`predict`: pictures in, digits out; bad files get a line, the others are read all the same."""

import io
import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from imports import ROOT
from PIL import Image
from samples import FLATTEN, SOFTMAX, make_recipe, spec
from test_segmentation import photograph, write

from digits.commands.predict import command as predict
from digits.data.splits import Card, write_card
from digits.deployment import conversion
from digits.deployment.classifier import load_classifier
from digits.errors import DigitsError
from digits.files import ArtifactError
from digits.imaging.normalization import centre
from digits.model.backend import keras
from digits.model.networks import build_network
from digits.model.saving import predict_probabilities, write_model
from digits.paths import CARD_PATH, MODEL_PATH

DIGITS = "0123456789"


def build_reader() -> keras.Model:
    """Build a network that compares an image with the letters of `write`."""
    letters = np.stack([centre(write(digit)).ravel() for digit in DIGITS], axis=1)
    letters -= letters.mean(axis=0)
    weights = letters / np.linalg.norm(letters, axis=0)
    recipe = make_recipe(FLATTEN, SOFTMAX)
    return build_network("reader", recipe, [weights.astype(np.float32), np.zeros(10, np.float32)])


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model and the card of its dataset, converted once."""
    folder = tmp_path_factory.mktemp("project")
    write_model(folder / MODEL_PATH, build_reader())
    write_card(
        folder / CARD_PATH,
        Card(name="mnist", title="MNIST", class_names=list(DIGITS), image_counts={"train": 1}),
    )
    return folder


@pytest.fixture(autouse=True)
def folder(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_folder)
    return trained_folder


def save(path: Path, text: str) -> Path:
    picture = (255 * photograph(write(*text.split("/")))).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def call(*arguments: object) -> None:
    parser = ArgumentParser()
    predict.add_arguments(parser)
    predict.main(parser.parse_args([str(argument) for argument in arguments]))


def read(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    call(*arguments, "--format", "json")
    pages: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return pages


def join(page: dict[str, Any]) -> str:
    return "".join(digit["digit"] or "?" for digit in page["digits"])


def test_table_of_files_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "pages/b.jpg", "2718")
    save(tmp_path / "pages/deeper/a.png", "45/90")
    save(tmp_path / "pages/.hidden.png", "1")
    alone = save(tmp_path / "alone.webp", "7")
    call(alone, tmp_path / "pages")
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["file", "reads", "probability", "runner-up"]
    cells = [row.split() for row in rows]
    assert [(Path(cell[0]).name, cell[1]) for cell in cells] == [
        ("alone.webp", "7"),
        ("b.jpg", "2718"),
        ("a.png", "4590"),
    ]
    assert all(0 < float(cell[2]) <= 1 for cell in cells)
    assert [len(cell[3]) for cell in cells] == [1, 4, 4]


def test_json_has_all_probabilities_and_boxes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (page,) = read(capsys, save(tmp_path / "two.png", "36"))
    assert join(page) == "36"
    first, second = page["digits"]
    assert list(first["probabilities"]) == list(DIGITS)
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    left, top, right, bottom = first["box"]
    assert 30 < left < right < 120
    assert 30 < top < bottom < 120
    assert second["box"][0] > right


def test_arrays_of_images_and_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "images.npy"
    np.save(path, np.stack([(255 * centre(write(digit))).astype(np.uint8) for digit in "8350"]))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    for name in (path, "-"):
        pages = read(capsys, name)
        assert "".join(map(join, pages)) == "8350"
        assert [page["page"] for page in pages] == [f"image {n}" for n in range(4)]


def test_bad_files_get_a_line_each_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = save(tmp_path / "good.png", "4")
    Image.new("L", (200, 200), 255).save(tmp_path / "blank.png")
    odd = os.fsdecode(b"\xff\n.png")
    bad = {"truncated.png": good.read_bytes()[:300], "empty.jpg": b"", odd: b"hello"}
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DigitsError, match="5 of 6 pictures not read"):
        call(tmp_path, tmp_path / "missing.png", "--format", "json")
    printed, said = capsys.readouterr()
    (page,) = [page for page in json.loads(printed) if "error" not in page]
    assert (page["file"], join(page)) == (str(good), "4")
    assert len([line for line in said.splitlines() if line.startswith("ERROR: ")]) == 5


def test_abstains_below_a_probability(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "seven.png", "7")
    (page,) = read(capsys, path)
    probability = page["digits"][0]["probability"]
    for least, text in ((probability + 0.01, "?"), (probability - 0.01, "7")):
        (page,) = read(capsys, path, "--min-probability", least)
        assert join(page) == text


def test_picture_of_what_was_seen(tmp_path: Path) -> None:
    inputs = [save(tmp_path / "row.png", "27181828"), save(tmp_path / "one.png", "3")]
    call(*inputs, "--picture", tmp_path / "seen.png")
    with Image.open(tmp_path / "seen.png") as drawn:
        assert drawn.size[1] > 600
    before = inputs[0].read_bytes()
    with pytest.raises(DigitsError, match="an input"):
        call(*inputs, "--picture", inputs[0])
    assert inputs[0].read_bytes() == before


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(DigitsError, match="expected files, received none"):
        call(tmp_path)


# The model


def draw_some() -> np.ndarray:
    return np.stack([centre(write(digit)) for digit in DIGITS])


def test_litert_and_keras_agree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = draw_some()
    expected = predict_probabilities(build_reader(), images[..., np.newaxis], 10)
    assert np.abs(load_classifier().predict(images) - expected).max() < 1e-5
    assert len(list((folder / "models").glob("*.tflite"))) == 1
    for kept in (folder / "models").glob("*.tflite"):
        kept.write_bytes(b"cut")
        with pytest.raises(ArtifactError, match=r"\.tflite: expected .*: remove it$"):
            load_classifier()
        kept.unlink()
    monkeypatch.setattr(conversion, "to_litert", Mock(side_effect=conversion.ConversionError))
    assert load_classifier().predict(images) == pytest.approx(expected, abs=1e-6)


def test_another_model_is_another_file(tmp_path: Path, folder: Path) -> None:
    load_classifier()
    before = set((folder / "models").glob("*.tflite"))
    network = build_reader()
    network.set_weights([-weights for weights in network.get_weights()])
    write_model(tmp_path / "other.keras", network)
    read = load_classifier(tmp_path / "other.keras").predict(draw_some()).argmax(axis=1)
    assert (read != np.arange(10)).all()
    (new,) = set((folder / "models").glob("*.tflite")) - before
    new.unlink()


def test_no_model_a_damaged_one_and_one_of_other_classes(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no model")
    recipe = make_recipe(FLATTEN, spec("Dense", units=3, activation="softmax"))
    write_model(tmp_path / "three.keras", build_network("three", recipe))
    for name in ("none", "text", "three"):
        with pytest.raises(ArtifactError, match=rf"{name}\.keras: expected"):
            load_classifier(tmp_path / f"{name}.keras")


SCRIPT = """
import sys
from digits.cli import call_command
call_command()
print({"tensorflow", "keras", "dvc", "matplotlib", "sklearn"} & set(sys.modules))
"""


def test_answers_need_neither_tensorflow_nor_dvc(folder: Path, tmp_path: Path) -> None:
    """What is imported decides how long a picture takes; a time itself is a benchmark."""
    load_classifier()
    (folder / "dvc.yaml").touch()
    path = save(tmp_path / "seven.png", "7")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "predict", str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "set()"
    assert done.stderr == ""
