"""The server of `demo`: a page, and two answers to it. Python's own, with rules around it.

Web pages elsewhere must not use it: a request names this server as its host (else a page could
have its own name lead here, DNS rebinding) and this page as its origin. Nobody can keep it busy:
bytes, seconds and requests at a time are limited.
"""

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

from digits.commands.drawings import Reader, RefusedError

MOST_BYTES = 2**24  # of a picture
MOST_SECONDS = 20.0  # of a request, reading and answering
MOST_REQUESTS = 16  # at a time; others wait
PAGE_DIR = Path(__file__).with_name("demo_page")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/demo.css": ("demo.css", "text/css; charset=utf-8"),
    "/demo.js": ("demo.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Server(ThreadingTCPServer):
    """Listens for browsers; `host` is what they may call it, beside its address and localhost.

    It is no `HTTPServer`, which asks the network for its own name.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, host: str, port: int, reader: Reader, most_seconds: float = MOST_SECONDS
    ) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.address_family, *_, address = found[0]
        self.host = host.lower()
        self.reader = reader
        self.most_seconds = most_seconds
        self.slots = threading.BoundedSemaphore(MOST_REQUESTS)
        super().__init__((str(address[0]), int(address[1])), Handler)

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.server_address[1]}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(self.most_seconds, _cut, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self.slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a browser that has gone
            super().handle_error(request, client_address)


def _cut(request: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has just ended by itself
        request.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """Answers one request; HTTP/1.0: a connection has no second one."""

    server: Server
    server_version, sys_version = "digits", ""

    def do_GET(self) -> None:
        if not self._is_from_here(needs_origin=False):
            self.send_error(HTTPStatus.FORBIDDEN)
        elif self.path == "/facts":
            reader = self.server.reader
            classes = reader.classifier.class_names
            self._answer_json({"classes": classes, "has_nearest": reader.nearest is not None})
        elif self.path in FILES:
            name, kind = FILES[self.path]
            self._answer(HTTPStatus.OK, (PAGE_DIR / name).read_bytes(), kind)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        if not self._is_from_here(needs_origin=True):
            self.send_error(HTTPStatus.FORBIDDEN)
        elif not (answer := self._find_answer()):
            self.send_error(HTTPStatus.NOT_FOUND)
        elif (length := self._read_length()) is None:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif length > MOST_BYTES:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif len(raw := self.rfile.read(length)) == length:
            try:
                self._answer_json(answer(raw))
            except RefusedError as error:
                self._answer_json({"error": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Name the error, and nothing of the request, which the standard library would quote."""
        del message, explain
        status = HTTPStatus(code)
        self._answer_json({"error": status.phrase}, status)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
        """Say nothing: what is asked is the user's own."""

    def _is_from_here(self, *, needs_origin: bool) -> bool:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1:
            return False
        origins = self.headers.get_all("Origin", [])
        is_own = origins == [f"http://{hosts[0]}"] or not (origins or needs_origin)
        reached = self.connection.getsockname()[0]
        return is_own and _find_name(hosts[0]) in {"localhost", reached, self.server.host}

    def _find_answer(self) -> Callable[[bytes], dict[str, Any]] | None:
        reader = self.server.reader
        numbers = range(len(reader.classifier.class_names))
        keepers = {f"/keep/{it}": partial(reader.keep, number=it) for it in numbers}
        return reader.read if self.path == "/read" else keepers.get(self.path)

    def _read_length(self) -> int | None:
        length = self.headers.get("Content-Length", "")
        return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None

    def _answer_json(self, said: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._answer(status, json.dumps(said).encode(), "application/json")

    def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        facts = {"Content-Type": kind, "Content-Length": str(len(content))}
        for name, value in (HEADERS | facts).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _find_name(host: str) -> str | None:
    """Return the name or address in a Host header: its port may be that of a tunnel."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
