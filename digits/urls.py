"""Addresses as they may be shown: without passwords, tokens and the signatures of queries."""

import re

LOGIN = re.compile(r"//[^\s'\"]*@|(?<![^\s'\"(])[^\s'\"/:@]+:(?!//)[^\s'\"]*@")
QUERY = re.compile(r"\?[^\s'\"<>?]*=[^\s'\"<>?]*")


def mask_urls(text: str) -> str:
    """Mask what is before an address's last @, and queries that have a value.

    `user:password@host` counts as an address; `user@host:path` of SSH does not.
    """
    masked = LOGIN.sub(lambda found: f"{'//' * found[0].startswith('//')}***@", text)
    return QUERY.sub("?***", masked)
