"""`make demo`: a page on which one draws a digit, and sees what the network makes of it."""

import contextlib
import errno
import ipaddress
import os
import socket
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from digits.commands.classifier import load_classifier
from digits.commands.demo_server import Server
from digits.commands.drawings import Reader
from digits.commands.nearest import Nearest, index_images
from digits.data.splits import load_split
from digits.errors import DigitsError
from digits.paths import TRAIN_DIR

HOST, PORT = "127.0.0.1", 8028
DRAWINGS_DIR = Path("data/drawings")
# Of the environment a server needs no more, and least of all the keys of a remote.
NEEDED = {"HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ"}


class DemoError(DigitsError):
    """An option makes no sense, or the server cannot listen."""


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default=HOST, help=f"address to listen at [{HOST}, this machine alone]")
    add("--port", type=int, default=PORT, help=f"0 takes a free one [{PORT}]")
    add(
        "--drawings",
        type=Path,
        default=DRAWINGS_DIR,
        metavar="FOLDER",
        help=f"where corrected drawings are kept [{DRAWINGS_DIR}]",
    )


def check_options(arguments: Namespace) -> None:
    """Refuse what cannot work.

    Raises:
        DemoError: says which option.
    """
    if not 0 <= arguments.port < 2**16:
        raise DemoError(f"--port: expected 0 to 65535, received {arguments.port}")


def load_nearest(class_count: int) -> Nearest | None:
    """Load the training images; where only the model was pulled, there are none."""
    if not TRAIN_DIR.is_dir():
        print(f"{TRAIN_DIR}: none, so no training images are shown: `dvc pull` brings them")
        return None
    return index_images(load_split(TRAIN_DIR, class_count))


def listen(host: str, port: int, reader: Reader) -> Server:
    """Open the server.

    Raises:
        DemoError: no such address here, or its port is taken.
    """
    try:
        return Server(host, port, reader)
    except socket.gaierror as error:
        raise DemoError(
            f"--host: expected an address, received {host!r}: {error.strerror}"
        ) from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise DemoError(f"{host}:{port}: cannot listen: {error.strerror}") from error
        raise DemoError(
            f"--port: expected a free one, received {port}, which another program uses: "
            "`--port 0` takes a free one"
        ) from error


def drop_environment() -> None:
    """Forget what the server does not need, credentials above all."""
    for name in set(os.environ) - NEEDED:
        del os.environ[name]


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main(arguments: Namespace) -> None:
    check_options(arguments)
    classifier = load_classifier()
    nearest = load_nearest(len(classifier.class_names))
    drop_environment()
    reader = Reader(classifier, nearest, arguments.drawings)
    with listen(arguments.host, arguments.port, reader) as server:
        if not is_loopback(arguments.host):
            print(f"WARNING: --host {arguments.host}: others can reach it, too", file=sys.stderr)
        with contextlib.suppress(KeyboardInterrupt):
            print(f"Draw at {server.url} (Ctrl-C ends)", flush=True)
            server.serve_forever()
