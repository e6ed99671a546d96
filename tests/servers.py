"""A mirror on a port of this machine that answers as told: over TLS, well or badly, on time or not.

An answer is a function of the handler of one request. Nothing here waits for time to pass: silent
and dripping answers hold on until the test ends.
"""

import datetime as dt
import gzip
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
DRIP_SECONDS = 0.02  # between two bytes; far below the timeouts of the tests that meet a drip
PATIENCE_SECONDS = 60  # no test comes near it; it ends the threads of one that would hang
UNLINGERING = struct.pack("ii", 1, 0)  # struct linger of socket.h: closing sends a reset


class Handler(BaseHTTPRequestHandler):
    """Note one request and give the next answer that the test has planned for its folder."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_SECONDS
    server: "MirrorServer"

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.requests.append(self)
        with suppress(OSError):  # the client has hung up, as it should on many of these
            self.server.next_answer(self.path.rpartition("/")[0])(self)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def file(self) -> bytes:
        return self.server.files[self.name]

    def start(self, status: int, headers: Mapping[str, object]) -> None:
        """Send the status line and headers, no more of them than given."""
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


Answer = Callable[[Handler], None]


class MirrorServer(ThreadingHTTPServer):
    """Serve files from as many folders as a test wants mirrors; without a context, plain http."""

    daemon_threads = False  # closing the server waits for every answer to end

    def __init__(self, files: dict[str, bytes], context: ssl.SSLContext | None = None) -> None:
        super().__init__((HOST, 0), Handler)
        self.files = files
        self.scheme = "https" if context else "http"
        if context:  # the handshake waits for the first read, in the thread of the connection
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[Handler] = []
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.server_port}"

    def mirror(self, *answers: Answer) -> str:
        """Open a folder that gives these answers in turn, the last one ever after."""
        folder = f"/{len(self.answers)}"
        self.answers[folder] = list(answers)
        return f"{self.url}{folder}/"

    def next_answer(self, folder: str) -> Answer:
        answers = self.answers[folder]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def asked(self, mirror: str) -> list[str]:
        """Return the names that were asked of one of the folders."""
        folder = mirror.removeprefix(self.url)
        return [asked.name for asked in self.requests if asked.path.startswith(folder)]

    def shutdown_request(self, request: Any) -> None:
        # Without the polite shutdown of the base class, which would spoil a reset.
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that refuse the certificate or hang up are the point."""


@contextmanager
def serving(server: MirrorServer) -> Iterator[MirrorServer]:
    """Run the server in a thread; on leaving, every answer that holds on is let go."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


# Answers


def send(
    body: Callable[[Handler], bytes], *, status: int = 200, encoding: str | None = None
) -> Answer:
    """Send a body with its length, and close."""

    def answer(reply: Handler) -> None:
        data = body(reply)
        headers = {"Content-Encoding": encoding} if encoding else {}
        reply.start(status, {"Content-Length": len(data), **headers})
        reply.wfile.write(data)

    return answer


whole = send(lambda reply: reply.file)
page = send(lambda _: b"<!DOCTYPE html><html><body>Please sign in to the network.</body></html>")
lost = send(lambda _: b"", status=404)
# What servers make of a `.gz`: unpacked on the way, or the compression called the transfer's.
raw = send(lambda reply: gzip.decompress(reply.file))
encoded = send(lambda reply: reply.file, encoding="gzip")


def send_half(reply: Handler) -> None:
    reply.start(200, {"Content-Length": len(reply.file)})
    reply.wfile.write(reply.file[: len(reply.file) // 2])


def reset(reply: Handler) -> None:
    """Send half and break the connection off."""
    send_half(reply)
    reply.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, UNLINGERING)


def stall(reply: Handler) -> None:
    """Send half and fall silent."""
    send_half(reply)
    reply.server.ended.wait(PATIENCE_SECONDS)


def drip(reply: Handler) -> None:
    reply.start(200, {"Content-Length": len(reply.file)})
    for byte in reply.file:
        if reply.server.ended.wait(DRIP_SECONDS):
            return
        reply.wfile.write(bytes([byte]))


def send_without_end(reply: Handler, status: int = 200, **headers: str) -> None:
    reply.start(status, headers)
    while not reply.server.ended.is_set():
        reply.wfile.write(bytes(1 << 16))


def redirect(target: str) -> Answer:
    """Send the client to the same file under another address, with a body that does not end."""
    return lambda reply: send_without_end(reply, 302, Location=target + reply.name)


def certify(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context for HOST, and the certificate that a client is to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public
