"""The server of `demo`: the standard library's, for this machine and for its own page alone.

The host that a request names is checked: a site's own name could lead here (DNS rebinding).
"""

import json
import re
import sys
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from digits.commands.demo.drawings import Reader
from digits.errors import DigitsError

OWN_HOST = re.compile(r"(localhost|127\.0\.0\.1)(:[0-9]+)?")  # a tunnel has a port of its own
MOST_BYTES = 2**24  # of a picture
PAGE_DIR = Path(__file__).with_name("page")
FILES = ("index.html", "demo.css", "demo.js", "icon.svg")


class Server(ThreadingHTTPServer):
    """Listens on this machine; each connection has a thread, so that an idle one blocks nothing."""

    request_queue_size = 128  # connections that come at once

    def __init__(self, port: int, reader: Reader) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answers = reader.list_answers()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a browser that has gone
            super().handle_error(request, client_address)


class Handler(SimpleHTTPRequestHandler):
    """Gives the page's files, and what the page asks for by POST; a connection has one request."""

    server: Server
    timeout = 20  # seconds of waiting for a byte
    server_version, sys_version = "digits", ""

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        hosts, origins = (self.headers.get_all(name, []) for name in ("Host", "Origin"))
        own = [f"http://{host}" for host in hosts if OWN_HOST.fullmatch(host)]
        is_page = origins == own or (self.command == "GET" and not origins)  # opened
        if len(hosts) == len(own) == 1 and is_page:
            return True
        self.send_error(HTTPStatus.FORBIDDEN)
        return False

    def translate_path(self, path: str) -> str:
        name = path.removeprefix("/") or "index.html"
        return str(PAGE_DIR / name) if name in FILES else ""

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path not in self.server.answers:
            self.send_error(HTTPStatus.NOT_FOUND)
        elif not re.fullmatch("[0-9]{1,19}", length):
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif int(length) > MOST_BYTES:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            try:
                self._answer(self.server.answers[self.path](self.rfile.read(int(length))))
            except DigitsError as error:
                self._answer({"error": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def send_error(self, code: int, *_: Any) -> None:
        """Name the error, and nothing of the request, which the standard library would quote."""
        self._answer({"error": HTTPStatus(code).phrase}, code)

    def log_message(self, *_: Any) -> None:
        """Print nothing of a request."""

    def _answer(self, said: dict[str, Any], status: int = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())
