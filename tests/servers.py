"""A mirror on a port of this machine that answers as told: over TLS, well or badly, on time or not.

An answer is a function of the handler of one request. Nothing here waits for time to pass: silent
and dripping answers hold on until the test ends.
"""

import datetime as dt
import gzip
import ipaddress
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
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

AUTHORITY_NAME = "authority of the tests"
AUTHORITY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)

PAGE = b"<!DOCTYPE html><html><body>Please sign in to the network.</body></html>"


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    headers: Message


class Handler(BaseHTTPRequestHandler):
    """Note one request and give the next answer that the test has planned for its folder."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_SECONDS
    server: "MirrorServer"

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.requests.append(Request(self.command, self.path, self.headers))
        with suppress(OSError):  # the client has hung up, as it should on many of these
            self.server.next_answer(self.folder)(self)

    do_CONNECT = do_GET  # as a proxy  # noqa: N815

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def file(self) -> bytes:
        return self.server.files[self.name]

    def start(self, status: int = 200, headers: dict[str, Any] | None = None) -> None:
        """Send the status line and headers, no more of them than given."""
        self.send_response_only(status)
        for name, value in (headers or {}).items():
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
        self.context = context
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[Request] = []
        self.ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://{HOST}:{self.server_port}"

    def mirror(self, *answers: Answer) -> str:
        """Open a folder that gives these answers in turn, the last one ever after."""
        folder = f"/{len(self.answers)}"
        self.answers[folder] = list(answers)
        return f"{self.url}{folder}/"

    def proxy(self, answer: Answer) -> str:
        """Answer as a proxy, at the host and port returned; a CONNECT names no folder."""
        self.answers[""] = [answer]
        return f"{HOST}:{self.server_port}"

    def next_answer(self, folder: str) -> Answer:
        with self._lock:
            answers = self.answers[folder]
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def asked(self, mirror: str) -> list[Request]:
        """Return the requests that came to one of the folders."""
        folder = mirror.removeprefix(self.url)
        return [request for request in self.requests if request.path.startswith(folder)]

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.context is not None:
            # The handshake waits for the first read, in the thread of the connection.
            connection = self.context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

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


def send(body: Callable[[Handler], bytes], *, code: int = 200, **headers: str) -> Answer:
    """Send a body with its length, unless it is chunked, and close.

    `Content_Type="text/html"` and the like become headers.
    """

    def answer(reply: Handler) -> None:
        data = body(reply)
        length = {} if "Transfer_Encoding" in headers else {"Content-Length": len(data)}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply.start(code, length | named)
        reply.wfile.write(data)

    return answer


def _halve(reply: Handler) -> bytes:
    return reply.file[: len(reply.file) // 2]


whole = send(lambda reply: reply.file)
page = send(lambda _: PAGE, Content_Type="text/html")
# Another content of the same size, well packed; and a change of the packing's last byte.
exchanged = send(lambda reply: gzip.compress(gzip.decompress(reply.file)[::-1]))
damaged = send(lambda reply: reply.file[:-1] + bytes([reply.file[-1] ^ 1]))
# What servers make of a `.gz`: unpacked on the way, or the compression called the transfer's.
raw = send(lambda reply: gzip.decompress(reply.file))
encoded = send(lambda reply: reply.file, Content_Encoding="gzip")
chunked = send(
    lambda reply: b"%x\r\n%b\r\n0\r\n\r\n" % (len(reply.file), reply.file),
    Transfer_Encoding="chunked",
)


def status(code: int) -> Answer:
    return send(lambda _: b"", code=code)


def reset(reply: Handler) -> None:
    """Send half and break the connection off."""
    reply.start(200, {"Content-Length": len(reply.file)})
    reply.wfile.write(_halve(reply))
    reply.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, UNLINGERING)


def stall(reply: Handler) -> None:
    """Send half and fall silent."""
    reply.start(200, {"Content-Length": len(reply.file)})
    reply.wfile.write(_halve(reply))
    reply.server.ended.wait(PATIENCE_SECONDS)


def drip_body(reply: Handler) -> None:
    reply.start(200, {"Content-Length": len(reply.file)})
    for byte in reply.file:
        if reply.server.ended.wait(DRIP_SECONDS):
            return
        reply.wfile.write(bytes([byte]))


def endless(reply: Handler) -> None:
    reply.start()
    while not reply.server.ended.is_set():
        reply.wfile.write(bytes(1 << 16))


def redirect(target: str) -> Answer:
    """Send the client to the same file under another address."""
    return lambda reply: reply.start(302, {"Location": target + reply.name, "Content-Length": 0})


def tunnel(target: MirrorServer) -> Answer:
    """Be a proxy whose every way leads to the target."""

    def answer(reply: Handler) -> None:
        reply.start()
        near = reply.connection
        with socket.create_connection((HOST, target.server_port)) as far:
            while True:
                # What TLS has decrypted already, no descriptor shows.
                waiting = isinstance(near, ssl.SSLSocket) and near.pending()
                ready = [near] if waiting else select.select([near, far], [], [])[0]
                for end in ready:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    (far if end is near else near).sendall(data)

    return answer


# Certificates


class Authority:
    """A certificate authority that exists for the tests only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = folder / "authority.pem"  # what a client is told to trust
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.bundle.write_bytes(_certify(self.key, signer=self.key).public_bytes(Encoding.PEM))

    def context(self, host: str = HOST, *, self_signed: bool = False) -> ssl.SSLContext:
        """Return a server's context for the host."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certify(key, key if self_signed else self.key, host)
        path = self.folder / f"{certificate.serial_number}.pem"
        path.write_bytes(
            certificate.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _certify(
    key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, host: str | None = None
) -> x509.Certificate:
    """Sign a certificate of the key: a server's if there is a host, else the authority's."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    subject = host or AUTHORITY_NAME
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_common_name(subject))
        .issuer_name(_common_name(subject if signer is key else AUTHORITY_NAME))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - dt.timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signed_by, critical=False)
    )
    if host is None:
        builder = builder.add_extension(AUTHORITY_USAGE, critical=True)
    else:
        names = [x509.IPAddress(ipaddress.ip_address(host)), x509.DNSName("localhost")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
