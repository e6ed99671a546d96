"""What comes in from outside: pinned packages, files over https, and CI that trusts no branch."""

import json
import re
import tomllib

import pytest
from imports import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from projects import UNPLUGGED, Project, works
from ruamel.yaml import YAML

from digits.commands import pr_report

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TEXTS = [path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")]
WORKFLOWS = [YAML(typ="safe").load(text) for text in TEXTS]
JOBS = [job for workflow in WORKFLOWS for job in workflow["jobs"].values()]


def read_pins(lock: str) -> dict[str, Requirement]:
    """Return the packages of a lock by name; it names no index, and has a hash of each."""
    text = (ROOT / lock).read_text()
    assert "index-url" not in text
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    pins = [Requirement(entry.partition(" \\")[0]) for entry in entries]
    return {canonicalize_name(pin.name): pin for pin in pins}


def test_locks_have_what_is_asked_for() -> None:
    """And the second differs from the first by what it adds alone: it serves as its constraint."""
    pins, test_pins = read_pins("requirements.lock"), read_pins("requirements-test.lock")
    assert {name: test_pins[name] for name in pins} == pins
    assert not {"dvc-s3", "pytest"} & pins.keys()  # a user waits for neither
    assert read_pins("requirements-uv.lock").keys() == {"uv"}
    extras = PYPROJECT["optional-dependencies"]
    added = [line for name in extras if name != "gpu" for line in extras[name]]
    asked = [(line, pins) for line in PYPROJECT["dependencies"]]
    asked += [(line, test_pins) for line in added if not line.startswith(PYPROJECT["name"])]
    for line, found in asked:
        requirement = Requirement(line)
        (version,) = found[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(version.version), line


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
    lines = re.findall(r"(?m)^.*\buses:.*$", "\n".join(TEXTS))
    pinned = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
    assert lines
    assert [line for line in lines if not pinned.search(line)] == []


def test_job_keeps_no_token_and_a_secret_is_of_one_step_only() -> None:
    """A pull request from a fork gets none either: its event has no secrets."""
    for workflow in WORKFLOWS:
        assert set(workflow["on"]) <= {"push", "pull_request", "schedule", "workflow_dispatch"}
        assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in JOBS for step in job["steps"]]
    checkouts = [step["with"] for step in steps if "actions/checkout" in step.get("uses", "")]
    assert checkouts
    assert all(given["persist-credentials"] is False for given in checkouts)
    # A branch may be named `$(command)`, pasted in before the shell reads it.
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]
    others = [{key: value for key, value in step.items() if key != "env"} for step in steps]
    others += [{key: value for key, value in job.items() if key != "steps"} for job in JOBS]
    assert not re.search(r"secrets\.|github\.token", json.dumps(others))


def test_token_that_writes_is_where_nothing_of_the_branch_runs() -> None:
    (writer,) = (job for job in JOBS if "write" in json.dumps(job.get("permissions")))
    assert "head.repo.full_name == github.repository" in writer["if"]
    assert not [step for step in writer["steps"] if "uses" in step]
    runs = "\n".join(step["run"] for step in writer["steps"])
    assert not re.search(r"make|python|dvc|\./|--edit-last", runs)
    # Nor is another's comment touched: ours begins with a marker, and is the bot's.
    assert '.user.login == "github-actions[bot]"' in runs
    assert "startswith(env.MARKER)" in runs
    assert writer["steps"][0]["env"]["MARKER"] == pr_report.MARKER
