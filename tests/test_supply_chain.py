"""What comes in from outside: pinned packages, files over https, and CI that trusts no branch."""

import configparser
import json
import re
import tomllib
from typing import Any

import pytest
from imports import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from projects import UNPLUGGED, Project, works
from ruamel.yaml import YAML

from digits.commands import pr_report

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = {
    path.stem: YAML(typ="safe").load(path.read_text())
    for path in (ROOT / ".github/workflows").glob("*.yml")
}
JOBS: dict[str, Any] = {
    name: job for workflow in WORKFLOWS.values() for name, job in workflow["jobs"].items()
}
STEPS: list[dict[str, Any]] = [step for job in JOBS.values() for step in job["steps"]]


def list_requirements(*extras: str) -> list[Requirement]:
    """List what the project asks for with these extras, and with those that they name."""
    asked = [Requirement(line) for line in PYPROJECT["dependencies"]]
    for extra in extras:
        for requirement in map(Requirement, PYPROJECT["optional-dependencies"][extra]):
            if requirement.name == PYPROJECT["name"]:
                asked += list_requirements(*requirement.extras)
            else:
                asked.append(requirement)
    return asked


def read_pins(lock: str, python: str) -> dict[str, Requirement]:
    """Return what the lock installs here under a Python version, by name."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    entries = re.findall(r"(?m)^(\S+==.+?) \\$", (ROOT / lock).read_text())
    return {
        canonicalize_name(pin.name): pin
        for pin in map(Requirement, entries)
        if pin.marker is None or pin.marker.evaluate(environment)
    }


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_locks_have_what_is_asked_for(python: str) -> None:
    """And the second differs from the first by what it adds alone: it serves as its constraint."""
    pins = read_pins("requirements.lock", python)
    test_pins = read_pins("requirements-test.lock", python)
    asked = [(requirement, pins) for requirement in list_requirements()]
    asked += [(requirement, test_pins) for requirement in list_requirements("test")]
    for requirement, found in asked:
        (version,) = found[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(version.version), requirement
    assert {name: test_pins[name] for name in pins} == pins
    assert not {"dvc-s3", "pytest"} & pins.keys()  # a user waits for neither


def test_lock_names_no_index_and_hashes_every_package() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "index-url" not in text
        assert "://" not in text
        entries = re.split(r"\n(?=\S)", text.strip())
        assert all("--hash=sha256:" in entry for entry in entries)


def test_dvc_sends_nothing_home() -> None:
    config = configparser.ConfigParser(strict=False)
    config.read_string(re.sub(r"(?m)^\s+", "", (ROOT / ".dvc/config").read_text()))
    assert config["core"]["analytics"] == config["core"]["check_update"] == "false"


@pytest.mark.skipif(
    not works(*UNPLUGGED, "true"), reason="this system lets us have no network of our own"
)
def test_pipeline_runs_without_any_network(trained: Project) -> None:
    """Native code, too: not even the loopback is up where `trained` was made."""
    assert (trained.folder / "data/analysis").is_dir()
    ask = "import socket; socket.create_connection(('127.0.0.1', 1))"
    said = trained.call(*UNPLUGGED, "python", "-c", ask, status=1)
    assert "Network is unreachable" in said


def test_actions_are_pinned_by_digest_with_their_version() -> None:
    texts = [path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")]
    lines = re.findall(r"(?m)^.*\buses:.*$", "\n".join(texts))
    assert lines
    for line in lines:
        assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_job_ends_and_leaves_no_token_behind() -> None:
    assert all(0 < job["timeout-minutes"] <= 120 for job in JOBS.values())
    checkouts = [step for step in STEPS if "actions/checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_secrets_are_in_the_environment_of_one_step_only() -> None:
    """A pull request from a fork gets none either: its event has no secrets."""
    for workflow in WORKFLOWS.values():
        assert set(workflow["on"]) <= {"push", "pull_request", "schedule", "workflow_dispatch"}
    steps = [{key: value for key, value in step.items() if key != "env"} for step in STEPS]
    jobs = [{key: value for key, value in job.items() if key != "steps"} for job in JOBS.values()]
    assert not re.search(r"secrets\.|github\.token", json.dumps([steps, jobs]))
    # A branch may be named `$(command)`, pasted in before the shell reads it.
    assert not [step["run"] for step in STEPS if "${{" in step.get("run", "")]


def test_token_that_writes_is_where_nothing_of_the_branch_runs() -> None:
    assert all(workflow["permissions"] == {"contents": "read"} for workflow in WORKFLOWS.values())
    (writer,) = (job for job in JOBS.values() if "write" in json.dumps(job.get("permissions")))
    assert "head.repo.full_name == github.repository" in writer["if"]
    assert not [step for step in writer["steps"] if "uses" in step]
    runs = "\n".join(step["run"] for step in writer["steps"])
    assert not re.search(r"make|python|dvc|\./|--edit-last", runs)
    # Nor is another's comment touched: ours begins with a marker, and is the bot's.
    assert '.user.login == "github-actions[bot]"' in runs
    assert "startswith(env.MARKER)" in runs
    assert writer["steps"][0]["env"]["MARKER"] == pr_report.MARKER
