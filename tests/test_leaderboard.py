"""The leaderboard: its ledger, its page against hand-made runs, its runs through the real `dvc`."""

import json
import re
import shutil
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from imports import ROOT
from projects import PARAMS_PATH, RECIPES, list_runs, make_project
from pydantic import ValidationError, create_model
from runs import MACHINE, make_published, make_run

from digits.commands.leaderboard import command, jobs, page
from digits.commands.leaderboard.command import PAGE_PATH
from digits.commands.leaderboard.jobs import BOARD_PATH, Board, Job
from digits.commands.leaderboard.page import PICTURE_PATH, rank_recipes
from digits.commands.leaderboard.picture import draw_leaderboard
from digits.config import load_named
from digits.errors import DigitsError
from digits.evaluation.ledger import LEDGER_PATH, load_ledger, write_ledger
from digits.files import write_text
from digits.markdown import escape
from digits.model.recipes import RECIPES_DIR, Recipe

MINE = Board(
    dataset="mnist",
    recipes={"big": [0, 1, 2], "small": [7, 8]},
    published=[make_published()],
)
UNMEASURED = dict.fromkeys(("training_cpu_seconds", "robustness_unseen", "optdigits_accuracy"))
RUNS = [
    make_run("big", 0, 8, training_cpu_seconds=1000.0),
    make_run("big", 1, 10, training_cpu_seconds=1020.0),
    make_run("big", 2, 12, training_cpu_seconds=2000.0),
    make_run("small", 7, 5, parameter_count=1234, precision="bfloat16", **UNMEASURED),
]
LISTED = {run["inputs"]: Job(run["recipe"], run["seed"]) for run in RUNS}

PAGE = f"""\
# Leaderboard: MNIST

![Accuracy against training compute](benchmarks/leaderboard.png)

| recipe   | seeds   | accuracy, %   | 95 % interval   | corrupted, %   | other writers, %   \
| CPU seconds   | parameters   |
|----------|---------|---------------|-----------------|----------------|--------------------\
|---------------|--------------|
| `small`  | 1       | 95.00         | 88.82-97.85     | -              | -                  \
| -             | 1,234        |
| `big`    | 3       | 90.00 ± 2.00  | 83.95-96.05     | 50.00          | 87.50              \
| 1,020.0       | 5,000        |

Not run yet: `small` 8.

{page.LEGEND}

Trained on:

- `small`: Abacus, bfloat16
- `big`: Abacus, float32

{page.TESTED.format(count=9)}

## Published results

- theirs: 98.5 ± 0.1 % (3 runs; Mean of the last epochs.), [page](https://example.org)
"""


def test_ledger_is_a_line_a_run_and_readable_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_ledger() == []
    write_ledger(reversed(RUNS))
    assert load_ledger() == RUNS
    text = LEDGER_PATH.read_text()
    assert len(text.splitlines()) == 2 + len(RUNS)
    table = pd.read_json(LEDGER_PATH)
    assert table["errors"].map(len).tolist() == table["error_count"].tolist() == [8, 10, 12, 5]
    for damaged in (text[: len(text) // 2], text.replace("\n", "\n<<<<<<< HEAD\n", 1)):
        LEDGER_PATH.write_text(damaged)
        with pytest.raises(DigitsError, match=r"was cut or has a conflict .* `git checkout "):
            load_ledger()


def test_page_is_this_text() -> None:
    ranking = rank_recipes(RUNS)
    assert page.write_page(ranking, [Job("small", 8)], MINE, "MNIST", 9) == PAGE


def test_page_shows_names_and_obeys_none() -> None:
    evil = "a|b`<img src=x>`[c](http://d)@e\\"
    board = Board(
        dataset="x", recipes={evil: [0, 1]}, published=[make_published(name=evil, protocol=evil)]
    )
    machine = MACHINE | {"processor": evil, "tensorflow": evil}
    ranking = rank_recipes([make_run(recipe=evil, machine=machine)])
    text = page.write_page(ranking, [Job(evil, 1)], board, evil, 1)
    assert text.count(escape(evil)) > 5
    assert evil not in text
    assert "<img" not in text


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202eb"])
def test_text_that_a_terminal_obeys_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="one line without control characters"):
        make_published(name=text)


def test_runs_of_earlier_recipes_are_counted_and_not_ranked(
    synthetic: Path,  # noqa: ARG001 (the files of `dataset: mnist`)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    earlier = make_run("big", 0, 20, inputs="f" * 64)
    write_ledger([earlier])
    with pytest.raises(DigitsError, match="expected at least one run of benchmarks/"):
        command.publish(MINE, LISTED)
    assert not PAGE_PATH.exists()
    write_ledger([earlier, *RUNS[1:], RUNS[1]])  # one twice, as a careless merge leaves it
    command.publish(MINE, LISTED)
    text = PAGE_PATH.read_text()
    assert re.search(r"`big` +\| 2 +\| 89.00 ± ", text)
    assert "Not run yet: `big` 0." in text
    assert "lists all 5 models" in text
    before = [path.read_bytes() for path in (PAGE_PATH, PICTURE_PATH)]
    command.publish(MINE, LISTED)
    assert [path.read_bytes() for path in (PAGE_PATH, PICTURE_PATH)] == before


def test_picture_has_a_mark_a_recipe_and_one_a_published_result() -> None:
    figure: Any = draw_leaderboard(rank_recipes(RUNS), [make_published()], "MNIST")
    drawn = [
        (
            bar.get_label(),
            *bar.lines[0].get_xydata()[0].tolist(),
            [line[:, 1].tolist() for line in bar.lines[2][0].get_segments() if len(line)],
        )
        for bar in figure.axes[0].containers
    ]
    assert drawn == [
        ("small (1)", 120_000, 0.95, []),
        ("big (3)", 120_000, pytest.approx(0.9), [pytest.approx([0.88, 0.92])]),
        ("theirs", 6e6, 0.985, [pytest.approx([0.984, 0.986])]),
    ]


@pytest.mark.checkout
def test_committed_page_is_that_of_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has changed a recipe has runs to do, and until then no page to be held to."""
    monkeypatch.chdir(ROOT)
    try:
        board = jobs.load_board()
        listed = jobs.list_jobs(board)
    except DigitsError:  # another dataset is selected, or a recipe is gone
        return
    ledger = load_ledger()
    done = [run for run in ledger if run["inputs"] in listed]
    if len(done) == len(listed):
        written = page.write_page(rank_recipes(done), [], board, "MNIST", len(ledger))
        assert written == PAGE_PATH.read_text(), "digits leaderboard"


# Where, what is replaced, and by what.
MAKES_ANOTHER_MODEL = (
    ("params.yaml", r"validation_fraction: \S+", "validation_fraction: 0.15"),
    ("params.yaml", r"threads: \d+", "threads: 7"),
    ("datasets/mnist.yaml", r"raw_sha256: [0-9a-f]{64}", f"raw_sha256: {'a' * 64}"),
    ("recipes/cnn.yaml", r"filters: 32", "filters: 16"),
    ("recipes/cnn.yaml", r"(?m)(  dense: .*\n)(  dropout: .*\n)", r"\2\1"),  # the order
)
MAKES_NO_MODEL = (
    ("params.yaml", r"sample_count: \d+", "sample_count: 3"),
    ("params.yaml", r"seed: \d+\n  # CPU", "seed: 9\n  # CPU"),  # the job sets its own
    ("params.yaml", r"recipe: \w+", "recipe: cnn_optdigits"),
    ("recipes/quick.yaml", r"epochs: \d+", "epochs: 99"),
    ("recipes/cnn.yaml", r"\Z", "precision: auto  # the default\n"),
    ("datasets/mnist.yaml", r"title: .*", "title: Other"),
)


def test_what_makes_another_model_makes_another_run_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "datasets", tmp_path / "datasets")
    shutil.copytree(RECIPES, tmp_path / "recipes")
    shutil.copy(PARAMS_PATH, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)

    def digest_after(path: str, pattern: str, text: str) -> str:
        before = Path(path).read_text()
        after = re.sub(pattern, text, before, count=1)
        assert after != before
        Path(path).write_text(after)
        return jobs.digest_inputs(Job("cnn", 1))

    first = jobs.digest_inputs(Job("cnn", 1))
    for change in MAKES_NO_MODEL:
        assert digest_after(*change) == first, change
    later = create_model("Later", __base__=Recipe, new_key=(float, 0.0))
    loading = partial(load_named, RECIPES_DIR, kind=later)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "load_recipe", lambda name, where: loading(name, where=where))
        assert jobs.digest_inputs(Job("cnn", 1)) == first
    digests = [first, jobs.digest_inputs(Job("cnn", 2))]
    digests += [digest_after(*change) for change in MAKES_ANOTHER_MODEL]
    monkeypatch.setattr(jobs, "TRAINING_VERSION", jobs.TRAINING_VERSION + 1)
    digests.append(jobs.digest_inputs(Job("cnn", 1)))
    assert len(set(digests)) == len(digests)


def test_unknown_recipe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load_board", lambda: MINE)
    monkeypatch.setattr(command, "list_jobs", lambda _: {})
    with pytest.raises(DigitsError, match="did you mean 'small'"):
        command.main(Namespace(only=["smal"], force=False, no_run=False))


BOARD = """\
dataset: optdigits
recipes:
  cnn_optdigits: [3]
  short: [3]
published: []
"""


@pytest.mark.nightly
def test_runs_through_dvc_and_only_once_and_in_a_clone_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = make_project(tmp_path / "project", "optdigits", "cnn_optdigits")
    recipe = (board.folder / "recipes/cnn_optdigits.yaml").read_text()
    (board.folder / "recipes/short.yaml").write_text(recipe.replace("epochs: 2", "epochs: 1"))
    write_text(board.folder / BOARD_PATH, BOARD)
    board.commit("a board")
    output = board.call("python", "-m", "digits", "leaderboard")
    names = re.findall(r"=== (\S+),", output)
    assert names == ["leaderboard-cnn_optdigits-3", "leaderboard-short-3"]
    monkeypatch.chdir(board.folder)
    runs = load_ledger()
    assert [run["recipe"] for run in runs] == ["cnn_optdigits", "short"]
    shown = json.loads(board.call("dvc", "exp", "show", "--json", "--rev", "HEAD"))
    found = {each["name"]: each["revs"][-1]["data"] for each in shown[1]["experiments"]}
    for name, run in zip(names, runs, strict=True):
        data = found[name]
        assert data["params"]["params.yaml"]["data"]["train"]["seed"] == 3
        metrics = {k: v for file in data["metrics"].values() for k, v in file["data"].items()}
        for key in ("error_count", "accuracy", "val_accuracy", "robustness"):
            assert run[key] == metrics[key]
        assert len(run["errors"]) == run["error_count"]
        assert run["model"] == data["outs"]["models/model.keras"]["hash"]
        assert run["training_seconds"]
        assert run["images_seen"] == 1289 * (2 if run["recipe"] == "cnn_optdigits" else 1)
    board.commit("the board changes no run")
    clone = board.clone(tmp_path / "clone")  # without data, models, experiments
    for path in (PAGE_PATH, PICTURE_PATH):
        (clone.folder / path).unlink()
    assert "0 runs to do" in clone.digits("leaderboard")
    for path in (PAGE_PATH, PICTURE_PATH, LEDGER_PATH):
        assert (clone.folder / path).read_bytes() == (board.folder / path).read_bytes()
    clone.change("epochs: 1", "epochs: 2", "recipes/short.yaml")
    said = clone.digits("leaderboard", status=1)
    assert "expected everything committed, received changes in recipes/short.yaml" in said
    clone.digits("leaderboard", "--no-run")
    assert "Not run yet: `short` 3." in (clone.folder / PAGE_PATH).read_text()

    # A run that was killed before it came into the ledger is taken up: its experiment is there.
    (board.folder / LEDGER_PATH).unlink()
    output = board.call("python", "-m", "digits", "leaderboard", "--only", "short")
    assert "=== leaderboard-short-3, 1 of 1 ===" in output
    assert "train" not in list_runs(output)
    # Its time was not taken: it is trained again, and stays one line.
    (run,) = load_ledger()
    assert run["training_seconds"] is None
    board.call("python", "-m", "digits", "leaderboard", "--only", "short", "--force")
    (again,) = load_ledger()
    assert again["training_seconds"]
    assert again["model"] == run["model"]
