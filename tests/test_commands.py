"""The commands around the DAG: one list of them, how they start, how they end, what they say."""

import ast
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from imports import ROOT
from ruamel.yaml import YAML
from samples import spec
from test_comparison import CARD, predict

from digits import stage
from digits.__main__ import COMMANDS, MODULES, main
from digits.commands import compare, experiments, pr_report
from digits.dvc import run as runs_of_dvc
from digits.dvc.revisions import Record
from digits.dvc.run import DvcError, Outcome, read_dvc, run_dvc
from digits.errors import DigitsError

MAKEFILE = (ROOT / "Makefile").read_text()
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)  # with it, no output is left to the end


# The list


def find_mains() -> dict[str, ast.FunctionDef]:
    """Find the modules of digits/commands that are commands: they have a `main`."""
    folder = ROOT / "digits/commands"
    called = {module: name for name, module in MODULES.items()}
    paths = {
        ".".join(it.relative_to(folder).with_suffix("").parts): it for it in folder.rglob("*.py")
    }
    return {
        called.get(module, module.replace("_", "-")): node
        for module, path in paths.items()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    }


def test_every_command_is_listed() -> None:
    mains = find_mains()
    assert set(COMMANDS) == set(mains)
    assert {name for name, node in mains.items() if len(node.args.args) != 1} == set()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_command_is_a_make_target_of_the_same_words(name: str) -> None:
    texts = dict(re.findall(r"^([a-z-]+):.*?## (.*)", MAKEFILE, re.MULTILINE))
    assert texts[name].startswith(COMMANDS[name])
    assert f"@python -m digits {name}" in MAKEFILE or name in ("push", "pull")


def leave(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run `digits` with these arguments in this process; return its exit status."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["digits", *arguments])
    with pytest.raises(SystemExit) as leaving:
        main()
    return leaving.value.code


def test_help_lists_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave("--help", monkeypatch=monkeypatch) == 0
    words = " ".join(capsys.readouterr().out.split())
    for name, summary in COMMANDS.items():
        assert f" {name} {summary}" in words


@pytest.mark.parametrize("arguments", [("xyzzy",), (), ("xyzzy", "--help")])
def test_unknown_command_is_refused(
    arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave(*arguments, monkeypatch=monkeypatch) == 2
    usage, reason = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: digits ")
    assert reason.startswith("digits: error: ")
    assert not arguments or "invalid choice: 'xyzzy'" in reason


HELP_OF_ALL = """
import sys
from digits import __main__

for name in __main__.COMMANDS:
    sys.argv = ["digits", name, "--help"]
    try:
        __main__.call_command()
    except SystemExit as leaving:
        print("status", leaving.code)
"""


def test_help_of_a_command_needs_no_valid_params(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("dataset: [")
    (tmp_path / "dvc.yaml").write_text("stages: [")
    done = run_python(HELP_OF_ALL, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name, summary in COMMANDS.items():
        assert f"\nusage: digits {name} " in f"\n{done.stdout}"
        assert f"\n{summary}\n" in done.stdout
    assert done.stdout.count("status 0\n") == len(COMMANDS)


def run_python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, the sources on its path."""
    chosen: dict[str, Any] = {"capture_output": True, "env": ENVIRONMENT} | options
    return subprocess.run([sys.executable, "-c", code], text=True, check=False, **chosen)


# How they end


SURVIVOR = """
import os, sys, types
from digits import __main__

def main(_):
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    print("done")

sys.modules["digits.commands.compare"] = types.SimpleNamespace(main=main)
sys.argv = ["digits", "compare"]
__main__.main()
"""


def test_command_survives_its_parent(tmp_path: Path) -> None:
    """As `nohup python -m digits leaderboard &` has to, once its shell is closed."""
    (tmp_path / "dvc.yaml").touch()
    parent_code = f"import subprocess, sys; subprocess.call([sys.executable, '-c', {SURVIVOR!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent_code],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) != parent.pid
        parent.kill()
        parent.wait()  # now the child has been told, if it asked to be
        try:
            parent.stdin.write("go on\n")
            parent.stdin.flush()
        except BrokenPipeError:
            pytest.fail("the command ended with its parent")
        assert parent.stdout.readline() == "done\n"


FAIL = """
import sys
from digits.errors import DigitsError, run_main

def fail():
    raise DigitsError("expected a, received b")
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('a line')", ""),
        ("print('many lines\\n' * 100_000)", ""),
        ("print('a line'), sys.exit(3)", ""),
        ("print('a line'), fail()", "ERROR: expected a, received b\n"),
    ],
    ids=["a-line", "many-lines", "exit", "failure"],
)
def test_closed_pipe_ends_quietly(code: str, reason: str) -> None:
    """As `python -m digits compare | head -1` does when `head` has enough."""
    outlet, inlet = os.pipe()
    os.close(outlet)
    script = f"{FAIL}\nsys.exit(run_main(lambda: [{code}]))"
    done = run_python(script, capture_output=False, stdout=inlet, stderr=subprocess.PIPE)
    os.close(inlet)
    assert (done.returncode, done.stderr) == (141, reason)


def test_picture_is_there_before_anything_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ClosedPipe:
        def write(self, _: str) -> NoReturn:
            raise BrokenPipeError

    labels = (np.arange(50) % 10).astype(np.uint8)
    wrong = {"before": {1, 2, 3}, "after": {3, 4}}
    monkeypatch.setattr(
        compare,
        "load_record",
        lambda name, _: Record(
            name,
            CARD,
            "",
            predict(labels, wrong[name]),
            settings={},
            stopped_early=False,
            is_candidate=False,
        ),
    )
    monkeypatch.setattr(sys, "stdout", ClosedPipe())
    path = tmp_path / "errors.png"
    arguments = Namespace(
        before="before", after="after", split="validation", format="text", png=path
    )
    with pytest.raises(BrokenPipeError):
        compare.main(arguments)
    assert path.read_bytes().startswith(b"\x89PNG")


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


# The journal of the stages


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "journal.jsonl"
    monkeypatch.setenv(stage.JOURNAL_VARIABLE, str(path))
    return path


def run_stage(name: str, failure: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        if failure:
            raise failure

    monkeypatch.setattr(sys, "argv", [f"/somewhere/pipeline/{name}.py"])
    with pytest.raises(SystemExit):
        stage.run(main)


class BadInputError(DigitsError):
    exit_status = 7


def test_stages_write_a_line_each(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_stage("decode", None, monkeypatch)
    run_stage("train", BadInputError("expected a, received b"), monkeypatch)
    first, second = (json.loads(line) for line in journal.read_text().splitlines())
    times = ("seconds", "cpu_seconds")
    assert all(0 <= line.pop(key) < 60 for line in (first, second) for key in times)
    assert first == {"stage": "decode", "exit_status": 0}
    assert second == {"stage": "train", "exit_status": 7}


def test_nothing_is_written_unless_asked(
    tmp_path: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(stage.JOURNAL_VARIABLE)
    monkeypatch.chdir(tmp_path)
    run_stage("decode", None, monkeypatch)
    assert list(tmp_path.iterdir()) == []
    assert not journal.exists()


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
    lines = (
        '{"stage": "fetch", "exit_status": 0, "seconds": 0.2}\n'
        '{"stage": "train", "exit_status": 7, "seconds": 12.5}\n'
    )
    commands = pretend_to_run(monkeypatch, 255, lines)
    outcome = run_dvc("repro", "train")
    assert list(commands[-1])[1:] == ["-m", "dvc", "repro", "train"]
    assert outcome.status == 255
    assert outcome.stages == {
        "fetch": {"exit_status": 0, "seconds": 0.2},
        "train": {"exit_status": 7, "seconds": 12.5},
    }


def test_run_that_runs_no_stage_has_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_to_run(monkeypatch, 0)
    assert run_dvc("repro") == Outcome(0, {})


# Reasons


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [
        ("", "WARNING: a\nERROR: b\n", "b"),
        ("c\n", "", "c"),
        ("", "", "no reason given"),
    ],
)
def test_reason_of_dvc_is_a_text(
    stdout: str, stderr: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_to_run(monkeypatch, 255, "", stdout, stderr)
    with pytest.raises(DvcError) as raised:
        read_dvc("params", "diff", "--md")
    assert str(raised.value) == f"dvc params diff --md: {reason}"


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
    "a number": (BEFORE | {"epochs": 4}, {}, "epochs 9 → 4"),
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
    "a layer less": (BEFORE | {"layers": {"pool1": POOL}}, {}, "- layers.conv1 Conv2D(32)"),
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
    "a key more": (BEFORE | {"label_smoothing": 0.1}, {}, "+ label_smoothing 0.1"),
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


# What runs them elsewhere


def list_jobs() -> dict[str, Any]:
    jobs: dict[str, Any] = {}
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        jobs |= YAML(typ="safe").load(path.read_text())["jobs"]
    return jobs


def test_job_with_credentials_of_s3_installs_its_support() -> None:
    with_credentials = [job for job in list_jobs().values() if "AWS_" in json.dumps(job)]
    assert with_credentials
    for job in with_credentials:
        runs = [step.get("run", "") for step in job["steps"]]
        (install,) = (index for index, run in enumerate(runs) if ".venv/s3.stamp" in run)
        assert not [run for run in runs[:install] if "dvc" in run or "digits" in run]


def list_steps() -> list[dict[str, Any]]:
    return [step for job in list_jobs().values() for step in job["steps"]]


@pytest.mark.parametrize("name", list_jobs())
def test_job_ends(name: str) -> None:
    assert 0 < list_jobs()[name]["timeout-minutes"] <= 120


def test_actions_are_pinned_by_digest_with_their_version() -> None:
    lines = [
        line
        for path in (ROOT / ".github/workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if re.search(r"\buses:", line)
    ]
    assert lines
    for line in lines:
        assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_checkout_leaves_no_token_behind() -> None:
    checkouts = [step for step in list_steps() if "actions/checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_secrets_are_in_the_environment_of_one_step_only() -> None:
    """Nor does a pull request from a fork get any: its event is none that has them."""
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        workflow = YAML(typ="safe").load(path.read_text())
        assert set(workflow["on"]) <= {"push", "pull_request"}
        for step in (step for job in workflow["jobs"].values() for step in job["steps"]):
            step.pop("env", None)
        assert not re.search(r"secrets\.|github\.token", json.dumps(workflow))


def test_expressions_are_in_no_shell_line() -> None:
    """A branch may be named `$(command)`, pasted in before the shell reads it."""
    assert not [step["run"] for step in list_steps() if "${{" in step.get("run", "")]


def test_token_that_writes_is_where_nothing_of_the_branch_runs() -> None:
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        workflow = YAML(typ="safe").load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        writers = [
            job
            for job in workflow["jobs"].values()
            if "write" in json.dumps(job.get("permissions"))
        ]
        for job in writers:
            assert "head.repo.full_name == github.repository" in job["if"]
            assert not [step for step in job["steps"] if "uses" in step]
            runs = "\n".join(step["run"] for step in job["steps"])
            assert not re.search(r"make|python|dvc|\./", runs)


def test_comment_is_found_by_its_marker_and_writer() -> None:
    steps = [step for step in list_steps() if "/comments" in step.get("run", "")]
    assert steps
    for step in steps:
        assert step["env"]["MARKER"] == pr_report.MARKER
        assert '.user.login == "github-actions[bot]"' in step["run"]
        assert "startswith(env.MARKER)" in step["run"]
    assert "--edit-last" not in json.dumps(list_steps())


def test_container_prepares_what_make_needs() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    make, *targets = container["postCreateCommand"].split()
    assert make == "make"
    assert targets == [".venv/run.stamp", ".venv/test.stamp"]
    assert all((ROOT / f"requirements{lock}.lock").is_file() for lock in ("", "-test"))
    code = container["customizations"]["vscode"]
    assert {"iterative.dvc", "ms-python.python"} <= set(code["extensions"])
    assert code["settings"]["python.defaultInterpreterPath"].endswith("/.venv/bin/python")
