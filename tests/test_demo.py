"""`demo`: the rules of its server, what it answers and keeps, and its page in a real browser."""

import base64
import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import PROGRAMS, Browser, find_browser, open_browser
from imports import ROOT
from PIL import Image, ImageDraw

from digits.commands.demo import command as demo
from digits.commands.demo import drawings
from digits.commands.demo.drawings import Reader
from digits.commands.demo.nearest import Nearest, index_images
from digits.commands.demo.server import MOST_BYTES, Handler, Server
from digits.data.splits import Split
from digits.deployment.classifier import Classifier
from digits.errors import DigitsError
from digits.imaging.normalization import centre

DIGITS = list("0123456789")
# How a hand writes them, 0 to 100 from the left and from above: strokes, a digit each.
STROKES = {
    "0": ["50,18 34,26 27,45 29,65 40,80 54,82 67,72 73,52 70,32 60,21 50,18"],
    "1": ["38,34 54,18 53,40 52,62 51,84"],
    "2": ["28,34 36,22 50,18 64,23 68,36 60,52 44,68 28,82 48,80 72,81"],
    "3": ["30,24 46,18 62,23 64,36 54,47 42,49 58,52 69,63 64,77 48,83 29,77"],
    "4": ["40,18 34,38 29,56 48,57 72,55", "62,32 60,56 57,84"],
    "5": ["68,19 52,19 37,20 34,34 32,46 48,43 63,49 69,62 62,77 46,83 29,78"],
    "6": ["62,18 46,30 34,48 30,66 38,80 52,83 65,75 66,62 55,53 42,57 33,68"],
    "7": ["27,24 48,22 72,21 62,40 52,60 44,83"],
    "8": ["64,26 52,18 38,23 37,36 50,47 64,58 66,74 52,83 37,77 36,63 50,48 63,37 64,26"],
    "9": ["66,32 56,20 42,21 34,34 40,47 54,47 65,36 67,30 65,52 60,70 54,84"],
}


def trace(digit: str) -> list[list[tuple[float, float]]]:
    """Return the strokes of a digit as points, each 0 to 1."""
    strokes = [[pair.split(",") for pair in stroke.split()] for stroke in STROKES[digit]]
    return [[(int(x) / 100, int(y) / 100) for x, y in stroke] for stroke in strokes]


def draw(text: str, side: int = 120) -> Image.Image:
    """Draw the strokes of digits, side by side, as the page does."""
    picture, width = Image.new("L", (side * len(text), side), 255), 0.075 * side
    pencil = ImageDraw.Draw(picture)
    for place, digit in enumerate(text):
        for stroke in trace(digit):
            points = [((place + x) * side, y * side) for x, y in stroke]
            pencil.line(points, fill=0, width=round(width), joint="curve")
            for x, y in (points[0], points[-1]):
                pencil.circle((x, y), width / 2, fill=0)
    return picture


def encode(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    written = io.BytesIO()
    picture.save(written, kind, **options)
    return written.getvalue()


def see(digit: str) -> np.ndarray:
    return centre(1 - np.asarray(draw(digit), np.float32) / 255)


def index_strokes() -> Nearest:
    images = np.stack([see(digit) for digit in DIGITS])[..., np.newaxis]
    return index_images(Split(images, np.arange(10, dtype=np.uint8)))


def read_by_likeness(images: np.ndarray) -> np.ndarray:
    """Give probabilities by how much images (n, 28, 28, 1) resemble the strokes: no network."""
    features = index_images(Split(images, np.zeros(len(images), np.uint8))).features
    powers = np.exp(30 * features @ index_strokes().features.T)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def make_reader(folder: Path) -> Reader:
    return Reader(Classifier(Path("likeness"), DIGITS, read_by_likeness), index_strokes(), folder)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "drawings"


@pytest.fixture
def server(kept: Path) -> Iterator[Server]:
    with Server(0, make_reader(kept)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: Server, path: str, body: bytes | None = None, **headers: str | None
) -> tuple[int, dict[str, str], bytes]:
    """Ask as the page does, but for the headers given; return status, headers and content."""
    host = f"127.0.0.1:{server.server_port}"
    usual = {} if body is None else {"Origin": f"http://{host}"}
    sent = {name: value for name, value in (usual | headers).items() if value is not None}
    with contextlib.closing(http.client.HTTPConnection(host, timeout=30)) as connection:
        connection.request("GET" if body is None else "POST", path, body, sent)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port))


def read(server: Server, body: bytes) -> dict[str, Any]:
    status, _, content = ask(server, "/read", body)
    assert status == 200, content
    return json.loads(content)


def refuse(server: Server, path: str, body: bytes) -> str:
    """Return what the server says of a picture that it refuses."""
    status, _, content = ask(server, path, body)
    assert status == 422, content
    (said,) = json.loads(content).values()
    return said


# What it answers


def test_drawing_is_read_with_all_that_the_page_shows(server: Server) -> None:
    (digit,) = read(server, encode(draw("4")))["digits"]
    assert np.argmax(digit["probabilities"]) == 4
    assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-4)
    seen = np.frombuffer(base64.b64decode(digit["seen"]), np.uint8).reshape(28, 28)
    assert np.corrcoef(seen.ravel(), see("4").ravel())[0, 1] > 0.95
    nearest = digit["nearest"][0]
    assert nearest["class"] == 4
    pixels = np.frombuffer(base64.b64decode(nearest["pixels"]), np.uint8).reshape(28, 28)
    assert np.abs(pixels / 255 - see("4")).max() < 0.003
    assert digit["box"] == pytest.approx([0.25, 0.14, 0.76, 0.88], abs=0.03)


def test_several_digits_are_read_in_order_and_blank_paper_has_none(server: Server) -> None:
    digits = read(server, encode(draw("271"), "JPEG"))["digits"]
    assert [np.argmax(digit["probabilities"]) for digit in digits] == [2, 7, 1]
    assert read(server, encode(Image.new("L", (50, 50), 255))) == {"digits": []}


def test_page_and_its_parts(server: Server) -> None:
    kinds = {"/": "html", "/demo.js": "javascript", "/demo.css": "css", "/icon.svg": "svg"}
    for path, kind in kinds.items():
        status, headers, content = ask(server, path)
        assert (status, len(content) > 100) == (200, True)
        assert kind in headers["Content-type"]
        assert headers["Content-Security-Policy"] == "default-src 'self'; frame-ancestors 'none'"
        assert b"https:" not in content  # nothing from elsewhere
    _, _, content = ask(server, "/facts", b"")
    assert json.loads(content) == {"classes": DIGITS, "has_nearest": True}


# What it keeps


def test_corrected_drawing_is_kept_once_under_its_last_label(server: Server, kept: Path) -> None:
    """The name is ours, and nothing is kept of what the file said beside its pixels."""
    told = Image.Exif()
    told[0x010E] = "a secret place"
    body = encode(draw("1"), exif=told)
    for label in (7, 1, 1):
        status, _, content = ask(server, f"/keep/{label}", body)
        assert (status, json.loads(content)) == (200, {"folder": f"{kept}/{label}"})
    (path,) = kept.rglob("*.*")
    assert re.fullmatch(r"1/[0-9a-f]{16}\.png", str(path.relative_to(kept)))
    with Image.open(path) as picture:
        assert (np.asarray(picture.convert("L")) == np.asarray(draw("1"))).all()
    assert b"secret" not in path.read_bytes()


def test_only_one_digit_is_kept_and_of_a_class(server: Server, kept: Path) -> None:
    said = refuse(server, "/keep/2", encode(draw("27")))
    assert said == "expected one digit to keep, received 2"
    for label in ("10", "", "../7"):
        assert ask(server, f"/keep/{label}", encode(draw("7")))[0] == 404
    assert not kept.exists()
    assert drawings.name_folders(["7", "T-shirt/top", ".."]) == ["7", "T-shirt_top", "__"]


# What it refuses


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("127.0.0.1.evil.example", "http://127.0.0.1.evil.example", 403),
        ("localhost:9000", "http://evil.example", 403),
        ("localhost:9000", None, 403),
        ("localhost:9000", "http://localhost:9000", 200),  # a tunnel
    ],
)
def test_only_its_own_page_is_answered(
    host: str, origin: str | None, expected: int, server: Server, kept: Path
) -> None:
    for path in ("/read", "/keep/1"):
        status, _, content = ask(server, path, encode(draw("1")), Host=host, Origin=origin)
        assert status == expected, content
    assert kept.exists() == (expected == 200)
    assert ask(server, "/", Host="evil.example")[0] == 403


@pytest.mark.parametrize("path", ["/../server.py", "/server.py", "/%2e%2e/server.py", "/read"])
def test_path_that_is_no_part_of_the_page(server: Server, path: str) -> None:
    assert ask(server, path)[::2] == (404, b'{"error": "Not Found"}')


def test_what_is_no_page_of_digits(server: Server) -> None:
    assert "expected a PNG or JPEG" in refuse(server, "/read", encode(draw("1"), "GIF"))
    assert "damaged" in refuse(server, "/read", encode(draw("1"))[:99])
    crowd = encode(Image.fromarray(np.tile(np.asarray(draw(10 * "1")), (4, 1))))
    assert refuse(server, "/read", crowd) == "expected at most 30 digits, received 40"


START = "POST /read HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Content-Length: {MOST_BYTES + 1}", 413),
        ("Content-Length: x", 411),
        ("Transfer-Encoding: chunked", 411),
    ],
)
def test_length_is_known_before_anything_is_read(server: Server, header: str, status: int) -> None:
    with connect(server) as connection:
        connection.sendall(f"{START}{header}\r\n\r\n".encode())
        assert connection.recv(100).startswith(f"HTTP/1.0 {status} ".encode())


def test_idle_connections_block_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "timeout", 600)  # none of them ends by itself
    with connect(server), connect(server) as begun:
        begun.sendall(START.encode())
        assert len(read(server, encode(draw("1")))["digits"]) == 1


# How it starts and ends


def test_port_that_is_taken(server: Server) -> None:
    with pytest.raises(DigitsError, match=r"^--port: expected a free port, received \d+: "):
        demo.listen(server.server_port, make_reader(Path()))


SCRIPT = """
from pathlib import Path
from digits import cli
from digits.commands.demo import command as demo
from digits.deployment.classifier import Classifier

demo.load_classifier = lambda: Classifier(Path("none"), ["0", "1"], lambda images: images)
cli.call_command()
"""


def test_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "demo", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert "no training images are shown" in process.stdout.readline()
        said = process.stdout.readline()
        assert re.fullmatch(r"Draw at http://127\.0\.0\.1:\d+/ \(Ctrl-C ends\)\n", said)
        process.send_signal(signal.SIGINT)
        left = process.communicate(timeout=60)
    assert (process.returncode, *left) == (0, "", "")


# The page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if not program:
        pytest.skip(f"expected one of {PROGRAMS}; on Debian: apt-get install chromium")
    with open_browser(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def show(
    browser: Browser, server: Server, *, is_phone: bool = False, scheme: str = "light"
) -> None:
    size = (390, 844) if is_phone else (1100, 800)
    browser.show(f"http://127.0.0.1:{server.server_port}/", *size, scheme)
    browser.wait("document.querySelectorAll('#labels button').length === 10")


def pencil(browser: Browser, digit: str, pointer: str = "mouse") -> None:
    """Draw a digit on the page."""
    left, top, side = browser.evaluate(
        "(({left, top, width}) => [left, top, width])(paper.getBoundingClientRect())"
    )
    for stroke in trace(digit):
        browser.drag([(left + x * side, top + y * side) for x, y in stroke], pointer)


def settle(browser: Browser) -> str:
    """Return the digit that the page shows when the server has answered."""
    browser.wait("document.getElementById('answer').getAttribute('aria-busy') === 'false'")
    return browser.evaluate("document.getElementById('digit').textContent")


IN_VIEW = """[...document.querySelectorAll("#bars td, #labels button, #note")]
    .every((part) => part.getBoundingClientRect().bottom <= innerHeight)"""


@pytest.mark.slow
@pytest.mark.parametrize(("is_phone", "scheme"), [(False, "light"), (True, "dark")])
def test_digits_that_are_drawn_are_read(
    browser: Browser, server: Server, *, is_phone: bool, scheme: str
) -> None:
    show(browser, server, is_phone=is_phone, scheme=scheme)
    for digit in DIGITS:
        pencil(browser, digit, "touch" if is_phone else "mouse")
        assert settle(browser) == digit
        best = browser.evaluate("document.querySelector('tr.best').textContent")
        assert re.fullmatch(rf"{digit}\d+\.\d %", best)
        assert browser.evaluate("document.querySelector('#nearest li').textContent") == digit
        browser.wait(f"document.getElementById('said').textContent.startsWith('Reads {digit}, ')")
        if digit != "9":
            browser.press("Escape")
            assert settle(browser) == ""
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    browser.evaluate("note('Kept in data/drawings/9. The next stroke begins a new drawing.')")
    assert browser.evaluate(IN_VIEW)
    with Image.open(io.BytesIO(browser.picture())) as picture:
        assert picture.size[0] == (390 if is_phone else 1100)
        light = np.asarray(picture.convert("L")).mean()
    assert (light < 100) if scheme == "dark" else (light > 200)


@pytest.mark.slow
def test_controls_undo_clear_and_correction(browser: Browser, server: Server, kept: Path) -> None:
    show(browser, server)
    pencil(browser, "1")
    assert settle(browser) == "1"
    reached = []
    for _ in range(browser.evaluate("document.querySelectorAll('button').length") + 5):
        key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
        browser.call("Input.dispatchKeyEvent", type="rawKeyDown", **key)
        reached.append(browser.evaluate("document.activeElement.textContent.trim()"))
    assert {"Undo", "Clear", "Picture…", *DIGITS} <= set(reached)
    pencil(browser, "0")
    browser.press("z", modifiers=2)
    assert settle(browser) == "1"
    browser.evaluate("document.querySelectorAll('#labels button')[7].click()")
    browser.wait("document.getElementById('note').textContent.startsWith('Kept in ')")
    assert [path.parent.name for path in kept.rglob("*.png")] == ["7"]
    pencil(browser, "2", "pen")  # begins again
    assert settle(browser) == "2"
    browser.press("Delete")
    assert settle(browser) == ""
    browser.press("z", modifiers=2)  # what was cleared comes back
    assert settle(browser) == "2"
    browser.press("z", modifiers=2)  # the drawing that was kept, and its stroke
    assert settle(browser) == "1"
    browser.press("z", modifiers=2)
    assert settle(browser) == ""
    assert browser.evaluate("document.getElementById('undo').disabled")


def drop(browser: Browser, data: bytes) -> None:
    """Drop a file on the page."""
    browser.evaluate(f"""(() => {{
        const bytes = Uint8Array.from(atob("{base64.b64encode(data).decode()}"),
            (letter) => letter.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], "<b>name</b>", {{ type: "image/png" }}));
        document.dispatchEvent(new DragEvent("drop", {{ dataTransfer, cancelable: true }}));
    }})()""")


@pytest.mark.slow
def test_picture_that_is_dropped(browser: Browser, server: Server) -> None:
    show(browser, server)
    drop(browser, encode(draw("271")))
    browser.wait("document.querySelectorAll('#several button').length === 3")
    assert settle(browser) == "2"
    browser.evaluate("document.querySelectorAll('#several button')[1].click()")
    assert settle(browser) == "7"
    drop(browser, b"no picture")
    browser.wait("document.getElementById('note').className === 'bad'")
    assert "name" not in browser.evaluate("document.body.textContent")
