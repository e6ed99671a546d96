"""Addresses as they may be shown: without user, password, query and fragment."""

import re

MASK = "***"
CLOSING = "\"')]}>.,;:"  # at the end of an address in a text, these belong to the text

# Schemes known to be one need no slashes: `https:user:password@host` was meant as an address.
START = (
    r"(?:\b(?:https?|ftps?|webdavs?|s3|ssh|sftp|socks\w{0,2}):[/\\]*"
    r"|(?<![a-z\d+.-])[a-z][a-z\d+.-]*:/{2,}|/{2,})"
)
LOGIN = r"(?!mailto:|[a-z]:[/\\])[^\s/\\:@\"'(<\[=,]+:(?![/\\\s])"  # a user and a colon
IN_TEXT = re.compile(
    rf"(?P<start>{START})(?P<rest>(?:(?![a-z][a-z\d+.-]{{0,20}}://)\S)*)"
    rf"|(?<![^\s\"'(<\[=,])(?P<login>{LOGIN}(?:(?!\w://)\S){{0,1024}}@)"
    r"|(?P<path>(?<=url: )/[^\s?#]*[?#]|\?(?=[^\s?=&/]+=))(?P<query>\S*)",
    re.IGNORECASE,
)
WHOLE = re.compile(
    rf"\s*(?:(?P<start>{START})(?P<rest>.*)|(?P<login>{LOGIN}.*@))", re.IGNORECASE | re.DOTALL
)
PLAIN_HOST = re.compile(r"[\w-]+(\.[\w-]+)+(?=/|$)")


def mask_url(url: str) -> str:
    """Mask the secrets of one address, however malformed: `https://***@host/path?***`.

    A text with a scheme or with `//` is an address. Masked is what follows its first ? or #, and
    what comes before its last @: a password that is not percent-encoded may hold any character.
    Only if a dotted host without a port comes first, a later @ is the path's own:
    `https://host.org/package@1.0/`. Without a scheme, `user:password@host` is masked.

    No addresses, and shown as they are: local paths, `user@host:path` of SSH, e-mail addresses.
    """
    found = WHOLE.match(url)
    return mask_urls(_mask(found, "") + url[found.end() :] if found else url)


def mask_urls(text: str) -> str:
    """Mask the secrets of every address in a text, each taken to end at a space.

    Libraries print paths alone: the rest of a `?name=value` is masked without an address, too.
    """
    if not any(mark in text for mark in "@?#"):
        return text
    return IN_TEXT.sub(lambda found: _mask(found, CLOSING), text)


def has_secrets(url: str) -> bool:
    """Tell whether an address has what is masked, be it empty or masked already."""
    return mask_url(url) != url or MASK in url


def _mask(found: re.Match[str], closing: str) -> str:
    match found.lastgroup:
        case "login":
            return f"{MASK}@"
        case "query":
            return found["path"] + _mask_tail(found["query"], closing)
    start, rest = found["start"], found["rest"]
    has_host = start.lower() != "file:///"
    if "@" in rest and has_host and not PLAIN_HOST.match(rest):
        rest = MASK + rest[rest.rindex("@") :]
    if cut := re.search("[?#]", rest):
        rest = rest[: cut.end()] + _mask_tail(rest[cut.end() :], closing)
    return start + rest


def _mask_tail(tail: str, closing: str) -> str:
    return MASK + tail[len(tail.rstrip(closing)) :]
