"""The commands around the DAG: how they start, how they end, what they say."""

import json
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from imports import ENVIRONMENT
from samples import spec

from digits import stage
from digits.cli import COMMANDS, main
from digits.commands import experiments
from digits.errors import DigitsError


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_needs_no_project(
    name: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["digits", *([name] if name else []), "--help"])
    with pytest.raises(SystemExit, match="0"):
        main()
    said = capsys.readouterr().out
    for listed, summary in COMMANDS.items() if name is None else [(name, COMMANDS[name])]:
        assert re.search(rf"{listed}\b(.|\n)*{re.escape(summary)}\n", said)


def test_closed_pipe_ends_quietly() -> None:
    """As `digits compare | head -1` does when `head` has enough."""
    code = "from digits.errors import run_main as run; exit(run(lambda: print('line' * 100_000)))"
    line = f'{{ "{sys.executable}" -c "{code}"; echo $? >&2; }} | true'
    done = subprocess.run(["sh", "-c", line], env=ENVIRONMENT, capture_output=True, check=True)
    assert done.stderr == b"141\n"


def test_stages_write_a_line_each_where_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    monkeypatch.setenv(stage.JOURNAL_VARIABLE, str(path))

    def fail() -> None:
        raise DigitsError("expected a, received b")

    for name, run in (("decode", lambda: None), ("train", fail)):
        monkeypatch.setattr(sys, "argv", [f"/somewhere/pipeline/{name}.py"])
        with pytest.raises(SystemExit):
            stage.run(run)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(0 <= line[key] < 60 for line in lines for key in ("seconds", "cpu_seconds"))
    found = [(line["stage"], line["exit_status"]) for line in lines]
    assert found == [("decode", 0), ("train", 1)]


# The table of the experiments


def make_run(rev: str, name: str, values: dict[str, Any], **train: Any) -> dict[str, Any]:
    """Return a commit or an experiment as `dvc exp show --json` gives it."""
    params = {"dataset": "mnist", "train": {"recipe": "quick", "seed": 0, **train}}
    selected = f"recipes/{train.get('recipe', 'quick')}.yaml"
    metrics = {"train": {"val_accuracy": 0.9965}, "evaluate": {"accuracy": 0.123456}}
    data = {
        "params": {"params.yaml": {"data": params}, selected: {"data": values}},
        "metrics": {f"metrics/{stage}.json": {"data": metrics[stage]} for stage in metrics},
    }
    return {"rev": rev, "name": name, "data": data, "error": None, "experiments": None}


def make_experiment(name: str, values: dict[str, Any], state: str = "", **train: Any) -> Any:
    revs = [make_run("0123abc", name, values, **train)]
    return {"revs": revs, "name": name, "executor": {"state": state} if state else None}


CONV, POOL = spec("Conv2D", filters=32), spec("MaxPooling2D", pool_size=2)
LAYERS = {"conv1": CONV, "pool1": POOL}
BEFORE = {"layers": LAYERS, "optimizer": spec("Adam", learning_rate=0.001), "epochs": 9}
ADDED = "layers.dense2.type - → Dense\nlayers.dense2.units - → 32"


@pytest.mark.parametrize(
    ("layers", "train", "said"),
    [
        (LAYERS | {"conv1": CONV | {"filters": 48}}, {}, "layers.conv1.filters 32 → 48"),
        (LAYERS | {"dense2": spec("Dense", units=32)}, {"seed": 7}, f"train.seed 0 → 7\n{ADDED}"),
        ({"pool1": POOL, "conv1": CONV}, {}, "layers in another order"),
        ({"pool1": POOL}, {"recipe": "mlp"}, "train.recipe quick → mlp"),
    ],
)
def test_each_change_is_a_short_row(layers: Any, train: dict[str, Any], said: str) -> None:
    commit = make_run("a" * 40, "main", BEFORE)
    commit["experiments"] = [make_experiment("mine", BEFORE | {"layers": layers}, **train)]
    (_, _, shown, _), row = experiments.tabulate_experiments([commit])
    assert shown == ""
    assert row == ("mine", train.get("recipe", "quick"), said, "99.65%")


def test_table_hides_the_test_images_and_says_how_runs_stand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_run("workspace", "", BEFORE | {"epochs": 99})
    commit = make_run("a" * 40, "main", BEFORE)
    broken = {"rev": "b" * 40, "name": "broken", "data": None, "error": {"msg": "no params"}}
    waiting = make_experiment("waiting", BEFORE | {"epochs": 7}, "queued")
    # DVC gives the commit's numbers to a run that has none of its own.
    failed = make_experiment("failed", BEFORE, "failed")
    commit["experiments"] = [waiting, failed, {"revs": [broken], "name": None, "executor": None}]
    monkeypatch.setattr(experiments, "read_dvc", lambda *_: json.dumps([workspace, commit]))
    experiments.main(Namespace())
    printed = capsys.readouterr().out
    assert re.search(r"waiting +quick +epochs 9 → 7 +queued", printed)
    assert re.search(r"bbbbbbb +no params", printed)
    assert "12.3" not in printed
    assert "99" not in printed.replace("99.65%", "")
    assert printed.endswith(f"\n\n{experiments.REASONS}\n")
    commit["experiments"] = [waiting]
    experiments.main(Namespace())
    assert experiments.REASONS not in capsys.readouterr().out
