"""Take a file in whatever it is wrapped, and hold its raw IDX bytes against the dataset's facts.

Identity is the SHA-256 of the raw bytes. Where only the digest of the published `.gz` is known, no
other packing of the same content can be told from another content.
"""

import hashlib
import zlib
from mmap import mmap

from digits.data import idx
from digits.data.datasets import LARGEST_SIZE, RawFile
from digits.data.kinds import LOOKED_AT, name_kind
from digits.errors import DigitsError

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way of saying: a gzip header and trailer, both checked


class RawFileError(DigitsError):
    """A file is not the dataset's: wrong size, wrong digest, damaged compression, no IDX."""


def unpack(file: RawFile, data: bytes) -> bytes:
    """Return the raw IDX bytes of a file, packed by gzip or not, or refuse it.

    `data` is the file's beginning, up to one byte more than `file.largest_size`.

    Raises:
        RawFileError: too long, damaged gzip, another size or SHA-256 than the dataset's; without a
            known digest, no IDX.
    """
    if len(data) > file.largest_size:
        expected = "" if file.raw_size is None else f"{file.raw_size} bytes unpacked, "
        raise RawFileError(
            f"{file.name}: expected {expected}at most {file.largest_size} packed, received more"
            f"{_describe(data)}"
        )
    packed = data.startswith(GZIP_MAGIC)
    limit = LARGEST_SIZE if file.raw_size is None else file.raw_size
    raw = gunzip(file.name, data, limit) if packed else data
    check_content(file, raw)
    if file.raw_sha256 is None and file.gzip_sha256 is not None:
        _check_digest(f"{file.name}.gz, the one form whose digest is known", file.gzip_sha256, data)
    if not file.has_digest:
        _check_idx(file.name, raw)
    return raw


def check_content(file: RawFile, raw: bytes | mmap) -> None:
    """Refuse raw bytes that are not the dataset's, by size and by SHA-256, where these are known.

    Raises:
        RawFileError: says which.
    """
    if file.raw_size is not None and len(raw) != file.raw_size:
        raise RawFileError(
            f"{file.name}: expected {file.raw_size} bytes, received {len(raw)}{_describe(raw)}"
        )
    if file.raw_sha256 is not None:
        _check_digest(file.name, file.raw_sha256, raw)


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
        raise RawFileError(f"{name}: expected {limit} bytes unpacked, received more than {limit}")
    if not inflater.eof:
        raise RawFileError(f"{name}: expected a whole gzip file, received one cut short")
    if inflater.unused_data:
        extra = len(inflater.unused_data)
        raise RawFileError(f"{name}: expected one gzip member, received {extra} bytes after it")
    return raw


def _check_digest(name: str, expected: str, data: bytes | mmap) -> None:
    received = hashlib.sha256(data).hexdigest()
    if received != expected:
        raise RawFileError(
            f"{name}: expected SHA-256 {expected}, received {received}{_describe(data)}"
        )


def _check_idx(name: str, raw: bytes) -> None:
    try:
        idx.view(raw)
    except idx.IdxFormatError as error:
        raise RawFileError(f"{name}: {error}") from error


def _describe(data: bytes | mmap) -> str:
    kind = name_kind(data[:LOOKED_AT])
    return f": this is {kind}" if kind else ""
