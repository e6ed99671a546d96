"""Pictures from bytes: every form a person may have, and every damage, known by content."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from digits.data import idx
from digits.imaging.pictures import MOST_PIXELS, WORK_SIDE, PictureError, read_pictures

HEIGHT, WIDTH = 60, 40


def draw_page() -> np.ndarray:
    """Draw uint8 (60, 40, 3): white, with a dark blue bar left of the middle."""
    page = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    page[20:40, 5:15] = (20, 30, 120)
    return page


def save(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)
    return file.getvalue()


def save_array(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def read_one(raw: bytes) -> np.ndarray:
    (picture,) = read_pictures(raw)
    assert picture.pixels.dtype == np.float32
    assert picture.page == ""
    return picture.pixels


def fail(raw: bytes) -> str:
    with pytest.raises(PictureError) as caught:
        list(read_pictures(raw))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 95}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_formats_are_known_by_content(kind: str, options: dict[str, Any]) -> None:
    pixels = read_one(save(draw_page(), kind, **options))
    assert np.abs(pixels - draw_page() / 255).mean() < 0.02


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_modes_of_colour(mode: str) -> None:
    kind = {"CMYK": "JPEG", "YCbCr": "JPEG"}.get(mode, "PNG")
    pixels = read_one(save(Image.fromarray(draw_page()).convert(mode), kind))
    assert pixels[25:35, 7:13].mean() < 0.4
    assert pixels[:15].mean() > 0.95


def test_sixteen_bits() -> None:
    grey = draw_page()[..., 0].astype(np.uint16) * 257
    assert read_one(save(grey, "PNG"))[..., 0] == pytest.approx(draw_page()[..., 0] / 255, abs=1e-3)


@pytest.mark.parametrize(("ink", "paper"), [(0, 1.0), (255, 0.0)])
def test_what_is_transparent_is_paper_that_differs_from_the_ink(ink: int, paper: float) -> None:
    page = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    page[20:40, 5:15] = (ink, ink, ink, 255)
    for raw in (save(page, "PNG"), save(page, "WEBP", lossless=True)):
        pixels = read_one(raw)
        assert pixels[:15].mean() == paper
        assert pixels[25:35, 7:13].mean() == ink / 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_telephones_say_how_they_were_held(orientation: int) -> None:
    upright = Image.fromarray(draw_page())
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    held = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read_one(save(held, "PNG", exif=exif)) == pytest.approx(draw_page() / 255)


def test_every_page_of_a_tiff_and_the_first_picture_of_an_animation() -> None:
    pages = [Image.fromarray(np.roll(draw_page(), 10 * n, axis=1)) for n in range(3)]
    read = list(read_pictures(save(pages[0], "TIFF", save_all=True, append_images=pages[1:])))
    assert [picture.page for picture in read] == ["page 1", "page 2", "page 3"]
    for picture, page in zip(read, pages, strict=True):
        assert picture.pixels == pytest.approx(np.asarray(page) / 255)
    animation = save(pages[0], "GIF", save_all=True, append_images=pages[1:])
    assert read_one(animation) == pytest.approx(draw_page() / 255, abs=0.12)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_large_pictures_are_shrunk_and_say_by_how_much(kind: str) -> None:
    large = Image.fromarray(draw_page()).resize((40 * 51, 60 * 51))
    (picture,) = read_pictures(save(large, kind))
    assert max(picture.pixels.shape) <= WORK_SIDE
    height, width = picture.pixels.shape[:2]
    assert picture.pitch == pytest.approx(60 * 51 / height, rel=0.01)
    left, right = 5 / 40 * width, 15 / 40 * width - 1
    dark = np.flatnonzero(picture.pixels[height // 2].mean(axis=1) < 0.5)
    assert dark[[0, -1]] == pytest.approx((left, right), abs=2)


@pytest.mark.parametrize(
    ("array", "count", "channels"),
    [
        (np.zeros((5, 28, 28), np.uint8), 5, 1),
        (np.zeros((5, 28, 28, 1), np.float32), 5, 1),
        (np.zeros((5, 784), np.uint8), 5, 1),
        (np.zeros((50, 60), np.float64), 1, 1),
        (np.zeros((50, 60, 3), np.uint8), 1, 3),
        (np.zeros((50, 60, 4), np.uint8), 1, 3),
        (np.zeros((2, 50, 60, 3), np.uint8), 2, 3),
        (np.zeros((50, 60), bool), 1, 1),
    ],
)
def test_arrays_of_every_shape(array: np.ndarray, count: int, channels: int) -> None:
    read = list(read_pictures(save_array(array)))
    assert len(read) == count
    assert {picture.pixels.shape[2] for picture in read} == {channels}
    names = [picture.page for picture in read]
    assert names == ([f"image {n}" for n in range(count)] if count > 1 else [""])


@pytest.mark.parametrize(
    ("dtype", "top"),
    [
        *(("float32", 1), ("float32", 255), ("float64", 65535), ("int64", 1), ("int64", 255)),
        *(("uint16", 65535), ("uint16", 1), ("uint8", 255), ("uint8", 1), ("bool", 1)),
    ],
)
def test_pixels_of_every_range(dtype: str, top: int) -> None:
    array = np.zeros((30, 30))
    array[10:20, 10:20] = top
    assert read_one(save_array(array.astype(dtype))).max() == 1


def test_idx_files_of_images() -> None:
    images = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
    read = list(read_pictures(idx.encode(images)))
    assert np.stack([picture.pixels[..., 0] for picture in read]) == pytest.approx(images / 255)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "received an empty file"),
        (b"hello, world\n", "received a CSV table"),
        (b"<!doctype html><p>404", "received an HTML page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "export it as JPEG"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x93NUMPY", "expected a whole .npy file"),
        (b"\0\0\x08\x03\0\0", "received IDX header"),
        (idx.encode(np.zeros(9, np.uint8)), "expected images as numbers"),
        (save_array(np.zeros((0, 28, 28))), "expected images as numbers"),
        (save_array(np.full((28, 28), np.nan)), "expected pixels"),
        (save_array(np.full((28, 28), -1.0)), "expected pixels"),
        (save_array(np.full((28, 28), 1e9)), "expected pixels"),
        (save_array(np.zeros((28, 28), complex)), "expected images as numbers"),
        (save_array(np.zeros((2, 2, 2, 2))), "expected images as numbers"),
    ],
)
def test_what_is_no_picture_is_named(raw: bytes, expected: str) -> None:
    assert expected in fail(raw)


def test_no_pickle_is_loaded() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "allow_pickle" in fail(file.getvalue())


def make_png(width: int, height: int) -> bytes:
    """Make a PNG that claims a size, with hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        digest = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + digest

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", body), chunk(b"IEND", b""))
    )


def test_bombs_are_refused_before_they_are_decoded() -> None:
    assert f"at most {MOST_PIXELS:,} pixels" in fail(make_png(60_000, 60_000))
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|u1', 'fortran_order': False, 'shape': "
    bomb = (header + b"(9000000000, 28, 28), }").ljust(127) + b"\n"
    assert "damaged" in fail(bomb)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
def test_truncated_pictures_are_damaged_ones(kind: str) -> None:
    raw = save(draw_page(), kind)
    for length in range(20, len(raw) - 20, max(1, len(raw) // 15)):
        assert "expected" in fail(raw[:length])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_raises_nothing_else(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "NPY", "IDX"]))
    whole = {
        "NPY": lambda: save_array(draw_page()),
        "IDX": lambda: idx.encode(draw_page()),
    }.get(kind, lambda: save(draw_page(), kind))()
    raw = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        pictures = list(read_pictures(bytes(raw)))
    except PictureError:
        return
    for picture in pictures:
        assert picture.pixels.min() >= 0
        assert picture.pixels.max() <= 1
