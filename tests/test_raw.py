"""Published files: strict gzip, sizes, digests. Numbers as in the list of bad inputs."""

import gzip
import hashlib
import re
import struct
import tracemalloc
import zlib

import pytest

from digits.data.datasets import RawFile
from digits.data.raw import RawFileError, gunzip, unpack

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
    return (
        struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, flags, 0, 0, 255)
        + extra
        + body
        + struct.pack("<II", zlib.crc32(RAW), SIZE)
    )


def facts(packed: bytes, raw: bytes) -> RawFile:
    return RawFile(
        name="images",
        raw_size=len(raw),
        raw_sha256=sha256(raw),
        gzip_size=len(packed),
        gzip_sha256=sha256(packed),
    )


FULL = facts(GZIP, RAW)
PACKED_ONLY = FULL.model_copy(update={"raw_sha256": None})  # Fashion-MNIST, KMNIST
RAW_ONLY = FULL.model_copy(update={"gzip_size": None, "gzip_sha256": None})  # Optdigits


# gzip stream, message
DAMAGED = {
    "20-html": (HTML, "expected gzip, received damaged data"),
    "23-raw": (RAW, "expected gzip, received damaged data"),
    "23-zlib": (zlib.compress(RAW), "damaged data .*incorrect header check"),
    "35-crc": (
        GZIP[:-8] + bytes([GZIP[-8] ^ 1]) + GZIP[-7:],
        "damaged data .*incorrect data check",
    ),
    "36-length": (
        GZIP[:-1] + bytes([GZIP[-1] ^ 1]),
        "damaged data .*incorrect length check",
    ),
    "37-empty": (b"", "received one cut short"),
    "37-header": (GZIP[:5], "received one cut short"),
    "37-mid-body": (GZIP[: len(GZIP) // 2], "received one cut short"),
    "37-no-trailer": (GZIP[:-8], "received one cut short"),
    "37-half-trailer": (GZIP[:-4], "received one cut short"),
    "37-last-byte": (GZIP[:-1], "received one cut short"),
    "38-junk": (GZIP + b"junk", "one gzip member, received 4 bytes after it"),
    "39-zeros": (GZIP + bytes(512), "one gzip member, received 512 bytes after it"),
    "40-second-member": (
        GZIP + GZIP,
        f"one gzip member, received {len(GZIP)} bytes after it",
    ),
    "40-empty-second-member": (
        GZIP + gzip.compress(b"", mtime=0),
        "one gzip member, received 20 bytes after it",
    ),
    "43-huge-field": (
        member(0x04, struct.pack("<H", 0xFFFF) + b"ab"),
        "received one cut short",
    ),
    "43-reserved-flags": (member(0xE0), "damaged data .*unknown header flags"),
    "method": (b"\x1f\x8b\x07" + GZIP[3:], "damaged data .*unknown compression method"),
    "longer": (gzip.compress(RAW + b"\0"), f"expected {SIZE} bytes unpacked, received more"),
}


class TestGunzip:
    def test_whole_file(self) -> None:
        assert gunzip("images.gz", GZIP, SIZE) == RAW

    def test_empty_content(self) -> None:
        assert gunzip("images.gz", gzip.compress(b""), 0) == b""

    @pytest.mark.parametrize(
        "packed",
        [
            member(0x08, b"../../etc/passwd\0"),
            member(0x10, b"a comment\0"),
            member(0x04, struct.pack("<H", 4) + b"ab\0\0"),
            member(0x01),
        ],
        ids=["42-file-name", "comment", "extra-field", "text-flag"],
    )
    def test_optional_header_fields_are_skipped(self, packed: bytes) -> None:
        assert gunzip("images.gz", packed, SIZE) == RAW

    @pytest.mark.parametrize(
        ("packed", "message"),
        DAMAGED.values(),
        ids=DAMAGED,
    )
    def test_refusal(self, packed: bytes, message: str) -> None:
        with pytest.raises(RawFileError, match=rf"^images\.gz.*{message}"):
            gunzip("images.gz", packed, SIZE)

    def test_41_bomb_costs_no_memory(self) -> None:
        bomb = gzip.compress(bytes(50_000_000))
        tracemalloc.start()
        try:
            with pytest.raises(RawFileError, match="expected 264 bytes unpacked, received more"):
                gunzip("images.gz", bomb, SIZE)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 1_000_000


# facts, file, message
FOREIGN = {
    "01-empty": (FULL, b"", f"images: expected {SIZE} bytes, received 0"),
    "20-html": (FULL, HTML, r"received \d+ \(an HTML page\?\)"),
    "20-html-without-raw-digest": (PACKED_ONLY, HTML, r"received \d+ \(an HTML page\?\)"),
    "20-html-of-right-size": (
        FULL,
        HTML.ljust(SIZE),
        rf"expected SHA-256 {FULL.raw_sha256}, received {sha256(HTML.ljust(SIZE))}",
    ),
    "22-gzip-in-gzip": (
        FULL,
        gzip.compress(GZIP),
        f"images.gz: expected {len(GZIP)} bytes, received",
    ),
    "22-gzip-in-gzip-of-unknown-size": (
        RAW_ONLY,
        gzip.compress(GZIP.ljust(SIZE, b"\0"), mtime=0),
        "images: expected SHA-256",
    ),
    "23-raw-without-raw-digest": (
        PACKED_ONLY,
        RAW,
        f"images.gz: expected {len(GZIP)} bytes, received {SIZE}",
    ),
    "23-raw-of-other-digest": (FULL, RAW[::-1], "images: expected SHA-256"),
    "packed-short": (FULL, GZIP[:-1], f"received {len(GZIP) - 1}$"),
    "packed-long": (FULL, GZIP + b"\0", f"received {len(GZIP) + 1}$"),
    "packed-digest": (
        FULL,
        GZIP[:-1] + b"\1",
        f"images.gz: expected SHA-256 {FULL.gzip_sha256}, received",
    ),
    "raw-digest-behind-right-packed-digest": (
        FULL.model_copy(update={"raw_sha256": "0" * 64}),
        GZIP,
        f"images: expected SHA-256 {'0' * 64}, received {FULL.raw_sha256}",
    ),
    "35-crc-where-only-raw-is-known": (
        RAW_ONLY,
        GZIP[:-8] + bytes(8),
        "images.gz: expected gzip, received damaged data",
    ),
}


class TestUnpack:
    @pytest.mark.parametrize("file", [FULL, PACKED_ONLY, RAW_ONLY], ids=["full", "packed", "raw"])
    def test_published_file(self, file: RawFile) -> None:
        assert unpack(file, GZIP) == RAW

    def test_any_compression_where_only_the_raw_digest_is_known(self) -> None:
        assert unpack(RAW_ONLY, gzip.compress(RAW, compresslevel=1, mtime=7)) == RAW

    @pytest.mark.parametrize("file", [FULL, RAW_ONLY], ids=["full", "raw"])
    def test_23_raw_content_of_known_digest(self, file: RawFile) -> None:
        assert unpack(file, RAW) == RAW

    @pytest.mark.parametrize(
        ("file", "packed", "message"),
        FOREIGN.values(),
        ids=FOREIGN,
    )
    def test_refusal(self, file: RawFile, packed: bytes, message: str) -> None:
        with pytest.raises(RawFileError, match=message) as raised:
            unpack(file, packed)
        assert re.fullmatch(r"images.*", str(raised.value))  # one line that names the file

    def test_shorter_content(self) -> None:
        with pytest.raises(RawFileError, match=f"^images: expected {SIZE} bytes, .* {SIZE - 1}$"):
            unpack(RAW_ONLY, gzip.compress(RAW[:-1]))

    @pytest.mark.parametrize("packed", [GZIP, RAW], ids=["packed", "raw"])
    def test_nothing_is_known(self, packed: bytes) -> None:
        assert unpack(RawFile(name="images"), packed) == RAW

    def test_only_the_size_is_known(self) -> None:
        with pytest.raises(RawFileError, match=r"^images: expected 5 bytes, received"):
            unpack(RawFile(name="images", raw_size=5), RAW)

    def test_33_other_datasets_file_under_the_same_name(self) -> None:
        other = gzip.compress(RAW[::-1].ljust(SIZE, b"\1"), mtime=0)
        with pytest.raises(RawFileError, match="expected"):
            unpack(FULL, other)
        with pytest.raises(RawFileError, match="expected SHA-256"):
            unpack(FULL.model_copy(update={"gzip_size": len(other)}), other)
