"""`digits demo`: a page on which to draw a digit and see how the network classifies it."""

import contextlib
from argparse import ArgumentParser, Namespace
from pathlib import Path

from digits.commands.demo.drawings import Reader
from digits.commands.demo.nearest import Nearest, index_images
from digits.commands.demo.server import Server
from digits.data.splits import load_split
from digits.deployment.classifier import load_classifier
from digits.errors import DigitsError
from digits.paths import TRAIN_DIR

PORT = 8028
DRAWINGS_DIR = Path("data/drawings")


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--port", type=int, default=PORT, help=f"0 takes a free one [{PORT}]")
    add(
        "--drawings",
        type=Path,
        default=DRAWINGS_DIR,
        metavar="FOLDER",
        help=f"where corrected drawings are kept [{DRAWINGS_DIR}]",
    )


def load_nearest(class_count: int) -> Nearest | None:
    """Load the training images; None where only the model was pulled."""
    if not TRAIN_DIR.is_dir():
        print(f"{TRAIN_DIR}: none, so no training images are shown: `dvc pull` brings them")
        return None
    return index_images(load_split(TRAIN_DIR, class_count))


def listen(port: int, reader: Reader) -> Server:
    """Open the server.

    Raises:
        DigitsError: the port is taken, not allowed, or none.
    """
    try:
        return Server(port, reader)
    except (OSError, OverflowError) as error:
        raise DigitsError(
            f"--port: expected a free port, received {port}: {error}; `--port 0` takes a free one"
        ) from error


def main(arguments: Namespace) -> None:
    classifier = load_classifier()
    nearest = load_nearest(len(classifier.class_names))
    reader = Reader(classifier, nearest, arguments.drawings)
    with (
        listen(arguments.port, reader) as server,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(f"Draw at http://127.0.0.1:{server.server_port}/ (Ctrl-C ends)", flush=True)
        server.serve_forever()
