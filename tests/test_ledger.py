"""The ledger of the leaderboard's runs: whole, readable by others, and a line a run."""

from pathlib import Path

import pandas as pd
import pytest
from runs import make_run

from digits.errors import DigitsError
from digits.evaluation.ledger import LEDGER_PATH, load_ledger, write_ledger

RUNS = [make_run("big", 0, 3), make_run("big", 1, 4), make_run("small", 0, 9)]


def test_runs_survive_the_disk_a_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_ledger() == []
    write_ledger(reversed(RUNS))
    assert load_ledger() == RUNS
    text = LEDGER_PATH.read_text()
    assert len(text.splitlines()) == 2 + len(RUNS)
    table = pd.read_json(LEDGER_PATH)  # as others do
    assert table["errors"].map(len).tolist() == table["error_count"].tolist() == [3, 4, 9]
    for damaged in (text[: len(text) // 2], text.replace("\n", "\n<<<<<<< HEAD\n", 1)):
        LEDGER_PATH.write_text(damaged)
        with pytest.raises(DigitsError, match=r"was cut or has a conflict .* `git checkout "):
            load_ledger()
