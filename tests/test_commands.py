"""The commands around the DAG: how they start, how they end, what they say."""

import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from samples import spec

from digits import stage
from digits.cli import COMMANDS, main
from digits.commands import experiments
from digits.dvc import run as runs_of_dvc
from digits.dvc.run import Outcome, read_dvc, run_dvc
from digits.errors import DigitsError

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)  # with it, no output is left to the end


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


def run_python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, the sources on its path."""
    chosen: dict[str, Any] = {"capture_output": True, "env": ENVIRONMENT} | options
    return subprocess.run([sys.executable, "-c", code], text=True, check=False, **chosen)


FAIL = """
import sys
from digits.errors import DigitsError, run_main

def fail():
    raise DigitsError("expected a, received b")
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('many lines\\n' * 100_000)", ""),
        ("print('a line'), fail()", "ERROR: expected a, received b\n"),
    ],
    ids=["many-lines", "failure"],
)
def test_closed_pipe_ends_quietly(code: str, reason: str) -> None:
    """As `digits compare | head -1` does when `head` has enough."""
    outlet, inlet = os.pipe()
    os.close(outlet)
    script = f"{FAIL}\nsys.exit(run_main(lambda: [{code}]))"
    done = run_python(script, capture_output=False, stdout=inlet, stderr=subprocess.PIPE)
    os.close(inlet)
    assert (done.returncode, done.stderr) == (141, reason)


ABORT = """
import os

os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written\\n")
os.write(2, b"I0000 00:00:1700000000.000000 1 port.cc:153] oneDNN custom operations are on.\\n")
os.write(2, b"the library could not be loaded\\n")
os.abort()
"""


def test_message_of_a_tensorflow_that_aborts_is_kept(tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text(ABORT)
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    done = run_python("import digits.model.backend", env={**ENVIRONMENT, "PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (-6, "the library could not be loaded\n")


# DVC as a process, and the journal of its stages


class BadInputError(DigitsError):
    exit_status = 7


@pytest.mark.parametrize("journaled", [True, False])
def test_stages_write_a_line_each_where_asked(
    *, journaled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    if journaled:
        monkeypatch.setenv(stage.JOURNAL_VARIABLE, str(path))

    def fail() -> None:
        raise BadInputError("expected a, received b")

    for name, run in (("decode", lambda: None), ("train", fail)):
        monkeypatch.setattr(sys, "argv", [f"/somewhere/pipeline/{name}.py"])
        with pytest.raises(SystemExit):
            stage.run(run)
    assert path.exists() == journaled
    if journaled:
        first, second = map(json.loads, path.read_text().splitlines())
        assert all(0 <= line.pop("seconds") < 60 for line in (first, second))
        assert all(0 <= line.pop("cpu_seconds") < 60 for line in (first, second))
        assert first == {"stage": "decode", "exit_status": 0}
        assert second == {"stage": "train", "exit_status": 7}


def pretend_to_run(
    monkeypatch: pytest.MonkeyPatch, status: int, lines: str = "", *output: str
) -> list[Sequence[str]]:
    """Put a process that writes these lines to the journal in place of every one; list them."""
    commands: list[Sequence[str]] = []

    def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if lines and "env" in options:
            Path(options["env"][stage.JOURNAL_VARIABLE]).write_text(lines)
        return subprocess.CompletedProcess(command, status, *output)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(runs_of_dvc, "try_git", lambda *_: "")
    return commands


def test_journal_is_what_a_run_of_dvc_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = pretend_to_run(
        monkeypatch, 255, '{"stage": "train", "exit_status": 7, "seconds": 12.5}\n'
    )
    assert run_dvc("repro", "train") == Outcome(255, {"train": {"exit_status": 7, "seconds": 12.5}})
    assert list(commands[-1])[1:] == ["-m", "dvc", "repro", "train"]
    pretend_to_run(monkeypatch, 0)
    assert run_dvc("repro") == Outcome(0, {})


def test_reason_of_dvc_is_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_to_run(monkeypatch, 255, "", "", "WARNING: a\nERROR: b\n")
    with pytest.raises(DigitsError, match=r"^dvc params diff --md: b$"):
        read_dvc("params", "diff", "--md")


# The table of the experiments


def make_run(rev: str, name: str | None, values: dict[str, Any], **train: Any) -> dict[str, Any]:
    """Return a commit or an experiment as `dvc exp show --json` gives it."""
    params = {"dataset": "mnist", "train": {"recipe": "quick", "seed": 0} | train}
    selected = f"recipes/{params['train']['recipe']}.yaml"  # type: ignore[index]
    metrics = {"metrics/train.json": {"val_accuracy": 0.9965}}
    metrics["metrics/evaluate.json"] = {"accuracy": 0.123456}
    files = {"params.yaml": params, selected: values}
    data = {
        kind: {path: {"data": it} for path, it in of_kind.items()}
        for kind, of_kind in (("params", files), ("metrics", metrics))
    }
    return {"rev": rev, "name": name, "data": data, "error": None, "experiments": None}


def make_experiment(name: str, values: dict[str, Any], state: str = "", **train: Any) -> Any:
    executor = {"state": state} if state else None
    return {
        "revs": [make_run("0123abc", name, values, **train)],
        "name": name,
        "executor": executor,
    }


CONV, POOL = spec("Conv2D", filters=32), spec("MaxPooling2D", pool_size=2)
BEFORE: dict[str, Any] = {
    "layers": {"conv1": CONV, "pool1": POOL},
    "optimizer": spec("Adam", learning_rate=0.001),
    "epochs": 9,
}
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "an argument": (
        BEFORE | {"layers": {"conv1": CONV | {"filters": 48}, "pool1": POOL}},
        {"seed": 7},
        "train.seed 0 → 7\nlayers.conv1.filters 32 → 48",
    ),
    "a layer more": (
        BEFORE | {"layers": {"conv1": CONV, "pool1": POOL, "dense2": spec("Dense", units=32)}},
        {},
        "+ layers.dense2 Dense(32)",
    ),
    "layers swapped": (
        BEFORE | {"layers": {"pool1": POOL, "conv1": CONV}},
        {},
        "layers in another order",
    ),
    "an optimizer": (
        BEFORE | {"optimizer": spec("SGD", learning_rate=1e-05)},
        {},
        "optimizer.type Adam → SGD\noptimizer.learning_rate 0.001 → 1e-05",
    ),
    "another recipe": ({"epochs": 1}, {"recipe": "mlp"}, "train.recipe quick → mlp"),
}


@pytest.mark.parametrize(("recipe", "train", "said"), CHANGES.values(), ids=CHANGES)
def test_each_change_is_a_short_row(recipe: Any, train: Any, said: str) -> None:
    commit = make_run("a" * 40, "main", BEFORE)
    commit["experiments"] = [make_experiment("mine", recipe, **train)]
    (_, _, shown, _), row = experiments.tabulate_experiments([commit])
    assert shown == ""
    assert row == ("mine", train.get("recipe", "quick"), said, "99.65%")


def test_table_hides_the_test_images_and_says_how_runs_stand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_run("workspace", None, BEFORE | {"epochs": 99})
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
