"""Secrets stay out of Git, and a remote that does not let people in says so, and the way out."""

import subprocess
from pathlib import Path

import pytest
import remotes
from imports import ROOT
from projects import Project
from sharing import configure

# What looks like a secret, and where: everywhere, as an option of DVC's remotes, as a password in
# an address (the tests have made-up ones).
SECRETS = {
    ".": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(ghp|gho|github_pat)_\w{20,}",
    ".dvc": r"^\s*(access_key_id|secret_access_key|keyfile|connection_string|custom_auth_header"
    r"|\w*(password|passphrase|token))\s*=",
    ":!tests": r"\w://[^/:@{}$[:space:]]+:[^/:@{}$[:space:]]+@",
}


def find_secrets(folder: Path) -> list[str]:
    """Return the files of a repository, tracked or about to be, that hold what looks secret."""
    found = set()
    for place, pattern in SECRETS.items():
        command = ["git", "grep", "--untracked", "-lE", pattern, "--", place]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        found |= set(done.stdout.splitlines())
    return sorted(found)


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
def test_a_secret_is_found(name: str, text: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/.gitignore").write_text("/config.local\n")
    (tmp_path / ".dvc/config.local").write_text("password = geheim\n")
    assert find_secrets(tmp_path) == []
    (tmp_path / name).write_text(text)
    assert find_secrets(tmp_path) == [name]


def verify(project: Project) -> str:
    """Return what is said of a remote that cannot be reached: never a password."""
    # A process of its own: the libraries of some remotes leave their connections to the end of it.
    said = project.call("python", "-m", "digits", "verify", "cache", "--remote", status=1)
    assert "expected a list of its objects (not over HTTP), received " in said
    assert "docs/sharing.md" in said
    assert not any(word in said for word in ("Traceback", "maria", "geheim"))
    return said


@pytest.mark.slow
def test_wrong_password_names_remote_and_reason(trained: Project, tmp_path: Path) -> None:
    with remotes.wsgidav(tmp_path / "server") as remote:
        project = trained.clone(tmp_path / "project")
        configure(project, remote, once=True)
        project.call("dvc", "remote", "modify", "--local", "team", "password", "wrong")
        said = verify(project)
    assert "ERROR: remote team (webdav://" in said
    assert "401" in said


@pytest.mark.parametrize(
    "url",
    [
        "webdav://maria:geheim@{}/digits",
        *(
            pytest.param(url, marks=pytest.mark.nightly)
            for url in ("s3://digits/team", "ssh://{}/srv/digits", "http://maria:geheim@{}/digits")
        ),
    ],
)
def test_dead_endpoint_names_remote_and_reason_but_no_password(
    trained: Project, tmp_path: Path, url: str
) -> None:
    dead = f"{remotes.HOST}:{remotes.choose_port()}"
    project = trained.clone(tmp_path / "project")
    modify = ("dvc", "remote", "modify", "--local", "team")
    project.call(*modify, "url", url.format(dead))
    if url.startswith("s3:"):
        for option in ("access_key_id", "secret_access_key"):
            project.call(*modify, option, "any")
        project.call(*modify, "endpointurl", f"http://{dead}")
    shown = url.format(dead).replace("maria:geheim", "***")
    assert f"ERROR: remote team ({shown})" in verify(project)
