"""Read one file from an https address, whole and in time; no other module opens connections."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import NoReturn

import requests
import urllib3
from tqdm import tqdm

from digits.errors import DigitsError

CHUNK_SIZE = 1 << 16  # bytes
RETRY_STATUSES = {429, 500, 502, 503, 504}


class MirrorError(DigitsError):
    """A mirror does not deliver a file; the message is the reason."""


class PassingError(MirrorError):
    """A failure that may be temporary."""


def read_url(url: str, size: int, timeout_seconds: float, deadline_seconds: float) -> bytes:
    """Read a file from an https address; at most `size` + 1 bytes are read.

    A temporary failure is tried once more. Proxies and certificates come from the environment.

    Raises:
        MirrorError: there is no such file, or no complete answer in time.
    """
    with time_limit(deadline_seconds):
        with suppress(PassingError):
            return _read_url(url, size, timeout_seconds)
        return _read_url(url, size, timeout_seconds)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise MirrorError if the block takes longer.

    A socket's timeout is not enough: a server that keeps sending single bytes never meets it.
    """

    def give_up(*_: object) -> NoReturn:
        raise MirrorError(f"not done within {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _read_url(url: str, size: int, timeout: float) -> bytes:
    try:
        with requests.Session() as session:
            del session.adapters["http://"]  # no redirect may leave https
            # requests itself reads REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, which come first.
            variables = (os.environ.get(f"SSL_CERT_{kind}") for kind in ("FILE", "DIR"))
            session.verify = next(filter(None, variables), True)
            session.headers["Accept-Encoding"] = "identity"
            session.hooks["response"].append(_drop_body_of_redirect)
            with session.get(url, stream=True, timeout=timeout) as response:
                _check_status(response)
                return _read_body(response, size)
    except requests.exceptions.InvalidSchema as error:
        raise MirrorError("redirected away from https, or a SOCKS proxy without PySocks") from error
    except ValueError as error:  # its text may have the password of a proxy
        raise MirrorError("malformed address of the mirror, a redirect or the proxy") from error
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise PassingError(_find_cause(error)) from error


def _drop_body_of_redirect(response: requests.Response, **_: object) -> None:
    """Close a redirect, whose body requests would read whole, however long."""
    if response.is_redirect:
        response.close()


def _check_status(response: requests.Response) -> None:
    if response.status_code != requests.codes.ok:
        kind = PassingError if response.status_code in RETRY_STATUSES else MirrorError
        raise kind(f"HTTP {response.status_code} {response.reason}")


def _read_body(response: requests.Response, size: int) -> bytes:
    """Read the body as it is sent, with a progress bar on a terminal.

    A read past an early end raises.
    """
    body, length = bytearray(), response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    with tqdm(total=total, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        while chunk := response.raw.read(
            min(CHUNK_SIZE, size + 1 - len(body)), decode_content=False
        ):
            body += chunk
            bar.update(len(chunk))
    return bytes(body)


def _find_cause(error: BaseException) -> str:
    """Return the root cause of an error of requests, whose own text has object addresses."""
    while not isinstance(error, HTTPException) and (cause := error.__cause__ or error.__context__):
        error = cause
    return str(error) or type(error).__name__
