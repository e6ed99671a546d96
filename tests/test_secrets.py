"""Secrets stay out of Git, and a remote that does not let people in says so, and the way out."""

import re
import subprocess
from pathlib import Path

import pytest
import remotes
from imports import ROOT
from projects import Project
from sharing import configure

# The options of DVC's remotes that are secrets, and what secrets look like elsewhere.
OPTIONS = (
    "access_key_id",
    "secret_access_key",
    "session_token",
    "password",
    "passphrase",
    "token",
    "keyfile",
    "sas_token",
    "connection_string",
    "custom_auth_header",
)
SECRET_OPTION = re.compile(rf"^\s*({'|'.join(OPTIONS)})\s*=", re.MULTILINE)
SECRET = re.compile(
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"  # keys of S3
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(ghp|gho|github_pat)_\w{20,}"
)
PASSWORD_IN_ADDRESS = re.compile(r"\w://[^\s/:@{}$]+:[^\s/:@{}$]+@")


def find_secrets(folder: Path) -> list[str]:
    """Return the files of a repository, tracked or about to be, that hold what looks secret."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    found = []
    for name in sorted(set(done.stdout.split("\0")) - {""}):
        path = folder / name
        text = path.read_bytes().decode("latin-1") if path.is_file() else ""
        if (
            SECRET.search(text)
            or (name.startswith(".dvc/") and SECRET_OPTION.search(text))
            # The tests of the downloader have addresses with made-up ones.
            or (not name.startswith("tests/") and PASSWORD_IN_ADDRESS.search(text))
        ):
            found.append(name)
    return found


@pytest.mark.checkout
def test_repository_holds_no_secret() -> None:
    assert find_secrets(ROOT) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.md", "AKIA" + "ABCDEFGHIJKLMNOP"),
        ("id_ed25519", "-----BEGIN OPENSSH " + "PRIVATE KEY-----"),
        ("params.yaml", "https://maria:" + "geheim@dav.example.org"),
        (".dvc/config", "['remote \"team\"']\n    password = geheim\n"),
    ],
)
def test_a_secret_is_found(trained: Project, tmp_path: Path, name: str, text: str) -> None:
    project = trained.copy(tmp_path / "project")
    assert find_secrets(project.folder) == []
    with (project.folder / name).open("a") as file:
        file.write(text)
    assert find_secrets(project.folder) == [name]


def test_local_settings_stay_local(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "project")
    project.call("dvc", "remote", "modify", "--local", "team", "url", "webdavs://localhost/digits")
    project.call("dvc", "remote", "modify", "--local", "team", "password", "geheim")
    assert "geheim" in (project.folder / ".dvc/config.local").read_text()
    assert project.call("git", "status", "--porcelain") == ""


def verify(project: Project) -> str:
    return project.call("python", "-m", "digits", "verify", "cache", "--remote", status=1)


def test_wrong_password_names_remote_and_reason(trained: Project, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    with remotes.wsgidav(folder) as remote:
        project = trained.copy(tmp_path / "project")
        configure(project, remote, once=True)
        project.call("dvc", "remote", "modify", "--local", "team", "password", "wrong")
        output = verify(project)
    check_explanation(output, "webdav://")
    assert "401" in output


@pytest.mark.parametrize("scheme", ["webdav", "http"])
def test_password_in_address_is_not_shown(trained: Project, tmp_path: Path, scheme: str) -> None:
    project = trained.clone(tmp_path / "project")
    address = f"{remotes.HOST}:{remotes.choose_port()}/digits"
    url = f"{scheme}://maria:geheim@{address}"
    project.call("dvc", "remote", "modify", "--local", "team", "url", url)
    output = verify(project)
    assert "ERROR: remote team" in output
    assert "maria" not in output
    assert "geheim" not in output


S3 = pytest.param("s3://digits/team", marks=pytest.mark.nightly)  # boto3 tries five times


@pytest.mark.parametrize("url", [S3, "ssh://{}/srv/digits", "webdav://{}/digits"])
def test_dead_endpoint_names_remote_and_reason(trained: Project, tmp_path: Path, url: str) -> None:
    dead = f"{remotes.HOST}:{remotes.choose_port()}"
    project = trained.copy(tmp_path / "project")
    project.call("dvc", "remote", "modify", "team", "url", url.format(dead))
    if url.startswith("s3:"):
        project.call("dvc", "remote", "modify", "team", "endpointurl", f"http://{dead}")
        for option in ("access_key_id", "secret_access_key"):
            project.call("dvc", "remote", "modify", "--local", "team", option, "any")
    check_explanation(verify(project), url.format(dead))


def test_unknown_remote_is_named(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "project")
    project.call("dvc", "config", "--local", "core.remote", "tean")
    assert "core.remote: expected one of ['team'], received 'tean'" in verify(project)


def check_explanation(output: str, url: str) -> None:
    assert f"ERROR: remote team ({url}" in output
    assert "expected an answer, received " in output
    assert "docs/sharing.md" in output
    assert "Traceback" not in output
