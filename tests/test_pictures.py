"""Pictures from bytes: every form a person may have, and every damage, known by content."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from digits.data import idx
from digits.imaging.pictures import FORMATS, WORK_SIDE, PictureError, read_pictures

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


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_are_known_by_content_and_truncated_ones_are_damaged(kind: str) -> None:
    raw = save(draw_page(), kind)
    assert np.abs(read_one(raw) - draw_page() / 255).mean() < 0.05
    for length in range(20, len(raw) - 20, max(1, len(raw) // 15)):
        assert "expected" in fail(raw[:length])


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16"])
def test_modes_of_colour(mode: str) -> None:
    image = Image.fromarray(draw_page()).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    pixels = read_one(save(image, "JPEG" if mode == "CMYK" else "PNG"))
    assert pixels[25:35, 7:13].mean() < 0.4
    assert pixels[:15].mean() > 0.95


@pytest.mark.parametrize(("ink", "paper"), [(0, 1.0), (255, 0.0)])
def test_what_is_transparent_is_paper_that_differs_from_the_ink(ink: int, paper: float) -> None:
    page = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    page[20:40, 5:15] = (ink, ink, ink, 255)
    pixels = read_one(save(page, "PNG"))
    assert pixels[:15].mean() == paper
    assert pixels[25:35, 7:13].mean() == ink / 255


def test_telephones_say_how_they_were_held() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    held = Image.fromarray(draw_page()).transpose(Image.Transpose.ROTATE_90)
    assert read_one(save(held, "PNG", exif=exif)) == pytest.approx(draw_page() / 255)


def test_every_page_of_a_tiff_and_the_first_picture_of_an_animation() -> None:
    pages = [Image.fromarray(np.roll(draw_page(), 10 * n, axis=1)) for n in range(3)]
    read = list(read_pictures(save(pages[0], "TIFF", save_all=True, append_images=pages[1:])))
    assert [picture.page for picture in read] == ["page 1", "page 2", "page 3"]
    for picture, page in zip(read, pages, strict=True):
        assert picture.pixels == pytest.approx(np.asarray(page) / 255)
    animation = save(pages[0], "GIF", save_all=True, append_images=pages[1:])
    assert read_one(animation) == pytest.approx(draw_page() / 255, abs=0.12)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "NPY"])
def test_large_pictures_are_shrunk_and_say_by_how_much(kind: str) -> None:
    large = Image.fromarray(draw_page()).resize((40 * 51, 60 * 51))
    raw = save_array(np.asarray(large)) if kind == "NPY" else save(large, kind)
    (picture,) = read_pictures(raw)
    assert max(picture.pixels.shape) <= WORK_SIDE
    height, width = picture.pixels.shape[:2]
    assert picture.pitch == pytest.approx(60 * 51 / height, rel=0.01)
    dark = np.flatnonzero(picture.pixels[height // 2].mean(axis=1) < 0.5)
    assert dark[[0, -1]] == pytest.approx((5 / 40 * width, 15 / 40 * width - 1), abs=3)


@pytest.mark.parametrize(
    ("shape", "dtype", "count", "channels"),
    [
        ((5, 28, 28), "uint8", 5, 1),
        ((5, 28, 28, 1), "float32", 5, 1),
        ((5, 784), "int64", 5, 1),
        ((50, 60, 4), "uint16", 1, 3),
        ((2, 50, 60, 3), "uint8", 2, 3),
        ((50, 60), "bool", 1, 1),
    ],
)
@pytest.mark.parametrize("top", [1, 255])
def test_arrays_of_every_shape_and_range(
    shape: tuple[int, ...], dtype: str, count: int, channels: int, top: int
) -> None:
    pixels = np.full(shape, min(top, 255) if dtype == "uint8" else top).astype(dtype)
    read = list(read_pictures(save_array(pixels)))
    assert len(read) == count
    assert all(picture.pixels.shape[2] == channels for picture in read)
    assert all((picture.pixels == 1).all() for picture in read)
    assert [picture.page for picture in read] == (
        [f"image {n}" for n in range(count)] if count > 1 else [""]
    )


def test_idx_files_of_images() -> None:
    images = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
    read = list(read_pictures(idx.encode(images)))
    assert np.stack([picture.pixels[..., 0] for picture in read]) == pytest.approx(images / 255)


NPY_BOMB = b"\x93NUMPY\x01\x00v\x00" + (
    b"{'descr': '|u1', 'fortran_order': False, 'shape': (9000000000, 28, 28), }".ljust(117) + b"\n"
)


def forge_size(picture: bytes) -> bytes:
    """Make the header of a JPEG promise 65,000 pixels a side."""
    place = picture.index(b"\xff\xc0") + 5
    return picture[:place] + 2 * (65000).to_bytes(2) + picture[place + 4 :]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "received 0 bytes"),
        (b"<!doctype html><p>404", "received an HTML page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "export it as JPEG"),
        (b"\x93NUMPY", "received a damaged one"),
        (NPY_BOMB, "received a damaged one"),
        (forge_size(save(draw_page(), "JPEG")), "exceeds limit"),
        (b"\0\0\x08\x03\0\0", "received a damaged one: IDX header"),
        (idx.encode(np.zeros(9, np.uint8)), "expected images as numbers"),
        (save_array(np.zeros((28, 28), complex)), "expected images as numbers"),
        (save_array(np.full((28, 28), np.nan)), "expected pixels"),
        (save_array(np.full((28, 28), -1.0)), "expected pixels"),
        (save_array(np.array([{"a": 1}], object)), "allow_pickle"),
    ],
)
def test_what_is_no_picture_is_refused(raw: bytes, expected: str) -> None:
    assert expected in fail(raw)


WHOLE = [save(draw_page(), kind) for kind in FORMATS]
WHOLE += [save_array(draw_page()), idx.encode(draw_page())]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_raises_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        pictures = list(read_pictures(bytes(raw)))
    except PictureError:
        return
    for picture in pictures:
        assert picture.pixels.min() >= 0
        assert picture.pixels.max() <= 1
