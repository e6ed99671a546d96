"""The IDX codec: bytes written by hand, round trips, and every malformed file it must refuse.

The numbers in the names are those of the list of bad inputs that the data path must survive.
"""

import gzip
import io
import struct
import tracemalloc
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
DTYPES = [dtype for _, dtype, _, _ in BY_HAND]
SHAPES = [(5,), (0,), (2, 3), (0, 3), (2, 3, 4), (3, 0, 4), (2, 28, 28), (2, 1, 3, 2), (2, 3, 4, 0)]


def header(code: int, *shape: int) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)


# Two 3x4 images of the values 0-23: small, and with a 10 in it, which is a line feed to text tools.
GOOD = header(0x08, 2, 3, 4) + bytes(range(24))


@pytest.mark.parametrize(("code", "dtype", "values", "body"), BY_HAND, ids=DTYPES)
class TestByHand:
    def test_decode(self, code: int, dtype: str, values: list[Any], body: str) -> None:
        array = idx.decode(header(code, 3) + bytes.fromhex(body))
        assert array.dtype == dtype
        assert array.dtype.isnative
        assert array.tolist() == np.array(values, dtype).tolist()

    def test_encode(self, code: int, dtype: str, values: list[Any], body: str) -> None:
        assert idx.encode(np.array(values, dtype)) == header(code, 3) + bytes.fromhex(body)


def test_elements_are_in_c_order() -> None:
    array = idx.decode(GOOD)
    assert array.shape == (2, 3, 4)
    assert array[1, 2].tolist() == [20, 21, 22, 23]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip(dtype: str, shape: tuple[int, ...]) -> None:
    raw = np.random.default_rng(0).bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    array = np.frombuffer(raw, dtype).reshape(shape)
    decoded = idx.decode(idx.encode(array))
    assert (decoded.dtype, decoded.shape) == (array.dtype, shape)
    assert decoded.tobytes() == array.tobytes()  # bit by bit: NaN is not equal to itself


@pytest.mark.parametrize("dtype", DTYPES)
def test_result_is_writable_and_native(dtype: str) -> None:
    data = idx.encode(np.zeros((2, 2), dtype))
    array = idx.decode(data)
    array[0, 0] = 1
    assert array.dtype.isnative
    assert array.flags.c_contiguous
    assert data == idx.encode(np.zeros((2, 2), dtype))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.int16).reshape(4, 6).T,
        np.arange(48, dtype=np.int16).reshape(6, 8)[:, ::2],
        np.asfortranarray(np.arange(24, dtype=np.int16).reshape(6, 4)),
        np.arange(24, dtype="<i2").reshape(6, 4),
        np.arange(24, dtype=">i2").reshape(6, 4),
    ],
    ids=["transposed", "strided", "fortran", "little-endian", "big-endian"],
)
def test_encode_is_blind_to_memory_layout(array: np.ndarray) -> None:
    body = b"".join(struct.pack(">h", value) for row in array.tolist() for value in row)
    assert idx.encode(array) == header(0x0B, *array.shape) + body


@pytest.mark.parametrize("dtype", ["bool", "uint16", "int64", "float16", "complex64", "U1", "O"])
def test_encode_refuses_other_types(dtype: str) -> None:
    with pytest.raises(IdxFormatError, match=r"IDX type: expected one of uint8, .*, received \S+$"):
        idx.encode(np.zeros(3, dtype))


@pytest.mark.parametrize(
    "array",
    [np.array(7, np.uint8), np.broadcast_to(np.zeros((1, 0), np.uint8), (2**32, 0))],
    ids=["0-d", "side-2**32"],
)
def test_encode_refuses_other_shapes(array: np.ndarray) -> None:
    with pytest.raises(IdxFormatError, match="IDX shape: expected 1 or more dimensions below"):
        idx.encode(array)


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, images=np.zeros(3))
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


MALFORMED = {
    "01-empty": (b"", "expected 4 bytes or more, received 0"),
    **{f"02-cut-{n}": (GOOD[:n], f"4 bytes or more, received {n}") for n in (1, 2, 3)},
    **{
        f"03-cut-header-{n}": (GOOD[:n], f"IDX header of 3 dimensions: .* 16 bytes, received {n}")
        for n in range(4, 16)
    },
    "04-first-byte": (b"\x01" + GOOD[1:], r"two zero bytes, received b'\\x01"),
    "04-second-byte": (b"\x00\x01" + GOOD[2:], r"two zero bytes, received b'\\x00\\x01"),
    **{
        f"05-type-{code:02X}": (
            header(code, 4) + bytes(4),
            f"IDX type code: expected one of 0x08, .*, 0x0E, received 0x{code:02X}",
        )
        for code in (0x00, 0x07, 0x0A, 0x0F, 0xFF)
    },
    "06-zero-dimensions": (header(0x08) + b"\x07", "dimensions: expected 1 or more, received 0"),
    "07-255-dimensions-short": (
        b"\x00\x00\x08\xff" + bytes(16),
        "IDX header of 255 dimensions: expected 1024 bytes, received 20",
    ),
    "07-255-dimensions-whole": (header(0x08, *[1] * 255) + b"\x07", "IDX shape .* dimension"),
    "07-65-dimensions": (header(0x08, *[1] * 65) + b"\x07", "IDX shape .* dimension"),
    "09-little-endian": (struct.pack("<4I", 2051, 2, 3, 4) + bytes(24), "byte-swapped"),
    "10-unsigned-dimension": (
        header(0x08, 0xFFFFFFFF) + bytes(8),
        "expected 4294967295 bytes, received 8",
    ),
    "11-wraps-to-0": (header(0x08, 2**16, 2**24, 2**24), f"expected {2**64} bytes, received 0"),
    "11-wraps-to-24": (
        header(0x08, 59, 2668779409, 820074056) + bytes(24),
        f"expected {7 * 2**64 + 24} bytes, received 24",
    ),
    "11-empty-but-past-2**63": (header(0x0E, *[0xFFFFFFFF] * 3, 0), "IDX shape "),
    "15-short-by-byte": (GOOD[:-1], "expected 24 bytes, received 23"),
    "15-short-by-record": (GOOD[:-12], "expected 24 bytes, received 12"),
    "15-no-body": (GOOD[:16], "expected 24 bytes, received 0"),
    "16-long-by-byte": (GOOD + b"\x01", "expected 24 bytes, received 25"),
    "16-long-by-record": (GOOD + bytes(range(12)), "expected 24 bytes, received 36"),
    "16-zero-padding": (GOOD + bytes(488), "expected 24 bytes, received 512"),
    "16-zero-images-and-body": (header(0x08, 0, 28, 28) + b"\x01", "expected 0 bytes, received 1"),
    "20-html": (b"<!DOCTYPE html><title>404</title>", r"two zero bytes, received b'<!DO'"),
    "21-gzip": (gzip.compress(GOOD, mtime=0), "this is gzip, decompress it first"),
    "24-crlf": (GOOD.replace(b"\n", b"\r\n"), "expected 24 bytes, received 25"),
    "24-bom": (b"\xef\xbb\xbf" + GOOD, "byte-order mark"),
    "25-png": (b"\x89PNG\r\n\x1a\n" + bytes(16), "this is a PNG image"),
    "25-zip": (b"PK\x03\x04" + bytes(26), "this is a zip archive"),
    "25-npz": (npz(), "this is a zip archive"),
    "25-npy": (npy(), "this is a .npy file"),
}


@pytest.mark.parametrize(("data", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(IdxFormatError, match=message) as raised:
        idx.decode(data)
    assert "\n" not in str(raised.value)


def test_no_cut_of_a_file_is_accepted() -> None:
    for length in range(len(GOOD)):
        with pytest.raises(IdxFormatError):
            idx.decode(GOOD[:length])


# What the codec takes and the dataset layer judges.
WELL_FORMED = {
    "13-zero-images": (header(0x08, 0, 28, 28), np.zeros((0, 28, 28), np.uint8)),
    "14-zero-rows": (header(0x08, 5, 0, 28), np.zeros((5, 0, 28), np.uint8)),
    "17-int16": (header(0x0B, 2) + b"\x01\x02\xff\xfe", np.array([258, -2], np.int16)),
    "18-signed": (header(0x09, 2) + b"\xff\x80", np.array([-1, -128], np.int8)),
    "19-not-finite": (
        header(0x0D, 3) + bytes.fromhex("7fc00000 7f800000 ff800000"),
        np.array([np.nan, np.inf, -np.inf], np.float32),
    ),
}


@pytest.mark.parametrize(("data", "expected"), WELL_FORMED.values(), ids=WELL_FORMED)
def test_unusual_is_decoded(data: bytes, expected: np.ndarray) -> None:
    decoded = idx.decode(data)
    assert decoded.dtype == expected.dtype
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("code", [0x08, 0x0E], ids=["uint8", "float64"])
@pytest.mark.parametrize(
    "shape",
    [(2**31,), (60_000, 2**16, 2**16), (2**32 - 1,) * 4, (2**32 - 1,) * 255],
    ids=["1-d", "3-d", "4-d", "255-d"],
)
def test_12_huge_dimensions_cost_no_memory(code: int, shape: tuple[int, ...]) -> None:
    data = header(code, *shape) + bytes(100)
    tracemalloc.start()
    try:
        with pytest.raises(IdxFormatError, match="received 100"):
            idx.decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
