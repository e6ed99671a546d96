"""The leaderboard: its numbers against hand-made runs, and its runs through the real `dvc`."""

import argparse
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from imports import ROOT
from projects import Project, list_runs, make_project
from ruamel.yaml import YAML

from digits.commands import leaderboard, standings
from digits.commands.charts import draw_leaderboard
from digits.commands.dvc import Outcome
from digits.commands.leaderboard import LeaderboardError
from digits.commands.standings import Entry, Run, StandingsError, Timing
from digits.errors import DigitsError
from digits.evaluation.figures import write_figure
from digits.files.params import PARAMS_PATH

ENTRIES = {
    "big": Entry(published="98 %", note="Its authors count differently.", seeds=[0, 1, 2]),
    "small": Entry(recipe="big", epochs=20, published="none given", note=None, seeds=[7]),
}
WANTED = standings.list_runs(ENTRIES)
TIMING = Timing(12.5, "Abacus, 2 cores", "2.21.0")
NO_TIMES = pd.DataFrame(columns=standings.TIME_COLUMNS)

PAGE = (
    """\
# Leaderboard: MNIST

| recipe   | published   | ours                     | 95 % interval    | parameters   \
| training seconds   | machine                            |
|----------|-------------|--------------------------|------------------|--------------\
|--------------------|------------------------------------|
| `small`  | none given  | 95.00 % (1 seed)         | 88.82 to 97.85 % | 1,234        \
|                    |                                    |
| `big`    | 98 %        | 90.00 ± 2.00 % (3 seeds) | 86.08 to 92.91 % | 5,000        \
| 1,020.0            | Abacus, 2 cores, TensorFlow 2.21.0 |

"""
    + standings.LEGEND
)


def make_row(run: Run, error_count: int = 5, **changes: Any) -> dict[str, Any]:
    """Return what `dvc.api.exp_show` says of a run: numbers are floats, text is text, and null."""
    return {
        "Experiment": run.name,
        "State": None,
        "metrics/evaluate.json:error_count": float(error_count),
        "metrics/other.json:error_count": -1.0,
        "image_count": 100.0,
        "accuracy": 1 - error_count / 100,
        "train.recipe": "big",
        "train.seed": float(run.seed),
        "train.epochs": "None" if run.recipe == "big" else 20.0,
        "train.batch_size": "None",
        "train.learning_rate": "None",
        "models/model.keras": f"{error_count:032}",
        **changes,
    }


def make_results() -> pd.DataFrame:
    counts = (8, 10, 12, 5)
    rows = [make_row(run, count) for run, count in zip(WANTED, counts, strict=True)]
    results = standings.collect_results(rows, WANTED)
    parameter_counts = {"small": 1234, "big": 5000}
    return results.assign(parameter_count=results["recipe"].map(parameter_counts))


def time_big_runs(results: pd.DataFrame) -> pd.DataFrame:
    times = NO_TIMES
    for seed, seconds in enumerate((1000.0, 1020.0, 2000.0)):
        timing = Timing(seconds, TIMING.machine, TIMING.tensorflow)
        times = standings.record_timing(times, WANTED[seed], results["model"][seed], timing)
    return standings.add_times(results, times)


def bound_by_formula(correct: int, count: int) -> tuple[float, float]:
    """Wilson 1927, as textbooks print it."""
    z, share = 1.959963984540054, correct / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + (z / 2 / count) ** 2)
    return centre - half, centre + half


def test_recipes_are_ranked_by_mean_accuracy() -> None:
    ranking = standings.rank_recipes(time_big_runs(make_results()))
    assert ranking["recipe"].tolist() == ["small", "big"]
    small, big = (row for _, row in ranking.iterrows())
    assert big["seed_count"] == 3
    assert big["accuracy"] == pytest.approx(0.9)
    assert big["accuracy_sd"] == pytest.approx(0.02)  # of 0.92, 0.90, 0.88, by n - 1
    low, high = bound_by_formula(270, 300)
    assert (big["accuracy_low"], big["accuracy_high"]) == pytest.approx((low, high))
    assert big["training_seconds"] == 1020
    assert math.isnan(small["accuracy_sd"])
    assert math.isnan(small["training_seconds"])


def test_page_is_this_text() -> None:
    ranking = standings.rank_recipes(time_big_runs(make_results()))
    page = standings.write_markdown(ranking, ENTRIES, "MNIST")
    assert page == PAGE + "\n- `big`: Its authors count differently.\n"


def test_page_names_missing_runs() -> None:
    results = make_results().iloc[[0, 2]]
    ranking = standings.rank_recipes(standings.add_times(results, NO_TIMES))
    missing = standings.list_missing(WANTED, results)
    page = standings.write_markdown(ranking, ENTRIES, "MNIST", missing)
    assert page.endswith("\nNot run yet: `big` 1, `small` 7.\n")


def test_each_entry_is_run_once_a_seed() -> None:
    assert [run.name for run in WANTED] == [
        "leaderboard-big-0",
        "leaderboard-big-1",
        "leaderboard-big-2",
        "leaderboard-small-7",
    ]


def test_only_missing_runs_are_left() -> None:
    rows = [{"Experiment": None}, make_row(WANTED[1]), make_row(WANTED[3], State="Running")]
    results = standings.collect_results(rows, WANTED)
    assert standings.list_missing(WANTED, results) == [WANTED[0], WANTED[2], WANTED[3]]


def test_newest_experiment_of_a_name_counts() -> None:
    results = standings.collect_results([make_row(WANTED[0], 3), make_row(WANTED[0], 4)], WANTED)
    assert results["error_count"].tolist() == [3]


@pytest.mark.parametrize(
    ("number", "key", "received", "expected"),
    [
        (0, "train.seed", 5.0, 0),
        (3, "train.recipe", "small", "big"),
        (3, "train.epochs", 10.0, 20),
        (3, "train.epochs", "None", 20),
        (0, "train.batch_size", 8.0, None),
        (0, "train.learning_rate", 1e-05, None),
    ],
)
def test_foreign_experiment_of_the_name_is_refused(
    number: int, key: str, received: object, expected: object
) -> None:
    row = make_row(WANTED[number]) | {key: received}
    message = rf"{WANTED[number].name}: {key}: expected {expected!r}, .*; `dvc exp remove"
    with pytest.raises(StandingsError, match=message):
        standings.collect_results([row], WANTED)


@pytest.mark.parametrize("null", [None, "None", "", math.nan])
def test_null_is_known_however_dvc_spells_it(null: object) -> None:
    row = make_row(WANTED[0]) | {"train.epochs": null}
    del row["train.batch_size"]
    row["params.yaml:train.learning_rate"] = row.pop("train.learning_rate")
    assert len(standings.collect_results([row], WANTED)) == 1


def test_run_sets_all_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def pretend(settings: dict[str, object], *_: str) -> Outcome:
        given.update(settings)
        return Outcome(0, {"train": {"exit_status": 0, "seconds": 12.5}})

    monkeypatch.setattr(leaderboard, "run_experiment", pretend)
    assert leaderboard.perform(WANTED[3], force=False) == 12.5
    assert given == {
        "train.recipe": "big",
        "train.seed": 7,
        "train.epochs": 20,
        "train.batch_size": None,
        "train.learning_rate": None,
    }


def test_restored_run_keeps_the_time_of_its_model_only() -> None:
    run = WANTED[0]
    times = standings.record_timing(NO_TIMES, run, "md5:a", TIMING)
    assert standings.record_timing(times, run, "md5:a", None) is times
    other = standings.record_timing(times, run, "md5:b", None)
    assert other["model"].tolist() == ["md5:b"]
    assert other[["training_seconds", "machine"]].isna().all(axis=None)


def test_times_survive_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    times = leaderboard.load_times()
    times = standings.record_timing(times, WANTED[0], "md5:12e4", None)
    leaderboard.write_times(times)  # not one time known
    times = standings.record_timing(leaderboard.load_times(), WANTED[1], "md5:b", TIMING)
    leaderboard.write_times(times)
    text = leaderboard.TIMES_PATH.read_text()
    assert text == (
        ",".join(standings.TIME_COLUMNS) + "\n"
        "leaderboard-big-0,big,0,md5:12e4,,,\n"
        'leaderboard-big-1,big,1,md5:b,12.5,"Abacus, 2 cores",2.21.0\n'
    )
    leaderboard.write_times(leaderboard.load_times())
    assert leaderboard.TIMES_PATH.read_text() == text


@pytest.mark.parametrize(
    ("only", "seeds", "expected"),
    [
        (None, None, WANTED),
        (["small"], None, WANTED[3:]),
        (None, [0, 7], [WANTED[0], WANTED[3]]),
    ],
)
def test_a_part_can_be_chosen(only: Any, seeds: Any, expected: list[Run]) -> None:
    arguments = argparse.Namespace(only=only, seeds=seeds)
    assert leaderboard.choose_runs(WANTED, arguments) == expected


def test_unlisted_seed_is_refused() -> None:
    arguments = argparse.Namespace(only=["small"], seeds=[0, 7])
    with pytest.raises(LeaderboardError, match=r"--seeds: expected some of \[7\].*received \[0\]"):
        leaderboard.choose_runs(WANTED, arguments)


def test_picture_has_a_dot_a_run_and_readable_seconds(tmp_path: Path) -> None:
    timed = time_big_runs(make_results()).dropna(subset="training_seconds")
    figure = draw_leaderboard(timed, "MNIST")
    dots, medians = (np.asarray(line.get_xydata()).tolist() for line in figure.axes[0].lines)
    assert dots == [[1000, 0.92], [1020, 0.9], [2000, 0.88]]
    assert medians == [[1020, 0.9]]
    write_figure(tmp_path / "picture.png", figure)
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert {"1,000", "2,000"} <= set(ticks)


BOARD = """\
dataset: optdigits
recipes:
  cnn_optdigits:
    published: none given
    note: null
    seeds: [3]
  short:
    recipe: cnn_optdigits
    epochs: 1
    published: none given
    note: null
    seeds: [3]
"""


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("dataset: mnist", "dataset: expected 'optdigits', which .* received 'mnist'"),
        ("dataset: optdigits\nrecipes: {short: {}}", "recipes: expected the key 'cnn_optdigits'"),
    ],
)
def test_board_that_params_do_not_fit_is_refused(
    params: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(params)
    leaderboard.BOARD_PATH.parent.mkdir()
    leaderboard.BOARD_PATH.write_text(BOARD)
    with pytest.raises(DigitsError, match=message):
        leaderboard.load_entries("optdigits")


@pytest.mark.checkout
def test_published_name_stands_for_cnn_of_20_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    leaderboard.BOARD_PATH.parent.mkdir()
    shutil.copy(ROOT / leaderboard.BOARD_PATH, leaderboard.BOARD_PATH)
    entries = YAML(typ="safe").load(leaderboard.BOARD_PATH)["recipes"]
    recipes: dict[str, Any] = {entry.get("recipe", name): {} for name, entry in entries.items()}
    PARAMS_PATH.write_text(json.dumps({"dataset": "mnist", "recipes": recipes}))
    runs = {run.name: run for run in standings.list_runs(leaderboard.load_entries("mnist"))}
    assert runs["leaderboard-cnn_20_epochs-0"].settings == {
        "train.recipe": "cnn",
        "train.seed": 0,
        "train.epochs": 20,
        "train.batch_size": None,
        "train.learning_rate": None,
    }


def rank(project: Project, *arguments: str, status: int = 0) -> str:
    return project.call("python", "-m", "digits", "leaderboard", *arguments, status=status)


@pytest.mark.slow
def test_runs_through_dvc_and_only_once(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "optdigits", "cnn_optdigits")
    board = project.folder / leaderboard.BOARD_PATH
    board.parent.mkdir(exist_ok=True)
    board.write_text(BOARD)
    project.change("  batch_size:\n", "  batch_size: 64\n")
    project.commit("an override that must not leak")

    output = rank(project, "--only", "cnn_optdigits")
    assert "1 of 1 runs to do" in output
    assert re.findall(r"=== (\S+),", output) == ["leaderboard-cnn_optdigits-3"]
    output = rank(project)
    assert "1 of 2 runs to do" in output
    # fetch has no run-cache, since it looks at what people put into data/raw.
    assert list_runs(output) == ["fetch", "train", "evaluate", "analyze"]
    page = (project.folder / leaderboard.MARKDOWN_PATH).read_text()
    times = pd.read_csv(project.folder / leaderboard.TIMES_PATH)
    assert times["experiment"].tolist() == ["leaderboard-cnn_optdigits-3", "leaderboard-short-3"]
    assert (times["training_seconds"] > 0).all()
    shown = project.call("dvc", "exp", "show", "--csv")
    for recipe in ("cnn_optdigits", "short"):
        accuracy = re.search(rf"\| `{recipe}` +\| none given +\| (\S+) % \(1 seed\)", page)
        assert accuracy is not None
        assert f"leaderboard-{recipe}-3" in shown
    assert "Not run yet" not in page

    project.call("git", "add", "--all")
    project.call("git", "commit", "--quiet", "--message", "the board changes no run")
    output = rank(project)
    assert "0 of 2 runs to do" in output
    assert list_runs(output) == []
    assert project.call("git", "status", "--porcelain") == ""

    project.change("sample_count: 40", "sample_count: 4")
    assert "expected everything committed, received changes in params.yaml" in rank(
        project, status=1
    )
