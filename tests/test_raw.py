"""Published files: gzip, sizes, digests. Numbers as in the list of bad inputs."""

import gzip
import hashlib
import re
import struct
import zlib

import pytest

from digits.data.datasets import RawFile
from digits.data.formats import name_format
from digits.data.raw import RawFileError, unpack

RAW = bytes([0, 0, 8, 1, 0, 0, 1, 0]) + bytes(range(64)) * 4
SIZE = len(RAW)
GZIP = gzip.compress(RAW, mtime=0)
HTML = b"\n<!DOCTYPE html><html><title>404 Not Found</title></html>"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def member(flags: int, extra: bytes = b"") -> bytes:
    """Return `RAW` as a gzip member with these header flags and optional fields (RFC 1952)."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = deflater.compress(RAW) + deflater.flush()
    header = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, flags, 0, 0, 255)
    return header + extra + body + struct.pack("<II", zlib.crc32(RAW), SIZE)


FULL = RawFile(name="images", raw_size=SIZE, raw_sha256=sha256(RAW), gzip_sha256=sha256(GZIP))
PACKED_ONLY = FULL.model_copy(update={"raw_sha256": None})  # KMNIST
RAW_ONLY = FULL.model_copy(update={"gzip_sha256": None})
UNKNOWN = RawFile(name="images")
ONE_MORE = f"expected {SIZE} bytes, received {SIZE + 1}$"
ONE_FORM = r"images\.gz, the one form whose digest is known: expected SHA-256"

TAKEN = {
    "published": (FULL, GZIP),
    "published-without-raw-digest": (PACKED_ONLY, GZIP),
    "23-unpacked": (RAW_ONLY, RAW),
    "23-repacked": (FULL, gzip.compress(RAW, 1, mtime=7)),
    "23-stored": (RAW_ONLY, gzip.compress(RAW, 0)),
    "39-zeros-after-it": (RAW_ONLY, GZIP + bytes(512)),
    "40-empty-second-member": (RAW_ONLY, GZIP + gzip.compress(b"")),
    "42-path-in-the-header": (RAW_ONLY, member(0x08, b"../../etc/passwd\0")),
    "comment": (RAW_ONLY, member(0x10, b"a comment\0")),
    "extra-field": (RAW_ONLY, member(0x04, struct.pack("<H", 4) + b"ab\0\0")),
    "no-digest": (UNKNOWN, RAW),
    "no-digest-packed": (UNKNOWN, GZIP),
}


@pytest.mark.parametrize(("file", "data"), TAKEN.values(), ids=TAKEN)
def test_identity_is_the_content(file: RawFile, data: bytes) -> None:
    assert unpack(file, data) == RAW


# facts, file, message
REFUSED = {
    "01-empty": (FULL, b"", f"expected {SIZE} bytes, received 0$"),
    "20-html": (FULL, HTML, r"received \d+: this is an HTML page$"),
    "20-html-of-right-size": (FULL, HTML.ljust(SIZE), "expected SHA-256 .*: this is an HTML"),
    "20-html-without-digest": (UNKNOWN, HTML, "two zero bytes, .* an HTML page$"),
    "22-gzip-in-gzip": (FULL, gzip.compress(GZIP), r"received \d+: this is gzip"),
    "23-raw-without-raw-digest": (PACKED_ONLY, RAW, ONE_FORM),
    "23-repacked-without-raw-digest": (PACKED_ONLY, gzip.compress(RAW, 1, mtime=7), ONE_FORM),
    "33-other-content": (FULL, RAW[::-1], "expected SHA-256"),
    "33-other-content-packed": (FULL, gzip.compress(RAW[::-1]), "expected SHA-256"),
    "short": (RAW_ONLY, gzip.compress(RAW[:-1]), f"expected {SIZE} bytes, received {SIZE - 1}$"),
    "long": (RAW_ONLY, gzip.compress(RAW + b"\0"), ONE_MORE),
    "only-the-size-is-known": (RawFile(name="images", raw_size=5), RAW, "expected 5 bytes"),
    "35-crc": (RAW_ONLY, GZIP[:-8] + bytes(8), r"damaged gzip \(CRC check failed"),
    "36-length": (RAW_ONLY, GZIP[:-1] + b"\1", r"damaged gzip \(Incorrect length"),
    "37-header": (RAW_ONLY, GZIP[:5], "damaged gzip"),
    "37-mid-body": (RAW_ONLY, GZIP[: len(GZIP) // 2], "damaged gzip .*ended before"),
    "37-last-byte": (RAW_ONLY, GZIP[:-1], "damaged gzip .*ended before"),
    "38-junk": (RAW_ONLY, GZIP + b"junk", "damaged gzip .*Not a gzipped file"),
    "40-second-member": (RAW_ONLY, GZIP + GZIP, ONE_MORE),
    "41-bomb": (RAW_ONLY, gzip.compress(bytes(50_000_000)), ONE_MORE),
    "43-huge-field": (RAW_ONLY, member(0x04, b"\xff\xffab"), "damaged gzip"),
    "43-method": (RAW_ONLY, b"\x1f\x8b\x07" + GZIP[3:], "damaged gzip .*compression method"),
}  # fmt: skip


@pytest.mark.parametrize(("file", "data", "message"), REFUSED.values(), ids=REFUSED)
def test_refusal_is_a_line_that_names_the_file(file: RawFile, data: bytes, message: str) -> None:
    with pytest.raises(RawFileError, match=message) as raised:
        unpack(file, data)
    assert re.fullmatch(r"images.*", str(raised.value))


# First bytes of what people hand over by mistake.
KINDS = {
    "gzip": GZIP,
    "a zip archive": b"PK\x03\x04rest",
    "an xz archive": b"\xfd7zXZ\0\0",
    "a 7z archive": b"7z\xbc\xaf\x27\x1c\0",
    "a bzip2 archive": b"BZh91AY",
    "a tar archive": b"name".ljust(257, b"\0") + b"ustar\x0000",
    "a PNG image": b"\x89PNG\r\n\x1a\n",
    "an HDF5 file": b"\x89HDF\r\n\x1a\n",
    "a Parquet table": b"PAR1\x15",
    "a .npy file": b"\x93NUMPY\1",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    "an HTML page": HTML,
    "an XML document": b"<?xml version='1.0'?><Error>AccessDenied</Error>",
    "JSON text": b'{"message": "rate limit"}',
    "UTF-16 text": "label,pixel0".encode("utf-16"),
    "a text with a byte-order mark": b"\xef\xbb\xbflabel",
    "a CSV table": b"label,pixel0,pixel1\n5,0,0\n",
}


@pytest.mark.parametrize(("kind", "data"), KINDS.items(), ids=KINDS)
@pytest.mark.parametrize("size", [None, 4], ids=["no-size", "size"])
def test_kind_is_named_whether_or_not_a_size_is_known(
    kind: str, data: bytes, size: int | None
) -> None:
    assert name_format(data).startswith(kind)
    if kind != "gzip":
        with pytest.raises(RawFileError, match=re.escape(kind)):
            unpack(RawFile(name="images", raw_size=size), data)


@pytest.mark.parametrize("data", [b"", b"\0", RAW, bytes(600), b"two words"], ids=str)
def test_kind_is_not_guessed(data: bytes) -> None:
    assert name_format(data) == ""
