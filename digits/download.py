"""Bring one file from the first mirror that has it: a local folder or an https address."""

import time
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from tqdm import tqdm

from digits.errors import DigitsError

CHUNK_SIZE = 1 << 16  # bytes
RETRY_STATUSES = {429, 500, 502, 503, 504}
RETRY_AFTER_LIMIT = 10.0  # seconds: past it, the next mirror is the better answer


class MirrorError(DigitsError):
    """One mirror did not give the file; the message is the reason."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after  # seconds; None: asking again would not help


class FolderAbsentError(MirrorError):
    """A local folder is not there, which is fine: it is where a team's copy may be."""


def check_mirror(mirror: str) -> str:
    """Return the mirror if it is a local folder or a plain https address.

    Raises:
        ValueError: another scheme, credentials, a query or a fragment.
    """
    parts = urlsplit(mirror)
    if "://" not in mirror:
        return mirror
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("a local folder or an https:// address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an https:// address without credentials, query or fragment")
    return mirror


def read_mirror(
    mirror: str, name: str, size: int, *, timeout_seconds: float, deadline_seconds: float
) -> bytes:
    """Read the file `name` of `size` bytes from a mirror; at most `size` + 1 bytes are read.

    An https mirror that fails for a passing reason is asked once more.

    Raises:
        MirrorError: no such file there, or no whole answer in time.
    """
    if "://" not in mirror:
        return _read_folder(Path(mirror), name, size)
    url = f"{mirror.rstrip('/')}/{name}"
    deadline = time.monotonic() + deadline_seconds
    try:
        return _read_url(url, name, size, timeout_seconds, deadline)
    except MirrorError as error:
        if error.retry_after is None or time.monotonic() + error.retry_after > deadline:
            raise
        time.sleep(error.retry_after)
        return _read_url(url, name, size, timeout_seconds, deadline)


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


def _read_url(url: str, name: str, size: int, timeout: float, deadline: float) -> bytes:
    with requests.Session() as session:
        session.adapters.pop("http://")  # a redirect there finds no adapter, like file: or ftp:
        session.max_redirects = 5
        try:
            response = session.get(
                url, stream=True, timeout=timeout, headers={"Accept-Encoding": "identity"}
            )
            _check_status(response)
            return _read_body(response, name, size, deadline)
        except requests.exceptions.SSLError as error:
            raise MirrorError(f"TLS certificate not trusted ({_reason(error)})") from error
        except requests.exceptions.InvalidSchema as error:
            raise MirrorError("redirected away from https") from error
        except requests.exceptions.TooManyRedirects as error:
            raise MirrorError("more than 5 redirects") from error
        except (requests.exceptions.Timeout, TimeoutError) as error:
            raise MirrorError(f"no answer within {timeout:g} s", retry_after=0.0) from error
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


def _read_body(response: requests.Response, name: str, size: int, deadline: float) -> bytes:
    """Read the body as sent, at most `size` + 1 bytes, with a progress bar in bytes."""
    body = bytearray()
    with tqdm(total=size, unit="B", unit_scale=True, desc=name, leave=False) as bar:
        while len(body) <= size:
            # read1 returns what has come: a body that drips cannot outlast the deadline.
            chunk = response.raw.read1(min(CHUNK_SIZE, size + 1 - len(body)), decode_content=False)
            if not chunk:
                break
            body += chunk
            bar.update(len(chunk))
            if time.monotonic() > deadline:
                raise MirrorError(f"too slow: {len(body)} of {size} bytes before the deadline")
    return bytes(body)


def _reason(error: BaseException) -> str:
    """The innermost cause of a requests error: its own text is a nest of object addresses."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__
