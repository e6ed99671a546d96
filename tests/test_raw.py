"""Published files: strict gzip, sizes, digests. Numbers as in the list of bad inputs."""

import gzip
import hashlib
import re
import struct
import tracemalloc
import zlib

import pytest

from digits.data.datasets import RawFile
from digits.data.kinds import name_kind
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
        gzip_sha256=sha256(packed),
    )


FULL = facts(GZIP, RAW)
PACKED_ONLY = FULL.model_copy(update={"raw_sha256": None})  # KMNIST
RAW_ONLY = FULL.model_copy(update={"gzip_sha256": None})


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
    "longer": (
        gzip.compress(RAW + b"\0"),
        f"expected {SIZE} bytes unpacked, received more than {SIZE}",
    ),
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
            with pytest.raises(
                RawFileError, match="expected 264 bytes unpacked, received more than 264"
            ):
                gunzip("images.gz", bomb, SIZE)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 1_000_000


LIMIT = FULL.largest_size
# facts, file, message
FOREIGN = {
    "01-empty": (FULL, b"", f"images: expected {SIZE} bytes, received 0$"),
    "20-html": (FULL, HTML, r"received \d+: this is an HTML page$"),
    "20-html-without-raw-digest": (PACKED_ONLY, HTML, r"received \d+: this is an HTML page$"),
    "20-html-of-right-size": (
        FULL,
        HTML.ljust(SIZE),
        rf"{FULL.raw_sha256}, received {sha256(HTML.ljust(SIZE))}: this is an HTML page$",
    ),
    "20-html-of-no-known-size": (RawFile(name="images"), HTML, "two zero bytes, .* an HTML page$"),
    "22-gzip-in-gzip": (
        FULL,
        gzip.compress(GZIP),
        r"images: expected \d+ bytes, received \d+: this is gzip",
    ),
    "23-raw-without-raw-digest": (
        PACKED_ONLY,
        RAW,
        "images.gz, the one form whose digest is known: expected SHA-256",
    ),
    "23-repacked-without-raw-digest": (
        PACKED_ONLY,
        gzip.compress(RAW, 1, mtime=7),
        "images.gz, the one form whose digest is known: expected SHA-256",
    ),
    "23-raw-of-other-digest": (FULL, RAW[::-1], "images: expected SHA-256"),
    "packed-short": (FULL, GZIP[:-1], "images: expected a whole gzip file, received one cut short"),
    "packed-long": (FULL, GZIP + b"\0", "expected one gzip member, received 1 bytes after it"),
    "too-long": (
        FULL,
        bytes(LIMIT + 1),
        f"expected {SIZE} bytes unpacked, at most {LIMIT} packed, received more$",
    ),
    "too-long-page": (FULL, HTML.ljust(LIMIT + 1), "received more: this is an HTML page$"),
    "other-content-in-gzip": (FULL, gzip.compress(RAW[::-1]), "images: expected SHA-256"),
    "35-crc": (RAW_ONLY, GZIP[:-8] + bytes(8), "images: expected gzip, received damaged data"),
}


class TestUnpack:
    @pytest.mark.parametrize("file", [FULL, PACKED_ONLY, RAW_ONLY], ids=["full", "packed", "raw"])
    def test_published_file(self, file: RawFile) -> None:
        assert unpack(file, GZIP) == RAW

    @pytest.mark.parametrize("file", [FULL, RAW_ONLY], ids=["full", "raw"])
    @pytest.mark.parametrize(
        "packed",
        [RAW, gzip.compress(RAW, 1, mtime=7), gzip.compress(RAW, 0), member(0x08, b"a.idx3\0")],
        ids=["unpacked", "repacked", "stored", "other-header"],
    )
    def test_23_identity_is_the_content(self, file: RawFile, packed: bytes) -> None:
        assert unpack(file, packed) == RAW

    @pytest.mark.parametrize(("file", "packed", "message"), FOREIGN.values(), ids=FOREIGN)
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
        with pytest.raises(RawFileError, match="expected SHA-256"):
            unpack(FULL, other)


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
    assert name_kind(data).startswith(kind)
    if kind != "gzip":
        with pytest.raises(RawFileError, match=re.escape(kind)):
            unpack(RawFile(name="images", raw_size=size), data)


@pytest.mark.parametrize("data", [b"", b"\0", RAW, bytes(600), b"two words"], ids=str)
def test_kind_is_not_guessed(data: bytes) -> None:
    assert name_kind(data) == ""
