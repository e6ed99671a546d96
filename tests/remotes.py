"""Servers for remotes, on loopback ports of their own, ended with the test whatever it does.

A server tells what stands in for the example values of docs/sharing.md, so that the page's own
commands run against it.
"""

import getpass
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60  # for a server to answer
POLL_SECONDS = 0.05
# A test run that is killed takes its servers with it.
LEASH = ("setpriv", "--pdeathsig", "TERM") if sys.platform == "linux" else ()
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Remote:
    """A running server, as a section of docs/sharing.md sees it."""

    section: str
    stand_ins: Mapping[str, str] = field(default_factory=dict)  # example value: value here
    secret: str | None = None  # what must never come into Git
    read_only: bool = False


# Processes


def make_secret() -> str:
    """Make a password, hexadecimal: DVC takes one that begins with a dash for an option."""
    return secrets.token_hex()


def choose_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a server until the block ends; enter it once the server is ready."""
    log.parent.mkdir(exist_ok=True)
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [*LEASH, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        ) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or ready(), f"{command[0]}: not ready")
            assert process.poll() is None, log.read_text()
            yield
        finally:
            # The whole group: sshd and apache2 have children.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until(
    condition: Callable[[], bool], otherwise: str, seconds: float = PATIENCE_SECONDS
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(POLL_SECONDS)


def listens(port: int) -> Callable[[], bool]:
    def ask() -> bool:
        with socket.socket() as client:
            return client.connect_ex((HOST, port)) == 0

    return ask


# Servers that need no system package


@contextmanager
def http_server(folder: Path) -> Iterator[Remote]:
    """Serve a folder that is pushed to as a folder: HTTP is for pulling."""
    store, port = folder / "store", choose_port()
    store.mkdir(parents=True)
    options = ["-m", "http.server", str(port), "--bind", HOST, "--directory", str(store)]
    address = {"/srv/digits": str(store), "https://digits.example.org": f"http://{HOST}:{port}"}
    with running([sys.executable, *options], folder / "log", listens(port)):
        yield Remote("HTTP", address, read_only=True)


@contextmanager
def wsgidav(folder: Path) -> Iterator[Remote]:
    port, password = choose_port(), make_secret()
    store, config = folder / "store", folder / "wsgidav.json"
    (store / "dav/digits").mkdir(parents=True)
    users = {"*": {"maria": {"password": password}}}
    config.write_text(json.dumps({"simple_dc": {"user_mapping": users}}))
    options = [f"--host={HOST}", f"--port={port}", f"--root={store}", f"--config={config}"]
    with running([BIN / "wsgidav", *options], folder / "log", listens(port)):
        address = {"webdavs://dav.example.org": f"webdav://{HOST}:{port}", "PASSWORD": password}
        yield Remote("WebDAV", address, password)


@contextmanager
def moto(folder: Path) -> Iterator[Remote]:
    port, secret = choose_port(), make_secret()
    url = f"http://{HOST}:{port}"
    options = ["-m", "moto.server", "-H", HOST, "-p", str(port)]
    with running([sys.executable, *options], folder / "log", listens(port)):
        requests.put(f"{url}/digits", timeout=PATIENCE_SECONDS).raise_for_status()  # a bucket
        stand_ins = {"https://s3.example.org": url, "ACCESS_KEY": "maria", "SECRET_KEY": secret}
        yield Remote("S3", stand_ins, secret)


# Debian's server


@contextmanager
def sshd(folder: Path) -> Iterator[Remote]:
    """Serve SFTP for the user of the tests, to a key made for the test only."""
    port, store = choose_port(), folder / "store"
    store.mkdir(parents=True)
    for name in ("host_key", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    # The folder of its unprivileged part; a boot makes it where sshd is a service.
    Path("/run/sshd").mkdir(exist_ok=True)
    options = {
        "ListenAddress": f"{HOST}:{port}",
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "key.pub",
        "PidFile": "none",
        "PasswordAuthentication": "no",
        "StrictModes": "no",
        "Subsystem": "sftp internal-sftp",
    }
    command = ["/usr/sbin/sshd", "-De", "-f", "/dev/null"]
    command += [f"-o{name}={value}" for name, value in options.items()]
    stand_ins = {
        "lab.example.org/srv/digits": f"{HOST}:{port}{store}",
        "~/.ssh/id_ed25519": str(folder / "key"),
        "maria": getpass.getuser(),
    }
    with running(command, folder / "log", listens(port)):
        yield Remote("SSH", stand_ins, (folder / "key").read_text())
