"""What comes in from outside: pinned packages, verified files over https, and nothing unasked."""

import configparser
import re
import socket
import tomllib
from pathlib import Path
from typing import NoReturn

import pytest
from imports import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from projects import UNPLUGGED, Project, can_unplug
from ruamel.yaml import YAML
from test_stages import STAGES
from test_stages import make_project as make_small_project

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


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


LOCKS = {
    "requirements.lock": list_requirements(),
    "requirements-test.lock": list_requirements("test"),
}


# Its domain lapsed in 2026: whoever buys it may serve anything.
LAPSED = "yann.lecun.com"


def read_pins(lock: str, python: str) -> dict[str, Requirement]:
    """Return what the lock installs under a Python version on Linux, by name."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }
    entries = re.findall(r"(?m)^(\S+==.+?) \\$", (ROOT / lock).read_text())
    pins: dict[str, Requirement] = {}
    for pin in map(Requirement, entries):
        if pin.marker is None or pin.marker.evaluate(environment):
            assert canonicalize_name(pin.name) not in pins
            pins[canonicalize_name(pin.name)] = pin
    return pins


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_what_is_asked_for(lock: str, python: str) -> None:
    pins = read_pins(lock, python)
    for asked in LOCKS[lock]:
        (version,) = pins[canonicalize_name(asked.name)].specifier
        assert asked.specifier.contains(version.version), asked


def test_test_tools_change_no_pin() -> None:
    pins, test_pins = (read_pins(lock, "3.11") for lock in LOCKS)
    assert {name: test_pins[name] for name in pins} == pins


# The versions that first were without the hole, as the advisories (GHSA) have them; for Keras, of
# the branch of releases that we use.
FIXED = {
    "celery": {"CVE-2021-23727": "5.2.2"},
    "jinja2": {"CVE-2024-56326": "3.1.5", "CVE-2025-27516": "3.1.6"},
    "keras": {
        "CVE-2025-1550": "3.9.0",
        "CVE-2025-8747": "3.11.0",
        "CVE-2025-9906": "3.11.0",
        "CVE-2025-12058": "3.12.0",
        "CVE-2025-12060": "3.12.0",
        "CVE-2026-1462": "3.13.2",
        "CVE-2026-11816": "3.14.0",
        "CVE-2026-12479": "3.15.0",
        "CVE-2026-12480": "3.15.0",
        "CVE-2026-12481": "3.15.0",
        "CVE-2026-12482": "3.15.0",
        "CVE-2026-12484": "3.15.0",
    },
    "pyyaml": {"CVE-2020-14343": "5.4"},
    "requests": {
        "CVE-2024-35195": "2.32.0",
        "CVE-2024-47081": "2.32.4",
        "CVE-2026-25645": "2.33.0",
    },
    "scikit-learn": {"CVE-2024-5206": "1.5.0"},
    "tensorflow": {"CVE-2023-25668": "2.12.0", "CVE-2023-25801": "2.12.0"},
    "tqdm": {"CVE-2024-34062": "4.66.3"},
}


@pytest.mark.parametrize("name", FIXED)
def test_floor_is_past_known_holes_and_says_so(name: str) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    asked = [it for it in list_requirements("gpu", "test") if it.name == name]
    assert asked
    for requirement in asked:
        (floor,) = (it.version for it in requirement.specifier if it.operator == ">=")
        for cve, fixed in FIXED[name].items():
            assert Version(floor) >= Version(fixed), cve
            assert cve in text


@pytest.mark.checkout
def test_mirrors_are_folders_or_https() -> None:
    datasets = [YAML(typ="safe").load(path) for path in (ROOT / "datasets").glob("*.yaml")]
    mirrors = [mirror for dataset in datasets for mirror in dataset.get("mirrors", [])]
    addresses = [mirror for mirror in mirrors if "://" in mirror]
    assert addresses
    assert all(address.startswith("https://") for address in addresses)


def test_lapsed_host_is_nowhere() -> None:
    files = [
        *(ROOT / "datasets").glob("*.yaml"),
        *(ROOT / "digits").rglob("*.py"),
        *ROOT.glob("pipeline/*.py"),
    ]
    assert not [path for path in files if LAPSED in path.read_text()]


def test_dvc_sends_nothing_home() -> None:
    config = configparser.ConfigParser(strict=False)
    config.read_string(re.sub(r"(?m)^\s+", "", (ROOT / ".dvc/config").read_text()))
    assert config["core"]["analytics"] == config["core"]["check_update"] == "false"


@pytest.mark.nightly
@pytest.mark.usefixtures("synthetic")
def test_stages_use_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a stage wants the network")

    monkeypatch.chdir(make_small_project(tmp_path / "project"))
    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse, raising=True)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse, raising=True)
    for stage in STAGES:  # the mirror of fetch is a folder
        stage.main()


@pytest.mark.skipif(not can_unplug(), reason="this system lets us have no network of our own")
def test_pipeline_runs_without_any_network(trained: Project) -> None:
    """Native code, too: not even the loopback is up where `trained` was made."""
    assert (trained.folder / "data/analysis").is_dir()
    ask = "import socket; socket.create_connection(('127.0.0.1', 1))"
    said = trained.call(*UNPLUGGED, "python", "-c", ask, status=1)
    assert "Network is unreachable" in said
