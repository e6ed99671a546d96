"""Read one file from an https address, whole and in time."""

import os
import re
import signal
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from tqdm import tqdm

from digits.errors import DigitsError
from digits.urls import mask_urls

CHUNK_SIZE = 1 << 16  # bytes
RETRY_STATUSES = {429, 500, 502, 503, 504}
RETRY_AFTER_LIMIT = 10.0  # seconds: past it, the next mirror is the better answer
MAX_REDIRECTS = 5
# What people set to have their organization's certificates trusted. The first two are those of
# requests, which then trusts nothing else; the other two, OpenSSL's, take the system's place.
CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")  # as OpenSSL looks certificates up in a folder
# OpenSSL's X509_V_ERR_*: self-signed, issuer unknown. Expired and misnamed ones are not among them.
UNTRUSTED_CODES = {2, 18, 19, 20, 21}


class MirrorError(DigitsError):
    """One mirror did not give the file; the message is the reason."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after  # seconds; None: asking again would not help


class CertificatesError(DigitsError):
    """A variable names certificates that are not there."""


def read_url(url: str, size: int, timeout_seconds: float, deadline_seconds: float) -> bytes:
    """Read a file from an https address; at most `size` + 1 bytes are read.

    One that fails for a passing reason is asked once more, unless it wants more than the deadline.

    Raises:
        MirrorError: no such file there, or no whole answer in time.
        CertificatesError: a variable of the environment names no certificates.
    """
    try:
        return _read_url(url, size, timeout_seconds)
    except MirrorError as error:
        wait = error.retry_after
        if wait is None or wait > deadline_seconds:
            raise
    # After the handler: within it, the first failure would pass for the cause of a second.
    time.sleep(wait)
    return _read_url(url, size, timeout_seconds)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
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


class _Adapter(HTTPAdapter):
    """Trust the system's certificates beside certifi's, and name a proxy that is malformed."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        # What requests trusts is added to the context: certifi's, or its two variables'.
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, pool | {"ssl_context": self._context}

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        if proxy.lower().startswith("https:"):
            proxy_kwargs["proxy_ssl_context"] = self._context
        return super().proxy_manager_for(proxy, **proxy_kwargs)

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        try:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        except (requests.exceptions.RequestException, ValueError) as error:
            # requests has checked the other address, that of the request, before.
            proxy = select_proxy(request.url, proxies)
            if proxy is None:
                raise
            if isinstance(error, requests.exceptions.InvalidSchema):  # SOCKS needs a library
                raise MirrorError(
                    f"the proxy {mask_urls(proxy)}: {mask_urls(str(error))}"
                ) from error
            raise MirrorError(
                f"the address of the proxy is malformed: {mask_urls(proxy)}"
            ) from error


def _build_context() -> ssl.SSLContext:
    """Return a context that trusts the certificates of the system, or what stands in for them.

    Raises:
        CertificatesError: a variable names none.
    """
    values = ((name, os.environ.get(name)) for name in CERTIFICATE_VARIABLES)
    return _load_context(tuple((name, value) for name, value in values if value))


@cache
def _load_context(variables: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    named = dict(variables)
    for name, value in named.items():
        _check_certificates(name, value)
    for name in CERTIFICATE_VARIABLES[:2]:
        if path := named.get(name):
            if Path(path).is_dir():
                return ssl.create_default_context(capath=path)
            return ssl.create_default_context(cafile=path)
    return ssl.create_default_context()  # it reads SSL_CERT_FILE and SSL_CERT_DIR


def _check_certificates(variable: str, value: str) -> None:
    """Refuse a variable without certificates: OpenSSL would pass over it in silence."""
    folders = [Path(part) for part in value.split(os.pathsep) if part]
    if variable == "SSL_CERT_DIR" or (variable != "SSL_CERT_FILE" and Path(value).is_dir()):
        names = [path.name for folder in folders if folder.is_dir() for path in folder.iterdir()]
        if not any(map(HASHED_NAME.fullmatch, names)):
            raise CertificatesError(
                f"{variable}: expected a folder of certificates as `openssl rehash` leaves it, "
                f"received {value}"
            )
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=value)
    except OSError as error:
        raise CertificatesError(
            f"{variable}: expected a file of certificates (PEM), received {value} "
            f"({error.strerror or error})"
        ) from error


def _read_url(url: str, size: int, timeout: float) -> bytes:
    try:
        with _Session() as session:
            session.mount("https://", _Adapter(_build_context()))
            session.max_redirects = MAX_REDIRECTS
            session.headers["Accept-Encoding"] = "identity"
            with session.get(url, stream=True, timeout=timeout) as response:
                _check_status(response)
                return _read_body(response, url.rpartition("/")[2], size)
    except requests.exceptions.ProxyError as error:
        proxy = _find_proxy(error, url)
        reason = f"no connection through the proxy {mask_urls(proxy)} ({_reason(error)})"
        raise MirrorError(reason, retry_after=0.0) from error
    except requests.exceptions.SSLError as error:
        raise MirrorError(f"no trusted TLS connection ({_reason(error)})") from error
    except requests.exceptions.InvalidURL as error:
        # Its text is left out: it quotes the URL.
        raise MirrorError("the URL of the mirror or a redirect is malformed") from error
    except requests.exceptions.TooManyRedirects as error:
        raise MirrorError(f"more than {MAX_REDIRECTS} redirects") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
        raise MirrorError(f"silent for {timeout:g} s", retry_after=0.0) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        raise MirrorError(_reason(error), retry_after=0.0) from error


def _find_proxy(error: requests.exceptions.ProxyError, url: str) -> str:
    """Return the address of the proxy that a request failed at; a redirect's may be another."""
    target = str((error.request and error.request.url) or url)
    proxies = requests.utils.get_environ_proxies(target)
    return select_proxy(target, proxies) or "of the environment"


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
    length = response.headers.get("Content-Length", "")
    total = int(length) if re.fullmatch("[0-9]{1,18}", length) else None
    with tqdm(total=total, unit="B", unit_scale=True, desc=name, leave=False) as bar:
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
    # What failed on the way to a proxy, urllib3 has never raised as its own: it holds it.
    if isinstance(error, urllib3.exceptions.SSLError) and isinstance(error.args[0], ssl.SSLError):
        error = error.args[0]
    reason = mask_urls(str(error)) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in UNTRUSTED_CODES:
        variables = [name for name in CERTIFICATE_VARIABLES[:2] if os.environ.get(name)]
        variable = (variables or ["SSL_CERT_FILE"])[0]
        reason += f"; set {variable} to your organization's certificate: docs/troubleshooting.md"
    return reason
