"""The IDX file format: bytes to NumPy arrays and back.

Two zero bytes, a type code, the number of dimensions, each dimension as a big-endian uint32, then
the elements in C order, big-endian (LeCun, Cortes, Burges, "The MNIST database", file formats).
"""

import math
import struct
from typing import Any

import numpy as np

from digits.data.formats import hint_format
from digits.errors import DigitsError

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
TYPE_CODES = {dtype.newbyteorder("="): code for code, dtype in DTYPES.items()}
LONGEST_HEADER = 4 + 4 * 255  # bytes


class IdxFormatError(DigitsError, ValueError):
    """The bytes are not one well-formed IDX file."""


def decode(data: bytes) -> np.ndarray:
    """Decode one IDX file into a writable array of native byte order.

    The length is checked before anything is allocated.

    Raises:
        IdxFormatError: `data` is not exactly one IDX file.
    """
    elements = view(data)
    return elements.astype(elements.dtype.newbyteorder("="))


def view(data: bytes | np.memmap) -> np.ndarray:
    """Return the elements of one IDX file, big-endian, without a copy.

    Raises:
        IdxFormatError: `data` is not exactly one IDX file.
    """
    dtype, shape = _decode_header(bytes(data[:LONGEST_HEADER]))
    start = 4 + 4 * len(shape)
    expected = math.prod(shape) * dtype.itemsize  # Python integers: no overflow
    if len(data) - start != expected:
        raise IdxFormatError(
            f"IDX body of shape {shape}: expected {expected} bytes, received {len(data) - start}"
        )
    try:
        elements = np.frombuffer(data, dtype, offset=start) if expected else np.empty(0, dtype)
        return elements.reshape(shape)
    except ValueError as error:  # more dimensions, or larger ones, than NumPy can hold
        raise IdxFormatError(f"IDX shape {shape[:4]}...: {error}") from error


def encode(array: np.ndarray) -> bytes:
    """Encode an array of an IDX type (uint8, int8/16/32, float32/64) and 1-255 dimensions.

    Raises:
        IdxFormatError: IDX does not have the array's type.
    """
    code = TYPE_CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(str(dtype) for dtype in TYPE_CODES)
        raise IdxFormatError(f"IDX type: expected one of {known}, received {array.dtype}")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(DTYPES[code]).tobytes()


def _decode_header(data: bytes) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if len(data) < 4 or data[:2] != b"\0\0":
        raise IdxFormatError(
            f"IDX header: expected two zero bytes, received {data[:4]!r}{hint_format(data)}"
        )
    code, dimensions = data[2:4]
    if code not in DTYPES:
        known = ", ".join(f"0x{code:02X}" for code in DTYPES)
        raise IdxFormatError(f"IDX type code: expected one of {known}, received 0x{code:02X}")
    if not dimensions or len(data) < 4 + 4 * dimensions:
        raise IdxFormatError(
            f"IDX header: expected 1 to 255 dimensions of 4 bytes, received {dimensions} in "
            f"{len(data)} bytes"
        )
    return DTYPES[code], struct.unpack_from(f">{dimensions}I", data, 4)
