"""Check the raw IDX bytes of a dataset's file, packed by gzip or not, by size and SHA-256."""

import gzip
import hashlib
import io
import zlib
from mmap import mmap

from digits.data import idx
from digits.data.datasets import LARGEST_SIZE, RawFile
from digits.data.formats import LOOKED_AT, name_format
from digits.errors import DigitsError

GZIP_MAGIC = b"\x1f\x8b"


class RawFileError(DigitsError):
    """A file is not the dataset's: wrong size, wrong digest, damaged compression, no IDX."""


def unpack(file: RawFile, data: bytes) -> bytes:
    """Return the raw IDX bytes of a file, packed by gzip or not.

    Where only the digest of the published `.gz` is known, no other packing is taken.

    Raises:
        RawFileError: damaged gzip, another size or SHA-256 than the dataset's; without a known
            digest, no IDX.
    """
    raw = data
    if data.startswith(GZIP_MAGIC):
        limit = LARGEST_SIZE if file.raw_size is None else file.raw_size
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as opened:
                raw = opened.read(limit + 1)  # of a bomb no more
        except (OSError, EOFError, zlib.error) as error:
            raise RawFileError(f"{file.name}: damaged gzip ({error})") from error
    check_content(file, raw)
    if file.raw_sha256 is None and file.gzip_sha256 is not None:
        _check_digest(f"{file.name}.gz, the one form whose digest is known", file.gzip_sha256, data)
    if not file.has_digest:
        try:
            idx.view(raw)
        except idx.IdxFormatError as error:
            raise RawFileError(f"{file.name}: {error}") from error
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


def _check_digest(name: str, expected: str, data: bytes | mmap) -> None:
    received = hashlib.sha256(data).hexdigest()
    if received != expected:
        raise RawFileError(
            f"{name}: expected SHA-256 {expected}, received {received}{_describe(data)}"
        )


def _describe(data: bytes | mmap) -> str:
    kind = name_format(data[:LOOKED_AT])
    return f": this is {kind}" if kind else ""
