"""What is shown of an address, and what is no address."""

import pytest

from digits.urls import has_secrets, mask_url, mask_urls

MASKED = {
    "https://user:secret@host/path": "https://***@host/path",
    "https://secret@host:8443/path": "https://***@host:8443/path",
    "HTTPS://user:secret@host/": "HTTPS://***@host/",
    "ssh://user@host/path": "ssh://***@host/path",
    "https://@host/": "https://***@host/",
    "https://host/path?X-Amz-Signature=secret": "https://host/path?***",
    "https://host/path?secret": "https://host/path?***",
    "https://host/?": "https://host/?***",
    "https://host/#": "https://host/#***",
    "https://host/path?key=secret#secret": "https://host/path?***",
    "//user:secret@host/path": "//***@host/path",
    "user:secret@host:3128": "***@host:3128",
    "https://user:p@secret@host/": "https://***@host/",
    "https://user:pa/secret@host/": "https://***@host/",
    "https://user:pa?secret@host/": "https://***@host/",
    "https://user:pa#secret@host/": "https://***@host/",
    "https://user:a secret@host/": "https://***@host/",
    "https://secret/word@host/": "https://***@host/",
    "https://10:20/secret@host/": "https://***@host/",
    "https:/user:secret@host": "https:/***@host",
    "https:user:secret@host": "https:***@host",
    "https//user:secret@host": "https//***@host",
    r"https:\\user:secret@host": r"https:\\***@host",
    "https:///user:secret@host": "https:///***@host",
    "user:pa//secret@host": "***@host",
}
PLAIN = [
    "https://host.org/package@1.0/file",
    "https://host:8443/path",
    "https://[::1]:8443/path",
    "file:///home/a@b/mnist",
    "../shared/mnist",
    "/home/a@b/mnist",
    "~/a@b",
    "a@b.org",
    "mailto:a@b.org",
    "maria@lab.org:/srv/a@b",
    r"C:\Users\a@b\mnist",
    "C:/Users/a@b/mnist",
    "",
]
TEXTS = {
    "HTTPSConnectionPool(host='host', port=443): Max retries exceeded with url: "
    "/a/b?sig=secret (Caused by X)": "HTTPSConnectionPool(host='host', port=443): "
    "Max retries exceeded with url: /a/b?*** (Caused by X)",
    "with url: /a/b?secret (": "with url: /a/b?*** (",
    "403, url='https://user:secret@host/a?b=secret'": "403, url='https://***@host/a?***'",
    "remote team (webdav://user:secret@host:80/x): expected": (
        "remote team (webdav://***@host:80/x): expected"
    ),
    "https://host.org/x,https://user:secret@host/x": "https://host.org/x,https://***@host/x",
    "the proxy user:secret@host:80, which": "the proxy ***@host:80, which",
    "see https://host.org/a. Write to a@b.org, or: a@b": (
        "see https://host.org/a. Write to a@b.org, or: a@b"
    ),
    "connect to host h port 22: a@b.org:/x": "connect to host h port 22: a@b.org:/x",
    "what? a = b # no": "what? a = b # no",
}


@pytest.mark.parametrize(("url", "masked"), MASKED.items(), ids=MASKED)
def test_secrets_of_an_address_are_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked
    assert mask_url(masked) == masked
    assert has_secrets(url)
    assert has_secrets(masked)


@pytest.mark.parametrize("url", [url for url in MASKED if " " not in url])
def test_secrets_in_a_text_are_masked(url: str) -> None:
    assert mask_urls(f"WARNING: {url} fails") == f"WARNING: {MASKED[url]} fails"


@pytest.mark.parametrize("url", PLAIN)
def test_what_has_no_secrets_is_shown(url: str) -> None:
    assert mask_url(url) == url
    assert not has_secrets(url)
    assert mask_urls(f"in '{url}': none") == f"in '{url}': none"


@pytest.mark.parametrize(("text", "masked"), TEXTS.items())
def test_text(text: str, masked: str) -> None:
    assert mask_urls(text) == masked
    assert mask_urls(masked) == masked
