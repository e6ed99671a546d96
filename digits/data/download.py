"""Bring one file from the first mirror that has it: a local folder or an https address."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import NoReturn
from urllib.parse import urljoin

import requests
import urllib3
from tqdm import tqdm

from digits.errors import DigitsError

CHUNK_SIZE = 1 << 16  # bytes
RETRY_STATUSES = {429, 500, 502, 503, 504}
RETRY_AFTER_LIMIT = 10.0  # seconds: past it, the next mirror is the better answer
MAX_REDIRECTS = 5


class MirrorError(DigitsError):
    """One mirror did not give the file; the message is the reason."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after  # seconds; None: asking again would not help


class FolderAbsentError(MirrorError):
    """A local folder is not there, which is fine: it is where a team's copy may be."""


def read_mirror(
    mirror: str, name: str, size: int, *, timeout_seconds: float, deadline_seconds: float
) -> bytes:
    """Read the file `name` of `size` bytes from a mirror; at most `size` + 1 bytes are read.

    An https mirror that fails for a passing reason is asked once more.

    Raises:
        MirrorError: no such file there, or no whole answer in time.
    """
    with _time_limit(deadline_seconds):
        if "://" not in mirror:
            return _read_folder(Path(mirror), name, size)
        url = f"{mirror.rstrip('/')}/{name}"
        try:
            return _read_url(url, name, size, timeout_seconds)
        except MirrorError as error:
            wait = error.retry_after
            if wait is None or wait > deadline_seconds:
                raise
        # After the handler: within it, the first failure would pass for the cause of a second.
        time.sleep(wait)
        return _read_url(url, name, size, timeout_seconds)


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Give the mirror up when the block takes longer, whatever it is waiting for.

    A socket's timeout ends a silence only. A server that sends a byte now and then never meets it.
    """

    def give_up(*_: object) -> NoReturn:
        raise MirrorError(f"no whole answer within {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _read_folder(folder: Path, name: str, size: int) -> bytes:
    path = folder / name
    try:
        with path.open("rb") as file:
            return file.read(size + 1)
    except FileNotFoundError as error:
        if not folder.is_dir():
            raise FolderAbsentError("no such folder") from error
        raise MirrorError(f"no {name} in this folder") from error
    except OSError as error:
        raise MirrorError(f"{name}: {error.strerror}") from error


class _Session(requests.Session):
    """Follow redirects within https only, and don't read their bodies: requests would, whole."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        if not resp.is_redirect:
            return None
        resp.close()
        try:
            target = urljoin(resp.url, super().get_redirect_target(resp))
        except ValueError as error:
            raise MirrorError("redirected to a malformed URL") from error
        if not target.startswith("https://"):
            raise MirrorError("redirected away from https")
        return target


def _read_url(url: str, name: str, size: int, timeout: float) -> bytes:
    try:
        with _Session() as session:
            session.max_redirects = MAX_REDIRECTS
            session.headers["Accept-Encoding"] = "identity"
            with session.get(url, stream=True, timeout=timeout) as response:
                _check_status(response)
                return _read_body(response, name, size)
    except requests.exceptions.SSLError as error:
        raise MirrorError(f"no trusted TLS connection ({_reason(error)})") from error
    except requests.exceptions.InvalidURL as error:
        # Its text is left out: it quotes the URL, and a proxy's may hold a password.
        raise MirrorError("the URL of the mirror, a redirect or a proxy is malformed") from error
    except requests.exceptions.TooManyRedirects as error:
        raise MirrorError(f"more than {MAX_REDIRECTS} redirects") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
        raise MirrorError(f"silent for {timeout:g} s", retry_after=0.0) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        raise MirrorError(_reason(error), retry_after=0.0) from error


def _check_status(response: requests.Response) -> None:
    if response.status_code == requests.codes.ok:
        return
    retry_after = None
    if response.status_code in RETRY_STATUSES:
        wanted = response.headers.get("Retry-After", "1")
        retry_after = float(wanted) if wanted.isdecimal() else 1.0
        if retry_after > RETRY_AFTER_LIMIT:
            retry_after = None
    raise MirrorError(f"HTTP {response.status_code} {response.reason}", retry_after)


def _read_body(response: requests.Response, name: str, size: int) -> bytes:
    """Read the body as sent, at most `size` + 1 bytes, with a progress bar in bytes."""
    body = bytearray()
    with tqdm(total=size, unit="B", unit_scale=True, desc=name, leave=False) as bar:
        while len(body) <= size:
            chunk = response.raw.read(min(CHUNK_SIZE, size + 1 - len(body)), decode_content=False)
            if not chunk:
                break
            body += chunk
            bar.update(len(chunk))
    return bytes(body)


def _reason(error: BaseException) -> str:
    """The cause of a requests error, whose own text is a nest of object addresses."""
    # Below the exceptions of HTTP lies how they were noticed: a failed int() and the like.
    while not isinstance(error, HTTPException) and (cause := error.__cause__ or error.__context__):
        error = cause
    return str(error) or type(error).__name__
