"""Check the raw IDX bytes of a dataset's file, packed by gzip or not, by size and SHA-256."""

import gzip
import hashlib
import io
import zlib

from digits.data import idx
from digits.data.datasets import LARGEST_SIZE, RawFile
from digits.data.formats import hint_format
from digits.errors import DigitsError

GZIP_MAGIC = b"\x1f\x8b"


class RawFileError(DigitsError):
    """A file is not the dataset's: wrong size or digest, damaged compression, not IDX."""


def unpack(file: RawFile, data: bytes) -> bytes:
    """Return the raw IDX bytes of a file, packed by gzip or not.

    Where only the digest of the published `.gz` is known, the file must be that one.

    Raises:
        RawFileError: damaged gzip, or another size or SHA-256 than the dataset's; if no digest is
            known, content that is not IDX.
    """
    raw = data
    if data.startswith(GZIP_MAGIC):
        limit = LARGEST_SIZE if file.raw_size is None else file.raw_size
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as opened:
                raw = opened.read(limit + 1)  # a gzip bomb is cut off here
        except (OSError, EOFError, zlib.error) as error:
            raise RawFileError(f"{file.name}: damaged gzip ({error})") from error
    if file.raw_size is not None and len(raw) != file.raw_size:
        raise RawFileError(
            f"{file.name}: expected {file.raw_size} bytes, received {len(raw)}{hint_format(raw)}"
        )
    if file.raw_sha256:
        _check_digest(file.name, file.raw_sha256, raw)
    elif file.gzip_sha256:
        _check_digest(f"{file.name}.gz, the one form whose digest is known", file.gzip_sha256, data)
    else:
        try:
            idx.view(raw)
        except idx.IdxFormatError as error:
            raise RawFileError(f"{file.name}: {error}") from error
    return raw


def _check_digest(name: str, expected: str, data: bytes) -> None:
    received = hashlib.sha256(data).hexdigest()
    if received != expected:
        raise RawFileError(
            f"{name}: expected SHA-256 {expected}, received {received}{hint_format(data)}"
        )
