"""`make tune` without trainings: its file, its tickets, who gets them, what is said and drawn."""

import contextlib
import json
import math
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import optuna
import pandas as pd
import pytest
import remotes
from imports import ROOT
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from PIL import Image
from projects import PARAMS_PATH, RECIPES
from ruamel.yaml import YAML

from digits.commands import study as studies
from digits.commands import study_figures, trials, tune
from digits.commands.search import Search, SearchError, load_search
from digits.commands.study import (
    BEGUN,
    ERROR,
    MOST_LOSSES,
    POINT,
    TICKET,
    StudyError,
    Worker,
)
from digits.commands.tune import TuneError
from digits.config import ConfigError
from digits.evaluation.plotting import write_figure
from digits.files import HISTORY_COLUMNS
from digits.paths import DVC_YAML_PATH, HISTORY_PATH, TRAIN_METRICS_PATH

COMMIT = "0123456789abcdef0123456789abcdef01234567"
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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which has parameters."""
    shutil.copy(PARAMS_PATH, tmp_path / "params.yaml")
    shutil.copytree(RECIPES, tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str) -> Search:
    Path("tune.yaml").write_text(text)
    return load_search()


def make_search(**changes: Any) -> Search:
    values: dict[str, Any] = YAML(typ="safe").load(GOOD)
    return Search.model_validate(values | changes)


@pytest.mark.usefixtures("folder")
def test_file_is_loaded() -> None:
    search = load(GOOD)
    assert search.weigh({"val_accuracy": 0.9, "val_robustness": 0.5}) == pytest.approx(0.6)
    assert math.isnan(search.weigh({"val_accuracy": 0.9, "val_robustness": None}))
    assert search.watched == "val_accuracy"


def test_seeds_are_of_every_trial_or_each_a_trial() -> None:
    assert make_search().list_seeds({"train.batch_size": 32}) == [0, 1]
    values = {"train.seed": {"values": [3, 4]}}
    search = make_search(sampler="grid", seeds=None, space=values)
    assert [search.list_seeds(point) for point in search.list_points()] == [[3], [4]]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("seeds:", "seed:", r"seed: unknown key \(did you mean 'seeds'\?\)"),
        ("val_accuracy: 1", "accuracy: 1", "test images choose nothing, not 'accuracy'"),
        ("val_accuracy: 1", "val_acuracy: 1", r"did you mean 'val_accuracy'\?"),
        ("val_accuracy: 1", "val_loss: 1", "expected val_loss alone"),
        ("val_accuracy: 1", "val_accuracy: 0", "val_accuracy: expected greater than 0"),
        ("maximize", "minimize", "expected 'maximize' with val_accuracy"),
        ("[0, 1]", "[1, 1]", "seeds: expected entries that differ"),
        ("[0, 1]", "['0']", "expected a valid integer, received '0'"),
        ("tpe", "random", "sampler: expected 'tpe' or 'grid'"),
        (
            "tpe",
            "grid",
            "or a `step` of recipes/cnn.yaml:optimizer.learning_rate",
        ),
        ("name: small", "name: a-b", "name: expected"),
        ("low: 0.0001", "low: 0.5", "expected `values`, or a `low` below a `high`"),
        ("low: 0.0001", "low: 0.0", "expected a `low` above 0 and no `step`"),
        ("low: 0.0001", "values: [1], low: 0.0001", "`low` and `high`, not both"),
        ("values: [32, 64]", "low: 1, high: 3, step: 0.5", "a whole `step` between whole numbers"),
        ("values: [32, 64]", "values: [32, 32]", "expected entries that differ"),
        ("values: [32, 64]", "values: ['a,b']", "expected texts of letters"),
        ("values: [32, 64]", "valves: [32, 64]", "valves: unknown key"),
        ("recipes/cnn.yaml:batch_size", "decode.seed", "keys such as train.seed and recipes/NAME"),
        (
            "recipes/cnn.yaml:batch_size",
            "train.seed",
            "`seeds`, or train.seed in `space`, and not both",
        ),
        ("seeds: [0, 1]", "", "`seeds`, or train.seed in `space`, and not both"),
        ("train.recipe: cnn_optdigits", "train.seed: 1", "than train.seed, which `seeds` sets"),
        ("recipes/cnn.yaml:batch_size", "train.recipe", "expected other keys than `settings` has"),
        (
            "yaml:batch_size",
            "yaml:batchsize",
            r"no 'batchsize' there \(did you mean 'batch_size'",
        ),
        ("yaml:batch_size", "yaml:layers.conv9.filters", "no 'conv9' there"),
        (
            "cnn.yaml:batch_size",
            "cmn.yaml:batch_size",
            r"a file that is there, received recipes/cmn\.yaml",
        ),
    ],
)
def test_refused(before: str, after: str, message: str) -> None:
    assert GOOD.count(before) == 1
    with pytest.raises(ConfigError, match=message) as raised:
        load(GOOD.replace(before, after))
    assert str(raised.value).count("\n") == 0
    assert str(raised.value).startswith("tune.yaml: ")


@pytest.mark.usefixtures("folder")
def test_key_leads_to_a_layer() -> None:
    load(GOOD.replace("yaml:batch_size", "yaml:layers.conv1.filters"))


@pytest.mark.usefixtures("folder")
def test_missing_file_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"tune\.yaml: expected a file, received none"):
        load_search()


def test_grid_has_every_combination_once() -> None:
    space = {
        "train.threads": {"low": 1, "high": 3},
        "train.rate": {"low": 0.1, "high": 0.3, "step": 0.1},
        "recipes/cnn.yaml:precision": {"values": ["float32", None]},
    }
    points = make_search(sampler="grid", space=space).list_points()
    assert len({json.dumps(point) for point in points}) == len(points) == 3 * 3 * 2
    assert {point["train.threads"] for point in points} == {1, 2, 3}
    assert {point["train.rate"] for point in points} == {0.1, 0.2, 0.3}


def test_grid_beyond_reason_is_refused() -> None:
    space = {f"train.{name}": {"low": 0, "high": 999} for name in "ab"}
    with pytest.raises(SearchError, match="expected fewer points than 1,000,000"):
        make_search(sampler="grid", space=space).list_points()


@pytest.mark.parametrize(
    ("sampler", "count", "message"),
    [("grid", 3, "the grid has 2"), ("tpe", None, "gives no grid"), ("tpe", 0, "a number")],
)
def test_number_of_trials_that_makes_no_sense(
    sampler: str, count: int | None, message: str
) -> None:
    search = make_search(sampler=sampler, space={"train.batch_size": {"values": [32, 64]}})
    with pytest.raises(TuneError, match=message):
        tune.plan_points(search, count)


@pytest.mark.checkout
def test_own_file_is_loaded_and_no_stage_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    try:
        assert load_search().space
    except ConfigError as error:  # the recipe that it searches may be gone
        assert "a key of a file that is there" in str(error)  # noqa: PT017
    assert "tune" not in DVC_YAML_PATH.read_text()


# Tickets


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of a database, whose connections are closed at the end."""
    opened: list[RDBStorage] = []
    open_storage = studies.open_storage

    def note(*arguments: Any) -> RDBStorage:
        opened.append(open_storage(*arguments))
        return opened[-1]

    monkeypatch.setattr(studies, "open_storage", note)
    yield f"sqlite:///{tmp_path}/tune.db"
    for storage in opened:
        storage.remove_session()
        storage.engine.dispose()


def open_study(url: str, count: int = 3, **changes: Any) -> Study:
    search = make_search(**changes)
    storage = studies.open_storage(url, 1)
    points = search.list_points() if search.sampler == "grid" else [{}] * count
    studies.create_study(storage, search, COMMIT, points)
    study = studies.open_study(storage, studies.name_study(search, COMMIT), search)
    study.set_user_attr("url", url)
    return study


def make_worker(study: Study, train: Callable[[optuna.Trial], float]) -> Worker:
    url = str(study.user_attrs["url"])
    return Worker(study, studies.open_storage(url, 1), train)


def train(trial: optuna.Trial) -> float:
    return trial.suggest_float("train.learning_rate", 0.1, 0.2)


def group(study: Study) -> list[list[FrozenTrial]]:
    return [*studies.group_by_ticket(study.trials).values()]


def assert_each_once(study: Study) -> None:
    for trials_of_one in group(study):
        states = [it.state for it in trials_of_one]
        assert states.count(TrialState.COMPLETE) == 1, states
        assert set(states) <= {TrialState.COMPLETE, TrialState.FAIL}


def test_study_is_made_once_and_grows(database: str) -> None:
    search, storage = make_search(), studies.open_storage(database)
    for count, new in ((2, 2), (2, 0), (5, 3)):
        assert studies.create_study(storage, search, COMMIT, [{}] * count) == new
    study = studies.open_study(storage, "small-0123456789ab")
    assert sorted(studies.group_by_ticket(study.trials)) == [0, 1, 2, 3, 4]
    assert re.fullmatch("small-[0-9a-f]{4}", study.user_attrs["token"])
    assert studies.read_search(study) == search


def test_unknown_study_is_named_with_those_that_are_there(database: str) -> None:
    open_study(database)
    with pytest.raises(StudyError, match=r"one of \['small-0123456789ab'\], received 'other'"):
        studies.open_study(studies.open_storage(database), "other")


def test_worker_runs_each_ticket_once(database: str) -> None:
    study = open_study(database, 4)
    worker = make_worker(study, train)
    worker.work(None)
    assert worker.count == 4
    assert_each_once(study)
    worker.work(None)
    assert worker.count == 4


def test_worker_ends_after_so_many(database: str) -> None:
    study = open_study(database, 4)
    make_worker(study, train).work(3)
    states = Counter(it.state for it in study.trials)
    assert states == {TrialState.COMPLETE: 3, TrialState.WAITING: 1}


def test_grid_sets_the_parameters(database: str) -> None:
    space = {"train.batch_size": {"values": [32, 64]}}
    study = open_study(database, sampler="grid", space=space)
    dimension = studies.read_search(study).space["train.batch_size"]
    make_worker(study, lambda it: cast("float", dimension.suggest(it, "train.batch_size"))).work(
        None
    )
    assert [it.value for it in study.trials] == [32, 64]


CROWD = """
import sys
from digits.commands import study as studies

url, name = sys.argv[1:]
study = studies.open_study(studies.open_storage(url), name)
print("ready", flush=True)
sys.stdin.read()  # until all are
while studies.TICKET in (trial := study.ask()).user_attrs:
    print("took", trial.user_attrs[studies.TICKET])
"""


def run_crowd(url: str, study: Study, count: int) -> list[str]:
    """Have so many processes take what there is, all at once; return the tickets that they got."""
    command = [sys.executable, "-W", "ignore", "-c", CROWD, url, study.study_name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment,
                    cwd=Path.cwd(),
                    text=True,
                )
            )
            for _ in range(count)
        ]
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.close()
        outputs = [process.stdout.read() for process in processes if process.stdout]
    assert [process.returncode for process in processes] == [0] * count
    return re.findall(r"took (\d+)", "".join(outputs))


def test_no_ticket_goes_to_two_processes(database: str) -> None:
    study = open_study(database, 40)
    assert sorted(map(int, run_crowd(database, study, 3))) == list(range(40))


# What is broken off


LONELY = """
import sys
import optuna
from digits.commands import study as studies

url, name = sys.argv[1:]
def train(trial):
    trial.suggest_float("train.learning_rate", 0.1, 0.2)
    print("begun", flush=True)
    sys.stdin.read()  # until it is killed
storage = studies.open_storage(url, 1)
studies.Worker(studies.open_study(storage, name), storage, train).work(None)
"""


def test_trial_of_a_killed_worker_goes_to_another(database: str) -> None:
    study = open_study(database, 1)
    command = [sys.executable, "-W", "ignore", "-c", LONELY, database, study.study_name]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, cwd=Path.cwd(), **pipes) as worker:
        assert worker.stdout
        assert worker.stdout.readline() == b"begun\n"
        worker.kill()
    make_worker(study, train).work(None)
    assert_each_once(study)
    lost, run = group(study)[0]
    assert lost.state is TrialState.FAIL
    assert lost.params == run.params


def interrupt(_: optuna.Trial) -> float:
    raise KeyboardInterrupt


def test_interrupted_trial_waits_again_however_often(database: str) -> None:
    study = open_study(database, 1)
    for _ in range(MOST_LOSSES + 1):
        with pytest.raises(KeyboardInterrupt):
            make_worker(study, interrupt).work(None)
        assert group(study)[0][-1].state is TrialState.WAITING
    make_worker(study, train).work(None)
    assert_each_once(study)


def test_parameters_of_a_trial_that_was_broken_off_are_kept(database: str) -> None:
    study = open_study(database, 1)
    chosen: list[float] = []

    def choose(trial: optuna.Trial) -> float:
        chosen.append(train(trial))
        if len(chosen) == 1:
            raise KeyboardInterrupt
        return chosen[-1]

    with pytest.raises(KeyboardInterrupt):
        make_worker(study, choose).work(None)
    make_worker(study, choose).work(None)
    assert chosen[0] == chosen[1]


def test_worker_that_cannot_run_a_trial_ends_and_the_trial_waits(database: str) -> None:
    study = open_study(database, 1)

    def fail(_: optuna.Trial) -> float:
        raise trials.TrialError("no disk")

    for _ in range(MOST_LOSSES):
        with pytest.raises(trials.TrialError):
            make_worker(study, fail).work(None)
    # What ends each worker is no longer handed out.
    make_worker(study, fail).work(None)
    assert tune.describe_state(group(study)[0]) == "lost"


def test_trial_that_fails_by_itself_is_not_tried_again(database: str) -> None:
    study = open_study(database, 2)

    def diverge(trial: optuna.Trial) -> float:
        if trial.user_attrs[TICKET] == 0:
            trials.fail(trial, "train: exit status 1")
        return train(trial)

    make_worker(study, diverge).work(None)
    first, second = group(study)
    assert tune.describe_state(first) == "failed: train: exit status 1"
    assert len(first) == 1
    assert second[0].state is TrialState.COMPLETE


def test_trial_taken_for_lost_has_one_result_though_its_worker_lives(database: str) -> None:
    study = open_study(database, 1)
    ran: list[int] = []

    def train_slowly(trial: optuna.Trial) -> float:
        if not ran:  # what a worker does that meets it without heartbeats for too long
            study.tell(trial.number, state=TrialState.FAIL)
            studies.put_back(study, study.get_trials())
        ran.append(trial.number)
        return train(trial) if len(ran) > 1 else 0.5

    make_worker(study, train_slowly).work(None)
    assert len(ran) == 2
    assert_each_once(study)


def test_interrupt_ends_a_worker_whose_trial_was_taken_for_lost(database: str) -> None:
    study = open_study(database, 1)

    def lose(trial: optuna.Trial) -> float:
        study.tell(trial.number, state=TrialState.FAIL)
        raise KeyboardInterrupt

    worker = make_worker(study, lose)
    with pytest.raises(KeyboardInterrupt):
        worker.work(None)
    assert worker.count == 1
    assert group(study)[0][-1].state is TrialState.WAITING


def test_trial_that_was_never_begun_is_taken_by_another(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker was killed before the first heartbeat: Optuna would let it run for ever."""
    study = open_study(database, 1)
    with pytest.warns(UserWarning, match="supposed to be used with"):
        study.ask()
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(
        studies, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    )
    make_worker(study, train).work(None)
    assert_each_once(study)


def test_trial_has_a_heartbeat_before_it_is_begun(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of Optuna's thread may come later than a kill, and none at all is waited for."""
    record = RDBStorage.record_heartbeat
    monkeypatch.setattr(
        RDBStorage,
        "record_heartbeat",
        lambda *it: record(*it) if threading.current_thread() is threading.main_thread() else None,
    )
    counts: list[int] = []

    def count(trial: optuna.Trial) -> float:
        assert BEGUN in trial.user_attrs
        path = database.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            counts.extend(connection.execute("select count(*) from trial_heartbeats").fetchone())
        return train(trial)

    make_worker(open_study(database, 1), count).work(None)
    assert counts == [1]


def test_ticket_that_was_put_back_twice_runs_once(database: str) -> None:
    study = open_study(database, 1)
    for _ in range(2):
        studies.enqueue(study, 0, {})
    worker = make_worker(study, train)
    worker.work(None)
    assert worker.count == 1
    assert_each_once(study)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], True),
        ([(TrialState.FAIL, {})], True),
        ([(TrialState.FAIL, {ERROR: "x"})], False),
        ([(TrialState.COMPLETE, {})], False),
        ([(TrialState.PRUNED, {})], False),
        ([(TrialState.RUNNING, {})], False),
        ([(TrialState.WAITING, {})], True),
    ],
)
def test_rival_decides(states: list[tuple[TrialState, dict[str, Any]]], *, expected: bool) -> None:
    rivals = [make_trial(n, state, **attributes) for n, (state, attributes) in enumerate(states)]
    assert studies.may_run(5, [*rivals, make_trial(5, TrialState.RUNNING)]) == expected


def make_trial(
    number: int, state: TrialState, value: float | None = None, ticket: int = 0, **attributes: Any
) -> FrozenTrial:
    if state is TrialState.COMPLETE and value is None:
        value = 0.5
    trial = optuna.create_trial(
        state=state,
        value=value,
        params={"train.batch_size": 32},
        distributions={"train.batch_size": optuna.distributions.CategoricalDistribution((32, 64))},
        user_attrs={TICKET: ticket, POINT: {}, **attributes},
    )
    trial.number = number
    return trial


def test_later_rival_does_not_decide() -> None:
    mine, later = make_trial(1, TrialState.RUNNING), make_trial(2, TrialState.RUNNING)
    assert studies.may_run(1, [mine, later])
    assert not studies.may_run(2, [mine, later])


# The database


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://maria:geheim@{}/digits?sslkey=geheim", "sqlite:////nowhere/{}"]
)
def test_database_that_does_not_answer_is_one_line_without_password(url: str) -> None:
    dead = f"{remotes.HOST}:{remotes.choose_port()}"
    with pytest.raises(StudyError, match="expected a database that answers") as raised:
        studies.open_storage(url.format(dead))
    assert "geheim" not in str(raised.value)
    assert str(raised.value).count("\n") == 0


@pytest.mark.parametrize("url", ["geheim", "no+such://maria:geheim@host/x"])
def test_address_that_is_none_is_one_line_without_password(url: str) -> None:
    with pytest.raises(StudyError) as raised:
        studies.open_storage(url)
    assert ":geheim" not in str(raised.value)


# Folders of the workers


def test_folder_of_a_dead_worker_is_removed_and_that_of_another_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with trials.opening_folder() as dead:
        (dead / "clone").mkdir()
        kept = tmp_path / "kept"
        shutil.copytree(dead, kept)
    assert not dead.exists()
    shutil.copytree(kept, dead)  # as a kill would have left it
    with trials.opening_folder() as own, trials.opening_folder() as other:
        assert not dead.exists()
        assert own.exists()
        assert other.exists()
    assert [it.name for it in trials.TRIALS_DIR.iterdir()] == [trials.LOCK_NAME]


# Pruning


def write_progress(folder: Path, accuracies: list[float], *, running: bool = True) -> None:
    rows = [[n, 0.5, 1.0, accuracy, 1.0] for n, accuracy in enumerate(accuracies, start=1)]
    for path in (HISTORY_PATH, TRAIN_METRICS_PATH):
        (folder / path).parent.mkdir(exist_ok=True)
    pd.DataFrame(rows, columns=HISTORY_COLUMNS).to_csv(folder / HISTORY_PATH, index=False)
    scores = {"val_accuracy": 0.5} | ({"epoch_count": len(rows)} if running else {})
    (folder / TRAIN_METRICS_PATH).write_text(json.dumps(scores))


def test_epochs_are_read_while_the_training_runs(tmp_path: Path) -> None:
    assert trials.read_epochs(tmp_path, "val_accuracy") == []
    write_progress(tmp_path, [0.1, 0.2], running=False)  # as the commit has them
    assert trials.read_epochs(tmp_path, "val_accuracy") == []
    write_progress(tmp_path, [0.1, 0.2])
    assert trials.read_epochs(tmp_path, "val_accuracy") == [(1, 0.1), (2, 0.2)]


def test_hopeless_trial_is_pruned_after_its_first_epochs(tmp_path: Path) -> None:
    pruner = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=3)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    write_progress(tmp_path, [0.5, 0.6, 0.7])
    for _ in range(2):
        trial = study.ask()
        trials.Watch(trial, tmp_path, "val_accuracy")()
        study.tell(trial, 0.7)
    trial = study.ask()
    watch = trials.Watch(trial, tmp_path, "val_accuracy")
    write_progress(tmp_path, [0.1])
    watch()  # too early
    watch()  # nothing new
    write_progress(tmp_path, [0.1, 0.1, 0.1])
    with pytest.raises(optuna.TrialPruned, match="after epoch 3"):
        watch()
    assert study.trials[-1].intermediate_values == {1: 0.1, 2: 0.1, 3: 0.1}
    hopeful = study.ask()
    write_progress(tmp_path, [0.6, 0.7, 0.8])
    trials.Watch(hopeful, tmp_path, "val_accuracy")()


@pytest.mark.parametrize(
    ("pruner", "ended"),
    [("median", [0.1, 0.32]), ("quartile", [0.1]), ("none", [])],
)
def test_pruner_ends_what_is_worse_than_its_share(
    pruner: str, ended: list[float], database: str
) -> None:
    search, storage = make_search(pruner=pruner, warmup_epochs=1), studies.open_storage(database)
    studies.create_study(storage, search, COMMIT, [])
    study = studies.open_study(storage, studies.name_study(search, COMMIT), search)
    for value in (0.2, 0.3, 0.4, 0.5, 0.6):
        trial = study.ask()
        trial.report(value, 2)
        study.tell(trial, value)
    pruned = []
    for value in (0.1, 0.32, 0.48, 0.52):
        trial = study.ask()
        trial.report(0.0, 1)
        assert not trial.should_prune()
        trial.report(value, 2)
        if trial.should_prune():
            pruned.append(value)
    assert pruned == ended


# What is said


def test_table_has_a_row_a_ticket() -> None:
    table = tune.tabulate_trials(
        [
            make_trial(0, TrialState.FAIL),
            make_trial(1, TrialState.COMPLETE, 0.75, ticket=1),
            make_trial(2, TrialState.WAITING, ticket=2),
            make_trial(3, TrialState.COMPLETE, 0.5),
            make_trial(4, TrialState.FAIL, returned=True),
            make_trial(5, TrialState.RUNNING, ticket=3, begun="here, process 1"),
            make_trial(6, TrialState.FAIL, ticket=4, error="too bad"),
        ]
    )
    assert [row[:3] for row in table] == [
        ("0", "complete", "0.500000"),
        ("1", "complete", "0.750000"),
        ("2", "waiting", ""),
        ("3", "running: here, process 1", ""),
        ("4", "failed: too bad", ""),
    ]
    assert {row[3] for row in table} == {"batch_size=32"}


def test_parameters_are_said_in_short() -> None:
    point = {"x.yaml:a.strength": 0.123456, "x.yaml:b.strength": 1, "x.yaml:rate": 1e-05}
    assert tune.summarize(point) == "a.strength=0.1235\nb.strength=1\nrate=1e-05"
    # None of them is told apart by its end, or by a part of a word.
    assert tune.summarize({"rate": 1, "dropout.rate": 2, "a.xrate": 3}) == (
        "rate=1\ndropout.rate=2\nxrate=3"
    )


@pytest.mark.parametrize(
    ("head", "here", "push", "advice"),
    [
        (COMMIT, True, None, "dvc exp apply {}"),
        (COMMIT, False, "origin", "dvc exp pull origin {0} && dvc exp apply {0}"),
        (
            COMMIT,
            False,
            None,
            "dvc exp run -S train.recipe=cnn_optdigits -S train.batch_size=32 train",
        ),
        (
            "f" * 40,
            True,
            None,
            "dvc exp run -S train.recipe=cnn_optdigits -S train.batch_size=32 train",
        ),
    ],
)
def test_winner_is_taken_over_by_one_command(
    head: str, *, here: bool, push: str | None, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "ask_git", lambda *_: head)
    monkeypatch.setattr(tune, "is_commit", lambda _: here)
    search = make_search(push=push).model_dump()
    study = SimpleNamespace(user_attrs={"search": search, "commit": COMMIT, "token": "small-ab12"})
    trial = make_trial(7, TrialState.COMPLETE, 0.9, ticket=3)
    assert tune.advise(cast("Study", study), trial) == advice.format("small-ab12-3-0")


# What is drawn


def test_pictures_are_drawn_by_optuna(database: str, tmp_path: Path) -> None:
    study = open_study(database, 6)
    rates = iter(np.geomspace(0.001, 0.1, 6))

    def train_two(trial: optuna.Trial) -> float:
        trial.suggest_categorical("train.batch_size", [32, 64])
        return float(next(rates)) + trial.suggest_float("train.learning_rate", 0.001, 0.1)

    make_worker(study, train_two).work(None)
    figures = study_figures.draw_study(study, "val_accuracy")
    assert list(figures) == ["history", "importance"]
    for name, figure in figures.items():
        write_figure(tmp_path / f"{name}.png", figure)
        image = np.asarray(Image.open(tmp_path / f"{name}.png"))
        assert image.std() > 10  # something is drawn
        assert study.study_name in figure.get_suptitle()


def test_study_without_a_difference_has_one_picture(database: str) -> None:
    study = open_study(database, 1)
    make_worker(study, train).work(None)
    assert list(study_figures.draw_study(study, "val_accuracy")) == ["history"]
