"""Servers for remotes, on loopback ports of their own, ended with the test whatever it does.

A server tells what stands in for the example values of docs/sharing.md, so that the page's own
commands run against it.
"""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60  # for a server to answer
POLL_SECONDS = 0.05
PR_SET_PDEATHSIG = 1  # linux/prctl.h
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Remote:
    """A running server, as a section of docs/sharing.md sees it."""

    section: str
    stand_ins: Mapping[str, str] = field(default_factory=dict)  # example value: value here
    port: int | None = None
    secret: str | None = None  # what must never come into Git
    read_only: bool = False

    def through(self, port: int) -> "Remote":
        """Return the same server behind another port of this machine."""
        old, new = f"{HOST}:{self.port}", f"{HOST}:{port}"
        return replace(self, stand_ins={k: v.replace(old, new) for k, v in self.stand_ins.items()})


# Processes


def make_secret() -> str:
    """Make a password, hexadecimal: DVC takes one that begins with a dash for an option."""
    return secrets.token_hex()


def choose_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def _end_with_parent() -> None:
    # A test run that is killed takes its servers with it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def running(
    command: list[str | Path],
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a server until the block ends; enter it once the server is ready."""
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no threads here
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


# A line that can be cut


class Line(socketserver.ThreadingTCPServer):
    """Pass on what goes to and from a port until so many bytes have gone; then hold everything."""

    daemon_threads = False  # closing waits for every connection to end

    def __init__(self, port: int, limit: int) -> None:
        super().__init__((HOST, 0), Connection)
        self.port = port
        self.limit = limit
        self.passed = 0
        self.held = threading.Event()
        self.let_go = threading.Event()
        self._lock = threading.Lock()

    def may_pass(self, count: int) -> bool:
        with self._lock:
            self.passed += count
            return self.passed <= self.limit

    def open(self) -> None:
        """Let everything through from now on; what was held is dropped."""
        self.limit = sys.maxsize
        self.let_go.set()

    def narrow(self, limit: int) -> None:
        self.limit = self.passed + limit
        self.held.clear()
        self.let_go.clear()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that connections break is the point."""


class Connection(socketserver.BaseRequestHandler):
    server: Line

    def handle(self) -> None:
        with socket.create_connection((HOST, self.server.port)) as far:
            for end in (self.request, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._copy, args=(far, self.request))
            back.start()
            self._copy(self.request, far)
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 14):
                if not self.server.may_pass(len(data)):
                    self.server.held.set()
                    self.server.let_go.wait(PATIENCE_SECONDS)
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def line(port: int, limit: int) -> Iterator[Line]:
    server = Line(port, limit)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.open()
        server.shutdown()
        thread.join()
        server.server_close()


# Servers that need no system package

Server = Callable[[Path], AbstractContextManager[Remote]]


@contextmanager
def local_folder(folder: Path) -> Iterator[Remote]:
    yield Remote("A folder", {"/srv/digits": str(folder / "store")})


@contextmanager
def http_server(folder: Path) -> Iterator[Remote]:
    """Serve a folder that is pushed to as a folder: HTTP is for pulling."""
    store, port = folder / "store", choose_port()
    store.mkdir()
    command: list[str | Path] = [sys.executable, "-m", "http.server", str(port), "--bind", HOST]
    with running([*command, "--directory", store], folder / "log", listens(port)):
        yield Remote(
            "HTTP",
            {"/srv/digits": str(store), "https://digits.example.org": f"http://{HOST}:{port}"},
            port,
            read_only=True,
        )


WSGIDAV_CONFIG = """
host: {host}
port: {port}
provider_mapping:
  /: {store}
http_authenticator:
  domain_controller: null
  accept_basic: true
  accept_digest: false
  default_to_digest: false
simple_dc:
  user_mapping:
    '*':
      maria:
        password: {password}
verbose: 1
"""


@contextmanager
def wsgidav(folder: Path) -> Iterator[Remote]:
    port, password = choose_port(), make_secret()
    (folder / "store/dav/digits").mkdir(parents=True)
    config = folder / "wsgidav.yaml"
    config.write_text(
        WSGIDAV_CONFIG.format(host=HOST, port=port, store=folder / "store", password=password)
    )
    with running([BIN / "wsgidav", "--config", config], folder / "log", listens(port)):
        address = {"webdavs://dav.example.org": f"webdav://{HOST}:{port}", "PASSWORD": password}
        yield Remote("WebDAV", address, port, password)


@contextmanager
def moto(folder: Path) -> Iterator[Remote]:
    port = choose_port()
    secret = make_secret()
    command: list[str | Path] = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with running(command, folder / "log", listens(port)):
        remote = s3_at(port, "maria", secret)
        make_bucket(remote)
        yield remote


def s3_at(port: int, key: str, secret: str) -> Remote:
    return Remote(
        "S3",
        {
            "https://s3.example.org": f"http://{HOST}:{port}",
            "ACCESS_KEY": key,
            "SECRET_KEY": secret,
        },
        port,
        secret,
    )


def make_bucket(remote: Remote) -> None:
    import boto3  # noqa: PLC0415 - half a second that only S3 needs

    client = boto3.client(
        "s3",
        endpoint_url=remote.stand_ins["https://s3.example.org"],
        aws_access_key_id=remote.stand_ins["ACCESS_KEY"],
        aws_secret_access_key=remote.stand_ins["SECRET_KEY"],
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="digits")


# Debian's servers

SSHD_CONFIG = """
ListenAddress {host}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
"""


@contextmanager
def sshd(folder: Path) -> Iterator[Remote]:
    """Serve SFTP for the user of the tests, to a key made for the test only."""
    port = choose_port()
    for name in ("host_key", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    (folder / "sshd_config").write_text(SSHD_CONFIG.format(host=HOST, port=port, folder=folder))
    # The folder of its unprivileged part; a boot makes it where sshd is a service.
    Path("/run/sshd").mkdir(exist_ok=True)
    store = folder / "store"
    store.mkdir()
    daemon: list[str | Path] = ["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"]
    with running(daemon, folder / "log", listens(port)):
        yield Remote(
            "SSH",
            {
                "lab.example.org/srv/digits": f"{HOST}:{port}{store}",
                "~/.ssh/id_ed25519": str(folder / "key"),
                "maria": _user_name(),
            },
            port,
            (folder / "key").read_text(),
        )


def _user_name() -> str:
    import pwd  # noqa: PLC0415 - not on Windows, where these servers aren't either

    return pwd.getpwuid(os.getuid()).pw_name


SWIFT_BIN = BIN.parent / "swift/bin"  # made by tests/install-servers
SWIFT_CONFIG = """
[swift-hash]
swift_hash_path_suffix = digits
"""
SWIFT_COMMON = """
[DEFAULT]
bind_ip = {host}
bind_port = {port}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
user = {user}
workers = 0
"""
SWIFT_STORE = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
SWIFT_PROXY = """
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = {host}:{memcached_port}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_team_maria = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""
# One part, one replica, one device: a store for one test.
SWIFT_RINGS = """
import sys
from swift.common.ring import RingBuilder

folder, host, *ports = sys.argv[1:]
for kind, port in zip(("account", "container", "object"), ports):
    builder = RingBuilder(part_power=1, replicas=1, min_part_hours=1)
    place = dict(ip=host, port=int(port), replication_ip=host, replication_port=int(port))
    builder.add_dev(dict(region=1, zone=1, weight=1, device="disk", **place))
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")
"""


@contextmanager
def swift(folder: Path) -> Iterator[Remote]:
    """Serve S3 by OpenStack Swift: its proxy, its three stores, and memcached."""
    secret, user = make_secret(), _user_name()
    proxy_port, memcached_port = choose_port(), choose_port()
    stores = {kind: choose_port() for kind in ("account", "container", "object")}
    (folder / "devices/disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT_CONFIG)
    ports = map(str, stores.values())
    rings: list[str | Path] = [SWIFT_BIN / "python", "-c", SWIFT_RINGS, folder, HOST, *ports]
    subprocess.run(rings, check=True)

    common = {"host": HOST, "folder": folder, "user": user}
    with ExitStack() as servers:
        command: list[str | Path] = ["memcached", "-l", HOST, "-p", str(memcached_port), "-u", user]
        servers.enter_context(running(command, folder / "memcached.log", listens(memcached_port)))
        for kind, port in stores.items():
            text = (SWIFT_COMMON + SWIFT_STORE).format(**common, port=port, kind=kind)
            servers.enter_context(_swift_server(folder, kind, text, port))
        text = (SWIFT_COMMON + SWIFT_PROXY).format(
            **common, port=proxy_port, memcached_port=memcached_port, secret=secret
        )
        servers.enter_context(_swift_server(folder, "proxy", text, proxy_port))
        remote = s3_at(proxy_port, "team:maria", secret)
        make_bucket(remote)
        yield remote


@contextmanager
def _swift_server(folder: Path, kind: str, text: str, port: int) -> Iterator[None]:
    config = folder / f"{kind}.conf"
    config.write_text(text)
    command: list[str | Path] = [SWIFT_BIN / f"swift-{kind}-server", config, "--verbose"]
    with running(command, folder / f"{kind}.log", listens(port)):
        yield
