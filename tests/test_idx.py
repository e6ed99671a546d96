"""The IDX codec: bytes written by hand, round trips, and every malformed file it must refuse."""

import gzip
import struct
from typing import Any

import numpy as np
import pytest

from digits.data import idx
from digits.data.idx import IdxFormatError

# Type code, native type, values, and the same values as bytes: the format written out by hand.
BY_HAND: list[tuple[int, str, list[Any], str]] = [
    (0x08, "uint8", [0, 1, 255], "00 01 ff"),
    (0x09, "int8", [-128, -1, 127], "80 ff 7f"),
    (0x0B, "int16", [-2, 258, 32767], "fffe 0102 7fff"),
    (0x0C, "int32", [-2, 16909060, 2**31 - 1], "fffffffe 01020304 7fffffff"),
    (0x0D, "float32", [1.0, -2.5, 0.1], "3f800000 c0200000 3dcccccd"),
    (0x0E, "float64", [1.0, -2.5, 0.1], "3ff0000000000000 c004000000000000 3fb999999999999a"),
]


def header(code: int, *shape: int) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)


# Two 3x4 images of the values 0-23: small, and with a 10 in it, which is a line feed to text tools.
GOOD = header(0x08, 2, 3, 4) + bytes(range(24))


@pytest.mark.parametrize(("code", "dtype", "values", "body"), BY_HAND)
def test_bytes_by_hand(code: int, dtype: str, values: list[Any], body: str) -> None:
    data = header(code, 3) + bytes.fromhex(body)
    array = idx.decode(data)
    assert array.dtype == dtype
    assert array.flags.writeable
    assert array.tolist() == np.array(values, dtype).tolist()
    assert idx.encode(np.array(values, dtype)) == data


@pytest.mark.parametrize("dtype", ["bool", "int64", "O"])
def test_encode_refuses_other_types(dtype: str) -> None:
    with pytest.raises(IdxFormatError, match=r"IDX type: expected one of uint8, .*, received \S+$"):
        idx.encode(np.zeros(3, dtype))


MALFORMED = {
    "type": (header(0x07, 4) + bytes(4), "type code: expected one of 0x08, .*, received 0x07"),
    "255-dimensions-short": (b"\x00\x00\x08\xff" + bytes(16), "received 255 in 20 bytes"),
    "little-endian": (struct.pack("<4I", 2051, 2, 3, 4) + bytes(24), "two zero bytes"),
    "wraps-to-0": (header(0x08, 2**16, 2**24, 2**24), f"expected {2**64} bytes, received 0"),
    "empty-but-past-2**63": (header(0x0E, *[0xFFFFFFFF] * 3, 0), "IDX shape "),
    "gzip": (gzip.compress(GOOD, mtime=0), "this is gzip, decompress it first"),
    "crlf": (GOOD.replace(b"\n", b"\r\n"), "expected 24 bytes, received 25"),
}


@pytest.mark.parametrize(("data", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(IdxFormatError, match=message) as raised:
        idx.decode(data)
    assert "\n" not in str(raised.value)
