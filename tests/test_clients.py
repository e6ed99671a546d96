"""What DVC's extension for VS Code asks for: strict JSON, while a training runs, too."""

import json
import signal
from pathlib import Path
from typing import Any, NoReturn

import pytest
from faults import holding
from projects import Project

# Read in the extension's source: src/cli/dvc/{reader,config}.ts of iterative/vscode-dvc.
JSON_COMMANDS = {
    "experiments": "dvc exp show --num 3 --rev HEAD --json",
    "data": "dvc data status --granular --unchanged --json",
    "plots": "dvc plots diff HEAD -o .dvc/tmp/plots --split --json",
    "files": "dvc list . --dvc-only --json",
    "params": "dvc params diff --json",
    "metrics": "dvc metrics diff --json",
}


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def ask(project: Project) -> dict[str, Any]:
    """Run the commands; return what they answer, parsed strictly."""
    return {
        name: json.loads(project.call(*command.split()), parse_constant=refuse)
        for name, command in JSON_COMMANDS.items()
    }


def find_workspace(answers: dict[str, Any]) -> Any:
    (workspace,) = (row["data"] for row in answers["experiments"] if row["rev"] == "workspace")
    return workspace


@pytest.mark.nightly
def test_answers_after_and_during_a_training(retrained: Project, tmp_path: Path) -> None:
    project = retrained.copy(tmp_path / "project")
    answers = ask(project)
    workspace = find_workspace(answers)
    metrics = workspace["metrics"]
    assert metrics["metrics/evaluate.json"]["data"].keys() >= {"accuracy", "error_count"}
    assert workspace["params"]["params.yaml"]["data"]["train"]["recipe"] == "cnn_optdigits"
    assert not answers["data"].get("uncommitted")
    assert {"plots/confusion.csv", "plots/errors.png"} <= answers["plots"]["data"].keys()
    assert not answers["plots"].get("errors")

    with holding(project, "train", 9) as held:  # its first epoch is on disk
        answers = ask(project)
        held.end("both", signal.SIGINT)
    assert find_workspace(answers)["metrics"]["metrics/train.json"]["data"]["epoch_count"] == 1
    assert answers["plots"]["data"]
