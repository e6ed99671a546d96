"""Addresses as they may be shown: without passwords, tokens and the signatures of queries."""

import re

LOGIN = re.compile(r"//[^\s'\"]*@|(?<![^\s'\"(])[^\s'\"/:@]+:(?!//)[^\s'\"]*@")
QUERY = re.compile(r"\?[^\s'\"<>?]*=[^\s'\"<>?]*")


def mask_urls(text: str) -> str:
    """Mask what comes before an address's last @, and a query that has a value.

    Without a scheme, `user:password@host` is taken for an address; `user@host:path` of SSH is not.
    """
    masked = LOGIN.sub(lambda found: f"{'//' * found[0].startswith('//')}***@", text)
    return QUERY.sub("?***", masked)
