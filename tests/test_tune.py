"""`digits tune` without trainings: its file, its trials, who gets them, what is said and drawn."""

import contextlib
import json
import math
import multiprocessing
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import DEFAULT, Mock

import optuna
import pandas as pd
import pytest
from imports import ROOT
from optuna.exceptions import StorageInternalError
from optuna.storages import fail_stale_trials
from projects import PARAMS_PATH, RECIPES
from ruamel.yaml import YAML

from digits.commands.tune import command, objective, plots, study
from digits.commands.tune.search import Search, load_search
from digits.commands.tune.worker import Worker
from digits.config import ConfigError, load_params
from digits.dvc.run import Outcome
from digits.errors import DigitsError
from digits.files import HISTORY_COLUMNS
from digits.paths import HISTORY_PATH, TRAIN_METRICS_PATH

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed:UserWarning"),
]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
RATE = "recipes/cnn.yaml:optimizer.learning_rate"
GOOD = """
name: small
metrics:
  val_accuracy: 1
  val_robustness: 3
direction: maximize
sampler: tpe
seeds: [0, 1]
settings:
  train.recipe: cnn_optdigits
space:
  recipes/cnn.yaml:optimizer.learning_rate: {low: 0.0001, high: 0.1, log: true}
  recipes/cnn.yaml:batch_size: {values: [32, 64]}
"""


# The file


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a folder that has parameters."""
    shutil.copy(PARAMS_PATH, tmp_path / "params.yaml")
    shutil.copytree(RECIPES, tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)


def load(text: str) -> Search:
    Path("tune.yaml").write_text(text)
    return load_search()


def make_search(**changes: Any) -> Search:
    values: dict[str, Any] = YAML(typ="safe").load(GOOD)
    return Search.model_validate(values | changes)


def test_file_is_loaded() -> None:
    search = load(GOOD.replace("yaml:batch_size", "yaml:layers.conv1.filters"))
    assert search.weigh({"val_accuracy": 0.9, "val_robustness": 0.5}) == pytest.approx(0.6)
    assert math.isnan(search.weigh({"val_accuracy": 0.9, "val_robustness": None}))
    assert search.describe_objective() == "mean of val_accuracy (1) and val_robustness (3)"
    assert search.watched == "val_accuracy"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("seeds:", "seed:", r"seed: unknown key \(did you mean 'seeds'\?\)"),
        ("val_accuracy: 1", "accuracy: 1", "test images choose nothing, not 'accuracy'"),
        ("val_accuracy: 1", "val_loss: 1", "to maximize some of val_accuracy, val_robustness"),
        ("tpe", "grid", "expected `values` or a `step` for a grid"),
        ("low: 0.0001", "values: [1], low: 0.0001", "`low` and `high`, not both"),
        ("recipes/cnn.yaml:batch_size", "decode.seed", "keys such as train.seed and recipes/NAME"),
        ("seeds: [0, 1]", "", "`seeds`, or train.seed in `space`"),
        ("yaml:batch_size", "yaml:batchsize", "^tune.yaml: .*did you mean 'batch_size'"),
    ],
)
def test_refused(before: str, after: str, message: str) -> None:
    assert GOOD.count(before) == 1
    with pytest.raises(ConfigError, match=message) as raised:
        load(GOOD.replace(before, after))
    assert str(raised.value).count("\n") == 0


def test_grid_has_every_combination_once_and_a_seed_may_be_one() -> None:
    space = {
        "train.seed": {"low": 1, "high": 3},
        RATE: {"low": 0.1, "high": 0.3, "step": 0.1},
        "recipes/cnn.yaml:precision": {"values": ["float32", None]},
    }
    search = make_search(sampler="grid", seeds=None, space=space)
    points = search.list_points()
    assert len({json.dumps(point) for point in points}) == len(points) == 3 * 3 * 2
    assert {point[RATE] for point in points} == {0.1, 0.2, 0.3}
    assert search.list_seeds(points[0]) == [1]
    assert make_search().list_seeds({}) == [0, 1]


@pytest.mark.parametrize(("sampler", "count"), [("grid", 3), ("tpe", None), ("tpe", 0)])
def test_number_of_trials_that_makes_no_sense(sampler: str, count: int | None) -> None:
    search = make_search(sampler=sampler, space={"train.batch_size": {"values": [32, 64]}})
    with pytest.raises(DigitsError, match=r"^--trials: "):
        command.plan_points(search, count)


@pytest.mark.checkout
def test_own_file_is_a_search() -> None:
    """Its recipe may be gone: a user's `tune.yaml` is checked against the recipes as it is used."""
    assert load_params("", Search, ROOT / "tune.yaml").space


# Trials and workers


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of a database, whose connections are closed at the end."""
    opened: list[study.Storage] = []
    open_storage = study.open_storage

    def note(*arguments: Any) -> study.Storage:
        opened.append(open_storage(*arguments))
        return opened[-1]

    monkeypatch.setattr(study, "open_storage", note)
    yield f"sqlite:///{tmp_path}/tune.db"
    for storage in opened:
        storage.remove_session()
        storage.engine.dispose()


def make_worker(
    url: str, train: Callable[[optuna.Trial], float], count: int = 3, **changes: Any
) -> Worker:
    """Make a study, unless it is there, and a worker of it."""
    search = make_search(**changes)
    storage = study.open_storage(url, 1)
    study.create_study(storage, search, COMMIT, [{}] * count)
    own = study.open_study(storage, study.name_study(search, COMMIT))
    return Worker(own, storage, train)


def list_states(own: Worker) -> list[str]:
    return [trial.state.name for trial in study.list_trials(own.study)]


def train(trial: optuna.Trial) -> float:
    return float(trial.params[RATE])


def lose_workers(url: str, of: optuna.Study) -> None:
    """Have all heartbeats come from an hour ago, as after a kill, and somebody look."""
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("update trial_heartbeats set heartbeat = datetime('now', '-1 hour')")
        connection.commit()
    fail_stale_trials(of)


def test_study_is_made_once_and_grows(database: str) -> None:
    search, storage = make_search(), study.open_storage(database)
    for count, new in ((2, 2), (2, 0), (5, 3)):
        assert study.create_study(storage, search, COMMIT, [{}] * count) == new
    own = study.open_study(storage, "small-0123456789ab")
    assert [trial.number for trial in study.list_trials(own)] == [0, 1, 2, 3, 4]
    assert study.read_search(own) == search
    with pytest.raises(DigitsError, match=r"one of \['small-0123456789ab'\], received 'other'"):
        study.open_study(storage, "other")


def test_worker_runs_each_trial_once_or_ends_after_so_many(database: str) -> None:
    own = make_worker(database, train, 4)
    assert own.work(3) == 3
    assert list_states(own) == ["COMPLETE"] * 3 + ["WAITING"]
    assert own.work(None) == 1
    assert own.work(None) == 0
    assert list_states(own) == ["COMPLETE"] * 4


def join_crowd(url: str, name: str, start: Any) -> int:
    storage = study.open_storage(url, 30)
    own = Worker(study.open_study(storage, name), storage, lambda trial: trial.number)
    start.wait()  # until all are ready
    return own.work(None)


@pytest.mark.slow
def test_no_trial_goes_to_two_processes(database: str) -> None:
    own = make_worker(database, train, 40)
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, ProcessPoolExecutor(3, spawn) as crowd:
        arguments = database, own.study.study_name, manager.Barrier(3)
        took = [crowd.submit(join_crowd, *arguments) for _ in range(3)]
        assert sum(future.result() for future in took) == 40
    assert list_states(own) == ["COMPLETE"] * 40


# Interruptions


def test_trial_of_a_silent_worker_is_run_again_but_not_for_ever(database: str) -> None:
    own = make_worker(database, train, 1)
    for _ in range(study.MOST_RETRIES):
        own.study.ask(own.distributions)  # taken, and no heartbeat follows the first
        lose_workers(database, own.study)
    assert own.work(None) == 1
    assert list_states(own) == ["FAIL"] * study.MOST_RETRIES + ["COMPLETE"]
    first, *retries = trials = study.list_trials(own.study)
    assert all(trial.params == first.params for trial in retries)
    assert study.count_states(trials) == "1 complete, 2 lost"
    said = [study.describe_state(trial) for trial in trials]
    assert said == ["lost", "lost (retry of 0)", "complete (retry of 0)"]

    hopeless = make_worker(database, train, 2)  # a second trial, which every worker dies of
    for _ in range(study.MOST_RETRIES + 1):
        hopeless.study.ask(own.distributions)
        lose_workers(database, own.study)
    assert hopeless.work(None) == 0
    assert make_worker(database, train, 2).work(None) == 1  # `create` has enqueued it again


def test_trial_of_an_interrupted_worker_waits_again_however_often(database: str) -> None:
    for error in [KeyboardInterrupt(), DigitsError("no disk")] * study.MOST_RETRIES:
        own = make_worker(database, Mock(side_effect=error), 1)
        with pytest.raises(type(error)):
            own.work(None)
        assert list_states(own) == ["WAITING"]
    params = own.study.trials[0].params
    assert make_worker(database, train, 1).work(None) == 1
    (done,) = own.study.trials
    assert (done.value, done.params) == (params[RATE], params)


@pytest.mark.parametrize(
    ("exit_status", "said"),
    [(1, "failed: train: exit status 1"), (os.EX_IOERR, "waiting")],
    ids=["of itself", "on a full disk"],
)
def test_trial_whose_training_fails_is_tried_again_where_the_disk_was_full(
    exit_status: int, said: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Outcome(255, {"train": {"exit_status": exit_status}})
    for name, given in {"is_commit": False, "make_clone": tmp_path}.items():
        monkeypatch.setattr(objective, name, Mock(return_value=given))
    monkeypatch.setattr(objective, "run_experiment_in", Mock(return_value=outcome))
    own = make_worker(database, train, 2)
    own.objective = objective.Objective(own.study, tmp_path)
    with contextlib.nullcontext() if exit_status == 1 else pytest.raises(DigitsError):
        assert own.work(1) == 1
    first, second = study.list_trials(own.study)
    assert [study.describe_state(trial) for trial in (first, second)] == [said, "waiting"]


@pytest.mark.parametrize("ending", [None, KeyboardInterrupt], ids=["lives", "interrupted"])
def test_trial_taken_for_lost_has_one_result_though_its_worker_lives(
    ending: type[BaseException] | None, database: str
) -> None:
    ran: list[int] = []

    def train_slowly(trial: optuna.Trial) -> float:
        ran.append(trial.number)
        if len(ran) == 1:
            lose_workers(database, trial.study)
            if ending:
                raise ending
        return train(trial)

    own = make_worker(database, train_slowly, 1)
    with pytest.raises(ending) if ending else contextlib.nullcontext():
        own.work(None)
    own.work(None)
    assert ran == [0, 1]
    assert list_states(own) == ["FAIL", "COMPLETE"]


def test_heartbeats_outlive_a_database_that_fails(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = Mock(side_effect=chain([None], repeat(StorageInternalError)))

    def train_long(_: optuna.Trial) -> float:
        while beat.call_count < 4:
            time.sleep(0.01)
        return 0.5

    own = make_worker(database, train_long, 1)
    own.heartbeat_seconds = 0
    monkeypatch.setattr(own.storage, "record_heartbeat", beat)
    assert own.work(None) == 1


def test_look_that_a_restart_of_the_server_cuts_off_is_taken_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = StorageInternalError
    look = Mock(wraps=study.list_trials, side_effect=[cut, DEFAULT, cut, cut])
    own = make_worker(database, train, 1)
    monkeypatch.setattr("digits.commands.tune.worker.list_trials", look)
    assert own.work(1) == 1
    with pytest.raises(StorageInternalError):  # of a server that does not come back
        own.work(None)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://maria:geheim@127.0.0.1:1/digits?sslkey=geheim",
        "sqlite:////nowhere/x",
        "no+such://maria:geheim@host/x",
    ],
)
def test_database_that_does_not_answer_is_one_line_without_password(url: str) -> None:
    refused = pytest.raises(DigitsError, match="expected a database that answers")
    with refused as raised, study.explaining(url):
        study.open_storage(url)
    assert "geheim" not in str(raised.value)
    assert str(raised.value).count("\n") == 0


# Folders, trainings, pruning


def test_folder_of_a_dead_worker_is_removed_and_that_of_another_is_not(tmp_path: Path) -> None:
    with objective.opening_folder() as dead:
        (dead / "clone").mkdir()
        kept = tmp_path / "kept"
        shutil.copytree(dead, kept)
    assert not dead.exists()
    shutil.copytree(kept, dead)  # as a kill would have left it
    with objective.opening_folder() as own, objective.opening_folder() as other:
        assert not dead.exists()
        assert own.exists()
        assert other.exists()
    assert [path.name for path in objective.TRIALS_DIR.iterdir()] == [objective.LOCK_NAME]


def write_progress(folder: Path, accuracies: list[float], *, running: bool = True) -> None:
    rows = [[n, 0.5, 1.0, accuracy, 1.0] for n, accuracy in enumerate(accuracies, start=1)]
    for path in (HISTORY_PATH, TRAIN_METRICS_PATH):
        (folder / path).parent.mkdir(exist_ok=True)
    pd.DataFrame(rows, columns=HISTORY_COLUMNS).to_csv(folder / HISTORY_PATH, index=False)
    scores = {"val_accuracy": 0.5} | ({"epoch_count": len(rows)} if running else {})
    (folder / TRAIN_METRICS_PATH).write_text(json.dumps(scores))


@pytest.mark.parametrize(
    ("pruner", "expected"), [("median", [0.1, 0.32]), ("quartile", [0.1]), ("none", [])]
)
def test_trial_that_is_worse_than_its_share_is_pruned(
    pruner: str, expected: list[float], database: str, tmp_path: Path
) -> None:
    own = make_worker(database, train, 0, pruner=pruner, warmup_epochs=1).study
    for value in (0.2, 0.3, 0.4, 0.5, 0.6):
        trial = own.ask()
        trial.report(value, 2)
        own.tell(trial, value)
    pruned = []
    for value in (0.1, 0.32, 0.48, 0.52):
        watch = objective.PruningCallback(own.ask(), tmp_path, "val_accuracy")
        write_progress(tmp_path, [0.0, 0.0], running=False)  # as the commit has them
        watch()
        write_progress(tmp_path, [0.0])
        watch()  # too early
        watch()  # nothing new
        write_progress(tmp_path, [0.0, value])
        try:
            watch()
        except optuna.TrialPruned:
            pruned.append(value)
        assert own.trials[-1].intermediate_values == {1: 0.0, 2: value}
    assert pruned == expected


# What is said and drawn


RUN = f"dvc exp run -S train.recipe=cnn_optdigits -S {RATE}=0.012345 train"


@pytest.mark.parametrize(
    ("head", "here", "push", "advice"),
    [
        (COMMIT, True, None, "dvc exp apply {}"),
        (COMMIT, False, "origin", "dvc exp pull origin {0} && dvc exp apply {0}"),
        (COMMIT, False, None, RUN),
        ("f" * 40, True, None, RUN),
    ],
)
def test_winner_is_taken_over_by_one_command(
    head: str, *, here: bool, push: str | None, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ask_git", lambda *_: head)
    monkeypatch.setattr(command, "is_commit", lambda _: here)
    search = make_search(push=push).model_dump()
    study_facts = {"search": search, "commit": COMMIT, "token": "small-ab12"}
    own: Any = SimpleNamespace(user_attrs=study_facts)
    trial: Any = SimpleNamespace(number=3, params={RATE: 0.012345})
    assert command.advise(own, trial) == advice.format("small-ab12-3-0")


def test_pictures_are_drawn_by_optuna(database: str) -> None:
    own = make_worker(database, lambda _: 0.5, 1)
    own.work(None)
    assert [path.name for path in plots.draw_study(own.study, "x")] == ["history.png"]
    make_worker(database, train, 6).work(None)
    drawn = plots.draw_study(own.study, "x")
    assert [path.name for path in drawn] == ["history.png", "importance.png"]
    assert all(path.is_file() for path in drawn)
