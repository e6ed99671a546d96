"""Check and unpack the dataset's published files: strict gzip, size, SHA-256."""

import hashlib
import zlib

from digits.data.datasets import LARGEST_SIZE, RawFile
from digits.errors import DigitsError

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way of saying: a gzip header and trailer, both checked


class RawFileError(DigitsError):
    """A file is not the dataset's: wrong size, wrong digest or damaged compression."""


def unpack(file: RawFile, packed: bytes) -> bytes:
    """Turn a published file into its raw IDX bytes, or refuse it.

    Raw content under a `.gz` name is accepted unless the digest of the `.gz` alone is known.

    Raises:
        RawFileError: size or SHA-256 differ from the dataset's, or the gzip stream is damaged.
    """
    if not packed.startswith(GZIP_MAGIC) and (file.raw_sha256 or not file.has_digest):
        raw = packed
    else:
        if file.gzip_size is not None:
            _check_size(file.gzip_name, file.gzip_size, packed)
        if file.gzip_sha256 is not None:
            _check_digest(file.gzip_name, file.gzip_sha256, packed)
        limit = LARGEST_SIZE if file.raw_size is None else file.raw_size
        raw = gunzip(file.gzip_name, packed, limit)
    if file.raw_size is not None:
        _check_size(file.name, file.raw_size, raw)
    if file.raw_sha256 is not None:
        _check_digest(file.name, file.raw_sha256, raw)
    return raw


def gunzip(name: str, packed: bytes, limit: int) -> bytes:
    """Decompress exactly one gzip member of at most `limit` bytes; a bomb stops at `limit` + 1.

    Raises:
        RawFileError: damaged, truncated or longer than that, or anything after the member.
    """
    inflater = zlib.decompressobj(GZIP_WINDOW)
    try:
        raw = inflater.decompress(packed, limit + 1)
    except zlib.error as error:
        raise RawFileError(f"{name}: expected gzip, received damaged data ({error})") from error
    if len(raw) > limit:
        raise RawFileError(f"{name}: expected {limit} bytes unpacked, received more")
    if not inflater.eof:
        raise RawFileError(f"{name}: expected a whole gzip file, received one cut short")
    if inflater.unused_data:
        extra = len(inflater.unused_data)
        raise RawFileError(f"{name}: expected one gzip member, received {extra} bytes after it")
    return raw


def _check_size(name: str, expected: int, data: bytes) -> None:
    if len(data) != expected:
        looks = " (an HTML page?)" if data[:64].lstrip()[:1] == b"<" else ""
        raise RawFileError(f"{name}: expected {expected} bytes, received {len(data)}{looks}")


def _check_digest(name: str, expected: str, data: bytes) -> None:
    received = hashlib.sha256(data).hexdigest()
    if received != expected:
        raise RawFileError(f"{name}: expected SHA-256 {expected}, received {received}")
