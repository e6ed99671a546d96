"""One's own digits added to a known dataset: one dataset, trained together, scored apart."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import FACTS
from test_comparison import make_record
from test_import import call as import_data
from test_import import write_sheet
from test_stages import STAGES, make_project

from digits.commands import compare
from digits.data import datasets
from digits.data.datasets import load_dataset
from digits.data.splits import Part, hold_out, load_card
from digits.errors import DigitsError
from digits.paths import CARD_PATH, EVALUATE_METRICS_PATH
from pipeline import decode, fetch

IMAGES = np.random.default_rng(0).integers(0, 100, (10, 28, 28), np.uint8)


@pytest.fixture(autouse=True)
def _project(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 (the files of `dataset: mnist`)
    """Begin in a project of MNIST, with threes and sevens."""
    monkeypatch.chdir(make_project(tmp_path / "project", dataset="mine"))
    np.savez("mine.npz", images=IMAGES, labels=np.array([3, 7] * 5))


def add_mine() -> None:
    import_data("mine", "mine.npz", "--with", "mnist")


def decode_with(before: str = "", after: str = "") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Fetch and decode, one thing changed in the params; return images and labels by split."""
    path, folder = Path("params.yaml"), Path("data/decoded")
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    fetch.main()
    decode.main()
    return {
        name: (np.load(folder / name / "images.npy"), np.load(folder / name / "labels.npy"))
        for name in ("train", "validation", "test")
    }


def test_known_part_stays_as_it_is_alone(capsys: pytest.CaptureFixture[str]) -> None:
    add_mine()
    dataset, mnist = load_dataset("mine"), load_dataset("mnist")
    assert (dataset.class_names, dataset.disputed) == (mnist.class_names, mnist.disputed)
    assert "Synthetic: none" in dataset.licence
    assert "3: 4 + 1, 7: 4 + 1" in capsys.readouterr().out
    joined, card = decode_with(), load_card(CARD_PATH)
    assert joined["test"][1][50:].tolist() == [3, 7]
    assert [part.model_dump() for part in card.parts] == [
        {"name": "mnist", "train": 120, "validation": 30, "test": 50},
        {"name": "mine", "train": 6, "validation": 2, "test": 2},
    ]
    assert card.image_counts == {"train": 126, "validation": 32, "test": 52}
    shutil.rmtree("data/raw")
    alone = decode_with("dataset: mine", "dataset: mnist")
    for name, (images, labels) in alone.items():
        part = card.slice_parts(name)["mnist"]
        np.testing.assert_array_equal(joined[name][0][part], images)
        np.testing.assert_array_equal(joined[name][1][part], labels)
    assert load_card(CARD_PATH).parts == []


@pytest.mark.parametrize("repeats", [0, 7])
def test_added_images_are_repeated_in_train_alone(repeats: int) -> None:
    add_mine()
    splits = decode_with("added_repeats: 1", f"added_repeats: {repeats}")
    card = load_card(CARD_PATH)
    own, held = (
        [image.tobytes() for image in splits[name][0][card.slice_parts(name)["mine"]]]
        for name in ("train", "validation")
    )
    assert (len(own), len(set(own))) == (6 * repeats, 6 if repeats else 0)
    assert len(held) == 2
    assert not set(own) & set(held)


def test_parts_are_scored_apart() -> None:
    add_mine()
    for stage in STAGES:
        stage.main()
    metrics = json.loads(EVALUATE_METRICS_PATH.read_bytes())
    labels, probabilities = (
        np.load(f"data/predictions/test/{name}.npy") for name in ("labels", "probabilities")
    )
    wrong = probabilities.argmax(axis=1) != labels
    assert metrics["error_count"] == wrong.sum()
    errors = {name: part["error_count"] for name, part in metrics["parts"].items()}
    assert errors == {"mnist": wrong[:50].sum(), "mine": wrong[50:].sum()}


def test_more_can_be_added_to_what_was_joined() -> None:
    add_mine()
    write_sheet(Path("hers/7/sheet.jpg"), "7777")  # one class alone
    import_data("hers", "hers", "--with", "mine")
    dataset = load_dataset("hers")
    assert dataset.count_parts("train") == {"mnist": 150, "mine": 8, "hers": 3}
    assert dataset.count_parts("test") == {"mnist": 50, "mine": 2, "hers": 1}


def test_arrays_can_be_added_to_embedded_digits() -> None:
    facts = (Path(__file__).parents[1] / "datasets/optdigits.yaml").read_text()
    (datasets.DATASETS_DIR / "optdigits.yaml").write_text(facts)
    import_data("theirs", "mine.npz", "--test", "mine.npz", "--with", "optdigits", "--transpose")
    dataset = load_dataset("theirs")
    assert dataset.count_parts("train") == {"optdigits": 1433, "theirs": 10}
    assert not dataset.transpose
    found, classes = decode_with("dataset: mine", "dataset: theirs")["test"]
    assert classes[364:].tolist() == [3, 7] * 5
    pixels = np.rint(255 * found[364:, ..., 0]).astype(np.uint8)
    np.testing.assert_array_equal(pixels, IMAGES.swapaxes(1, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine", "mine.npz", "--with", "mnits"], "--with: expected a file of"),
        (["mine", "mine.npz", "--with", "odd"], "--with odd: expected its classes, odd, even, rec"),
        (["mnist", "mine.npz", "--with", "mnist"], "expected a NAME of its own"),
        (["mine", "mine/3", "--with", "mnist"], "expected labels by a folder for each class"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: list[str], message: str) -> None:
    write_sheet(Path("mine/3/sheet.jpg"), "33")
    odd = json.dumps(FACTS | {"class_names": ["odd", "even"]})
    (datasets.DATASETS_DIR / "odd.yaml").write_text(odd)
    with pytest.raises(DigitsError, match=re.escape(message)):
        import_data(*arguments)
    assert not (datasets.DATASETS_DIR / "mine.yaml").exists()


def test_parts_that_are_not_the_files_are_refused() -> None:
    add_mine()
    path = datasets.DATASETS_DIR / "mine.yaml"
    path.write_text(path.read_text().replace('"train": 8', '"train": 9'))
    with pytest.raises(DigitsError, match=r"^train labels: expected 159, .* received 158$"):
        decode_with()


@pytest.mark.parametrize("counts", [[1], [20, 1, 7]])
def test_of_each_class_one_is_held_out_at_least(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    kept, held = hold_out(labels, 0.2, 0)
    assert sorted([*kept, *held]) == list(range(len(labels)))
    expected = [min(max(round(0.2 * count), 1), count - 1) for count in counts]
    assert np.bincount(labels[held], minlength=len(counts)).tolist() == expected


def test_models_are_compared_on_the_parts_that_both_have() -> None:
    labels = (np.arange(60) % 10).astype(np.uint8)
    before = make_record("before", labels[:50], {1, 2}, {"dataset": "mnist"})
    after = make_record("after", labels, {2, 55}, {"dataset": "mine"})
    counts = {"mnist": 50, "mine": 10}
    parts = [Part(name=name, train=0, validation=n, test=0) for name, n in counts.items()]
    after = replace(after, card=after.card.model_copy(update={"name": "mine", "parts": parts}))
    ((name, records),) = compare.divide([before, after], "validation")
    assert name == "mnist"
    assert [len(record.predictions.labels) for record in records] == [50, 50]
    numbers = compare.list_numbers(records[:1], records[1:])
    assert (numbers["fixed"], numbers["new"]) == ([1], [])
    divided = dict(compare.divide([after, after], "validation"))
    assert {name: len(both[0].predictions.labels) for name, both in divided.items()} == counts
