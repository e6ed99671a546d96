"""A headless Chromium, driven by its DevTools protocol over a pipe: no port, no library."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PROGRAMS = ("chromium", "google-chrome")
# Chromium reads descriptor 3 and writes descriptor 4.
REDIRECT = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1'
OPTIONS = (
    *("--headless", "--remote-debugging-pipe", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-gpu"),
)


class Browser:
    """A page of a browser; it is asked, and answers, one thing at a time."""

    def __init__(self, asked: IO[bytes], answered: IO[bytes]) -> None:
        self._asked, self._answered = asked, answered
        self._number = 0
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        said = {"id": self._number, "method": method, "params": parameters, **self._session}
        self._asked.write(json.dumps(said).encode() + b"\0")
        self._asked.flush()
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def _read(self) -> bytes:
        read = bytearray()
        while (byte := self._answered.read(1)) != b"\0":
            assert byte, "the browser has ended"
            read += byte
        return bytes(read)

    def show(self, url: str, width: int, height: int, scheme: str = "light") -> None:
        """Open a page in a window of some size, light or dark; wait until it is there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", **size, mobile=width < 500)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript comes to, its promise awaited."""
        done = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, (expression, done)
        return done["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait, for a minute at most, until a condition of JavaScript holds."""
        poll = f"""new Promise((resolve) => {{
            const end = Date.now() + 60000;
            const look = () => (({condition}) || Date.now() > end
                ? resolve(Boolean({condition})) : setTimeout(look, 20));
            look();
        }})"""
        assert self.evaluate(poll), condition

    def drag(self, points: Sequence[tuple[float, float]], pointer: str = "mouse") -> None:
        """Press a mouse, pen or finger at the first point, move it along, let it go at the last."""
        if pointer == "touch":
            self.call("Emulation.setTouchEmulationEnabled", enabled=True)
            kinds = ["touchStart", *["touchMove"] * (len(points) - 1)]
            for kind, (x, y) in zip(kinds, points, strict=True):
                self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
            self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            return
        held = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": pointer}
        kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*points, points[-1]], strict=True):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def press(self, key: str, modifiers: int = 0) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, modifiers=modifiers)

    def picture(self) -> bytes:
        """Return the whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {key: size[key] for key in ("x", "y", "width", "height")} | {"scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def open_browser(program: str, folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile is in a folder, and end it."""
    unsafe = ("--no-sandbox",) if os.geteuid() == 0 else ()  # root has no sandbox
    words = ("sh", "-c", REDIRECT, "sh", program, *OPTIONS, *unsafe, f"--user-data-dir={folder}")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        browser = Browser(process.stdin, process.stdout)
        try:
            yield browser
        finally:
            process.stdin.close()  # it ends with its pipe
