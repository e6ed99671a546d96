"""The ledger of the leaderboard's runs: whole, readable by others, and a line a run."""

from pathlib import Path

import pandas as pd
import pytest
from runs import make_run

from digits.evaluation import ledger
from digits.evaluation.ledger import LEDGER_PATH, LedgerError

RUNS = [make_run("big", 0, 3), make_run("big", 1, 4), make_run("small", 0, 9)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_runs_survive_the_disk_a_line_each() -> None:
    assert ledger.load_ledger() == []
    ledger.write_ledger(reversed(RUNS))
    assert ledger.load_ledger() == RUNS
    lines = LEDGER_PATH.read_text().splitlines()
    assert len(lines) == 2 + len(RUNS)
    text = LEDGER_PATH.read_bytes()
    ledger.write_ledger(ledger.load_ledger())
    assert LEDGER_PATH.read_bytes() == text
    table = pd.read_json(LEDGER_PATH)  # as others do
    assert table["errors"].map(len).tolist() == table["error_count"].tolist() == [3, 4, 9]


def test_ledger_that_was_cut_or_has_a_conflict_is_refused() -> None:
    ledger.write_ledger(RUNS)
    text = LEDGER_PATH.read_text().strip()
    ends = [position for position, letter in enumerate(text) if letter == "\n"]
    cut = [text[:end] for end in (0, 9, len(text) // 2, len(text) - 1, *ends)]
    for damaged in (*cut, text.replace("\n", "\n<<<<<<< HEAD\n", 1)):
        LEDGER_PATH.write_text(damaged)
        with pytest.raises(LedgerError, match=r"was cut or has a conflict .* `git checkout "):
            ledger.load_ledger()


def test_machine_is_described() -> None:
    assert ledger.describe_machine().cores >= 1
