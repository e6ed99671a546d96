"""The ledger of the leaderboard's runs: whole, in itself consistent, and a line a run."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from runs import make_run

from digits.commands.leaderboard import ledger
from digits.commands.leaderboard.ledger import LEDGER_PATH, LedgerError, Run

RUNS = [make_run("big", 0, 3), make_run("big", 1, 4), make_run("small", 0, 9)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_survive_the_disk_a_line_each() -> None:
    assert ledger.load_ledger() == []
    ledger.write_ledger(reversed(RUNS))
    assert ledger.load_ledger() == RUNS
    lines = LEDGER_PATH.read_text().splitlines()
    assert [lines[0], lines[-1]] == ["[", "]"]
    assert len(lines) == 2 + len(RUNS)
    text = LEDGER_PATH.read_bytes()
    ledger.write_ledger(ledger.load_ledger())
    assert LEDGER_PATH.read_bytes() == text


def test_everything_is_there_for_others_to_compute_with() -> None:
    ledger.write_ledger(RUNS)
    table = pd.read_json(LEDGER_PATH)
    assert table["errors"].map(len).tolist() == table["error_count"].tolist() == [3, 4, 9]
    assert RUNS[0].right.sum() == 97


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_cut_ledger_is_refused(share: float) -> None:
    ledger.write_ledger(RUNS)
    text = LEDGER_PATH.read_text().strip()
    LEDGER_PATH.write_text(text[: int(share * len(text))])
    with pytest.raises(LedgerError, match=r"a file that was cut or damaged .* `git checkout "):
        ledger.load_ledger()


def test_ledger_cut_between_two_lines_is_refused() -> None:
    ledger.write_ledger(RUNS)
    lines = LEDGER_PATH.read_text().splitlines(keepends=True)
    for count in range(len(lines) - 1):
        LEDGER_PATH.write_text("".join(lines[:count]))
        with pytest.raises(LedgerError):
            ledger.load_ledger()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"error_count": 4}, "accuracy of 4 errors in 100 images, not 0.97"),
        ({"accuracy": 0.99}, "accuracy of 3 errors in 100 images, not 0.99"),
        ({"val_error_count": 2}, "val_accuracy of 2 errors in 50 images, not 0.98"),
        ({"error_count": 101, "accuracy": 0.0}, "accuracy of 101 errors in 100 images"),
        ({"errors": [0, 1]}, "3 errors, not 2"),
        ({"errors": [0, 1, 100]}, "errors that rise, each below 100"),
        ({"errors": [0, 2, 1]}, "errors that rise"),
        ({"errors": [0, 1, 1]}, "errors that rise"),
        ({"errors": [-1, 1, 2]}, "errors"),
        ({"accuracy": None}, "accuracy"),
        ({"inputs": "abc"}, "inputs"),
        ({"model": "abc"}, "model"),
        ({"precision": "float8"}, "precision"),
        ({"date": "yesterday"}, "date"),
        ({"surplus": 1}, "surplus"),
        ({"recipe": "a\nb"}, "recipe"),
    ],
)
def test_run_that_contradicts_itself_is_refused(changes: dict[str, Any], reason: str) -> None:
    rows = [RUNS[1].model_dump(), RUNS[0].model_dump() | changes]
    LEDGER_PATH.parent.mkdir()
    LEDGER_PATH.write_text(json.dumps(rows))
    with pytest.raises(LedgerError) as raised:
        ledger.load_ledger()
    line = str(raised.value)
    assert line.startswith(f"{LEDGER_PATH}: run 2: ")
    assert reason in line
    assert line.isprintable()


@pytest.mark.parametrize("text", ["{}", "3", "null", '["run"]'])
def test_other_json_is_refused(text: str) -> None:
    LEDGER_PATH.parent.mkdir()
    LEDGER_PATH.write_text(text)
    with pytest.raises(LedgerError, match=r"^benchmarks/ledger\.json: .*expected"):
        ledger.load_ledger()


@pytest.mark.parametrize("value", [0.99, 0.97])
def test_value_that_is_said_twice_is_refused(value: float) -> None:
    ledger.write_ledger(RUNS)
    text = LEDGER_PATH.read_text()
    LEDGER_PATH.write_text(text.replace('"seed": 0', f'"accuracy": {value}, "seed": 0', 1))
    with pytest.raises(LedgerError, match=r"'accuracy' twice in a run.*`git checkout ") as raised:
        ledger.load_ledger()
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (RUNS[0].model_copy(update={"seed": 7}), "one run of each inputs, received 2"),
        (make_run("big", 8, 4, model=RUNS[0].model), "one result of the model"),
        (make_run("big", 8, 3, model=RUNS[0].model, parameter_count=7), "one result of the model"),
        (
            make_run("big", 8, 4, image_count=50, accuracy=0.92),
            r"one number of test images, received \[50, 100\]",
        ),
    ],
)
def test_runs_that_contradict_each_other_are_refused(other: Run, reason: str) -> None:
    with pytest.raises(LedgerError, match=reason):
        ledger.check_runs([*RUNS, other])


def test_same_model_of_changed_code_is_no_contradiction() -> None:
    ledger.check_runs([*RUNS, RUNS[0].model_copy(update={"inputs": "f" * 64})])


def test_run_takes_the_place_of_the_one_of_its_inputs() -> None:
    again = RUNS[0].model_copy(update={"training_seconds": 99.0})
    assert ledger.add_run(RUNS, again) == [RUNS[1], RUNS[2], again]
    other = make_run("big", 0, 3, inputs="f" * 64, model="e" * 32)
    assert ledger.add_run(RUNS, other) == [*RUNS, other]  # of other code: no row is lost


def test_restored_run_keeps_the_time_of_its_model_only() -> None:
    untimed = {"training_seconds": None, "training_cpu_seconds": None, "date": "2026-02-01"}
    restored = RUNS[0].model_copy(update=untimed)
    assert ledger.add_run(RUNS, restored)[-1] == RUNS[0]
    other = restored.model_copy(update={"model": "e" * 32})
    assert ledger.add_run(RUNS, other)[-1] == other
