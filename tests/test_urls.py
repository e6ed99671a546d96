"""What is shown of an address, and what is no address."""

import pytest

from digits.urls import mask_urls

MASKED = {
    "https://user:secret@host/path": "https://***@host/path",
    "https://user:pa/secret@host/": "https://***@host/",
    "https://host/path?X-Amz-Signature=secret": "https://host/path?***",
    "user:secret@host:3128": "***@host:3128",
    "remote (webdav://user:secret@host:80/x): none": "remote (webdav://***@host:80/x): none",
    "exceeded with url: /a?sig=secret (Caused by X)": "exceeded with url: /a?*** (Caused by X)",
    "the proxy user:secret@host:80, which": "the proxy ***@host:80, which",
}
PLAIN = (
    "https://host:8443/path",
    "https://[::1]:8443/path",
    "../shared/mnist",
    "/home/a@b/mnist",
    "a@b.org",
    "maria@lab.org:/srv/digits",
    "what? a = b",
    "",
)


@pytest.mark.parametrize(("text", "masked"), MASKED.items())
def test_secrets_are_masked_once(text: str, masked: str) -> None:
    assert mask_urls(text) == masked
    assert mask_urls(masked) == masked


@pytest.mark.parametrize("text", PLAIN)
def test_what_has_no_secrets_is_shown(text: str) -> None:
    assert mask_urls(text) == text
