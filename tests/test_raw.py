"""Published files: gzip, sizes, digests, and what people hand over by mistake."""

import gzip
import hashlib
import re

import pytest

from digits.data.datasets import RawFile
from digits.data.raw import RawFileError, unpack

RAW = bytes([0, 0, 8, 1, 0, 0, 1, 0]) + bytes(range(64)) * 4
SIZE = len(RAW)
GZIP = gzip.compress(RAW, mtime=0)
HTML = b"\n<!DOCTYPE html><html><title>404 Not Found</title></html>"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


KNOWN = RawFile(name="images", raw_size=SIZE, raw_sha256=sha256(RAW))
PACKED_ONLY = RawFile(name="images", raw_size=SIZE, gzip_sha256=sha256(GZIP))  # KMNIST
UNKNOWN = RawFile(name="images")
TAKEN = {
    "published-without-raw-digest": (PACKED_ONLY, GZIP),
    "unpacked": (KNOWN, RAW),
    "repacked": (KNOWN, gzip.compress(RAW, 1, mtime=7)),
    "no-digest": (UNKNOWN, RAW),
}


@pytest.mark.parametrize(("file", "data"), TAKEN.values(), ids=TAKEN)
def test_identity_is_the_content(file: RawFile, data: bytes) -> None:
    assert unpack(file, data) == RAW


ONE_FORM = r"images\.gz, the one form whose digest is known: expected SHA-256"
REFUSED = {
    "html-of-right-size": (KNOWN, HTML.ljust(SIZE), "expected SHA-256 .*: this is an HTML"),
    "repacked-without-raw-digest": (PACKED_ONLY, gzip.compress(RAW, 1, mtime=7), ONE_FORM),
    "other-content": (KNOWN, RAW[::-1], "expected SHA-256"),
    "short": (KNOWN, gzip.compress(RAW[:-1]), f"expected {SIZE} bytes, received {SIZE - 1}$"),
    "cut": (KNOWN, GZIP[: len(GZIP) // 2], "damaged gzip .*ended before"),
}  # fmt: skip


@pytest.mark.parametrize(("file", "data", "message"), REFUSED.values(), ids=REFUSED)
def test_refusal_is_a_line_that_names_the_file(file: RawFile, data: bytes, message: str) -> None:
    with pytest.raises(RawFileError, match=message) as raised:
        unpack(file, data)
    assert re.fullmatch(r"images.*", str(raised.value))
