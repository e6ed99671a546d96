"""Digits on photographs: found, in reading order, as MNIST would have them; and nothing else is."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digits.imaging.normalization import centre
from digits.imaging.pictures import PictureError
from digits.imaging.segmentation import Found, find_digits, read_digits

SIZE = 60  # pixels of a letter
PITCH = 70
WHITE, BLACK = (1, 1, 1), (0, 0, 0)
FONT = ImageFont.load_default(SIZE)


def write(*lines: str, margin: int = 40) -> np.ndarray:
    """Write lines of digits: float (height, width), 1 where there is ink."""
    width = 2 * margin + PITCH * max(map(len, lines))
    sheet = Image.new("L", (width, 2 * margin + PITCH * len(lines)))
    for row, line in enumerate(lines):
        for column, digit in enumerate(line):
            place = (margin + PITCH * column, margin + PITCH * row)
            ImageDraw.Draw(sheet).text(place, digit, fill=255, font=FONT)
    return np.asarray(sheet) / 255


def photograph(
    ink: np.ndarray,
    pen: Sequence[float] = BLACK,
    paper: Sequence[float] = WHITE,
    light: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Return the picture float (height, width, 3) of ink on paper, in some light."""
    page = np.array(paper) + ink[..., np.newaxis] * (np.array(pen) - np.array(paper))
    return (page * np.broadcast_to(light, ink.shape)[..., np.newaxis]).astype(np.float32)


def shade(shape: tuple[int, ...], depth: float, steepness: float) -> np.ndarray:
    """Return the light of a page, the lower right of which lies in a shadow with an edge."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    away = rows / shape[0] + columns / shape[1] - 1.1
    return 1 - depth / (1 + np.exp((-away * steepness).clip(-50, 50)))


def liken(found: Found, ink: np.ndarray) -> float:
    """Correlate what the network would see with ink, moved and scaled as MNIST's is."""
    return float(np.corrcoef(found.ink.ravel(), centre(ink).ravel())[0, 1])


def check(picture: np.ndarray, text: str) -> None:
    for found, digit in zip(find_digits(picture), text, strict=True):
        assert liken(found, write(digit)) > 0.85


COLOURS = {
    "ink": (BLACK, WHITE),
    "chalk": (WHITE, BLACK),
    "blue on cream": ((0.1, 0.2, 0.7), (0.95, 0.9, 0.75)),
    "red on blue": ((0.7, 0.1, 0.1), (0.8, 0.85, 0.9)),
    "pencil": ((0.45, 0.45, 0.45), (0.7, 0.7, 0.7)),
    "chalk on green": ((0.9, 0.9, 0.8), (0.1, 0.3, 0.2)),
    "white on orange": ((1.0, 1.0, 1.0), (1.0, 0.6, 0.1)),
}


@pytest.mark.parametrize(("pen", "paper"), COLOURS.values(), ids=COLOURS)
def test_lines_of_any_colours_are_read_as_people_read(
    pen: Sequence[float], paper: Sequence[float]
) -> None:
    check(photograph(write("2718", "0459", "36"), pen, paper), "2718045936")


@pytest.mark.parametrize("depth", [0.2, 0.5])
@pytest.mark.parametrize("steepness", [2, 60, 1e6])
def test_shadow(depth: float, steepness: float) -> None:
    """From uneven light to a sharp edge."""
    ink = write("2459", "3308")
    light = shade(ink.shape, depth, steepness)
    check(photograph(ink, light=light), "24593308")
    for turned in (np.rot90(light, turns) for turns in range(4)):
        assert find_digits(photograph(np.zeros(turned.shape), light=turned)) == []


def test_grain_specks_and_a_table_beside_the_page() -> None:
    ink = write("2459")
    draws = np.random.default_rng(0)
    picture = photograph(ink) * (1 - 0.04 * draws.random((*ink.shape, 1)))
    picture[5:8, 100:103] = 0.2
    check(picture, "2459")
    picture = photograph(ink, paper=(0.9, 0.9, 0.9))
    check(np.pad(picture, ((0, 40), (60, 0), (0, 0)), constant_values=0.25), "2459")


def test_strokes_that_a_pen_interrupts_are_one_digit() -> None:
    ink = write("5")
    rows = np.flatnonzero(ink.any(axis=1))
    top = rows[0] + len(rows) // 3
    ink[top : top + 3] = 0
    assert len(find_digits(photograph(ink))) == 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 500, 3), (29, 28, 3)])
def test_pictures_of_any_shape(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).random(shape).astype(np.float32)
    for found in find_digits(picture):
        assert found.ink.shape == (28, 28)
        assert np.isfinite(found.ink).all()


def test_page_of_specks_is_refused_and_soon() -> None:
    """Pieces are compared with digits, not with one another: so many would take minutes."""
    specks = np.random.default_rng(0).random((600, 600, 1)) < 0.03
    with pytest.raises(PictureError, match=r"expected digits on paper, received .* specks"):
        find_digits(1 - specks.astype(np.float32))


@pytest.mark.parametrize("paper", [0.0, 1.0])
def test_pictures_of_the_size_of_mnist_are_taken_as_they_are(paper: float) -> None:
    image = centre(write("4"))
    given = image if paper == 0 else 1 - image
    (found,) = find_digits(given[..., np.newaxis])
    assert found.ink == pytest.approx(image, abs=1e-6)
    assert (found.rows, found.columns) == (slice(0, 28), slice(0, 28))
    assert find_digits(np.full((28, 28, 1), paper, np.float32)) == []


@pytest.mark.parametrize("paper", [0.0, 0.85, 1.0])
def test_small_digit_in_a_corner_is_centred(paper: float) -> None:
    ink = np.zeros((28, 28))
    ink[2:16, 14:] = centre(write("5"))[::2, ::2]
    picture = paper + ink * (round(1 - paper) - paper)
    (found,) = find_digits(picture[..., np.newaxis].astype(np.float32))
    assert liken(found, ink) > 0.8


@pytest.mark.parametrize("size", [20, 150])
@pytest.mark.parametrize("paper", [0.0, 1.0])
@pytest.mark.parametrize("digit", "01")
def test_glyph_that_is_cut_to_its_box_is_not_inverted(size: int, paper: float, digit: str) -> None:
    image = Image.new("L", (3 * size, 3 * size))
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text((size, size), digit, fill=255, font=font)
    ink = np.asarray(image.crop(image.getbbox())) / 255
    picture = np.abs(paper - ink).astype(np.float32)
    (found,) = find_digits(picture[..., np.newaxis])
    assert liken(found, ink) > 0.7


def test_boxes_frame_the_ink() -> None:
    ink, middle = write("24"), 40 + PITCH
    for one, start in zip(find_digits(photograph(ink)), (0, middle), strict=True):
        part = (ink[:, start : start + middle] > 0.5).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(part)
        box = (one.columns.start - start, one.rows.start, one.columns.stop - start, one.rows.stop)
        assert box == pytest.approx((left, top, left + width, top + height), abs=2)


def lay_on_table(picture: np.ndarray, angle: float) -> np.ndarray:
    """Turn a sheet by degrees on a dark table."""
    height, width = picture.shape[:2]
    room = max(height, width) // 4
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    turn[:, 2] += room
    size = (width + 2 * room, height + 2 * room)
    table = np.random.default_rng(0).normal(0.25, 0.01, (*size[::-1], 3)).astype(np.float32)
    return cv2.warpAffine(picture, turn, size, table, borderMode=cv2.BORDER_TRANSPARENT)


@pytest.mark.parametrize("angle", [-10, -2, 2, 10])
def test_sheet_on_a_table(angle: float) -> None:
    picture = lay_on_table(photograph(write("2459"), paper=(0.9, 0.9, 0.88)), angle)
    check(picture, "2459")
    for found in find_digits(picture):  # their boxes are the picture's, not the flat sheet's
        part = picture[found.rows, found.columns]
        assert part.min() < 0.1
        assert np.median(part) > 0.8
    empty = np.full((300, 200, 3), 0.9, np.float32)
    assert find_digits(lay_on_table(empty, angle)) == []


def rule(shape: tuple[int, ...], pitch: int, slope: float, *, squared: bool) -> np.ndarray:
    """Return the lines of a page that is seen askew, 1 where there is one."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    lines = np.abs((rows + slope * columns) % pitch) < 2
    if squared:
        lines |= np.abs((columns - slope * rows) % pitch) < 2
    return lines.astype(np.float32)


@pytest.mark.parametrize("slope", [0.0, 0.03, -0.08])
@pytest.mark.parametrize("squared", [False, True])
def test_lines_of_paper_that_is_seen_askew(*, squared: bool, slope: float) -> None:
    ink = write("24596")
    lines = rule(ink.shape, 31, slope, squared=squared)
    check(photograph(np.maximum(ink, 0.4 * lines)), "24596")


def add_grain(page: np.ndarray, deviation: float) -> np.ndarray:
    grain = np.random.default_rng(0).normal(0, deviation, (*page.shape[:2], 1))
    return (page + grain).clip(0, 1).astype(np.float32)


@pytest.mark.parametrize("depth", [0, 0.12, 0.18])
@pytest.mark.parametrize("deviation", [0, 0.01, 0.03, 0.05, 0.06])
def test_empty_page_of_which_grain_has_broken_the_lines(depth: float, deviation: float) -> None:
    lines = depth * rule((600, 800), 53, 0.05, squared=True)
    assert find_digits(add_grain(photograph(lines, paper=(0.8, 0.8, 0.8)), deviation)) == []


def test_faint_writing_on_grainy_paper() -> None:
    page = photograph(0.35 * write("2459"), paper=(0.8, 0.8, 0.8))
    check(add_grain(page, 0.05), "2459")


@pytest.mark.parametrize("shift", [0, 14])
def test_boxes_around_digits(shift: int) -> None:
    """Shifted by 14 pixels, the second digit touches its box."""
    sheet = np.zeros((200, 60 + 4 * 110))
    for number, digit in enumerate("2459"):
        left = 60 + 110 * number
        cv2.rectangle(sheet, (left, 50), (left + 90, 150), 1.0, 4)
        glyph = write(digit, margin=15)[:100, :88]
        moved = np.roll(glyph, -shift if number == 1 else 0, axis=1)
        part = sheet[52 : 52 + len(glyph), left + 1 : left + 1 + glyph.shape[1]]
        np.maximum(part, moved, out=part)
    found = find_digits(photograph(sheet))
    assert len(found) == 4
    for number, digit in enumerate("2459"):
        assert liken(found[number], write(digit)) > 0.85 or (shift and number == 1)


def compare_with_font(images: np.ndarray) -> np.ndarray:
    """Return probabilities (n, 10) of images (n, 28, 28): by how much each resembles a letter."""
    letters = np.stack([centre(write(digit)).ravel() for digit in "0123456789"])
    alike = np.corrcoef(images.reshape(len(images), -1), letters)[: len(images), len(images) :]
    powers = np.exp(60 * alike)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("text", ["25", "49", "37", "24"])
def test_two_digits_that_touch_are_two_if_a_network_says_so(text: str) -> None:
    first, second = (ink[:, ink.any(axis=0)] for ink in (write(text[0]), write(text[1])))
    ink = np.pad(np.hstack([first, second[:, 1:]]), ((0, 0), (40, 40)))
    rows = np.flatnonzero(ink.any(axis=1))
    ink[rows[-1] - 2 : rows[-1] + 1, 50:80] = 1  # a stroke that joins them
    picture = photograph(ink)
    assert len(find_digits(picture)) == 1
    found = find_digits(picture, compare_with_font)
    assert [*read_digits(found, compare_with_font).argmax(axis=1)] == [*map(int, text)]
    assert all(digit.confidence < 1 for digit in found)


@pytest.mark.parametrize("digit", "0123456789")
def test_one_digit_is_one_whatever_a_network_says_of_its_halves(digit: str) -> None:
    (found,) = find_digits(photograph(write(digit)), compare_with_font)
    assert found.confidence > 0.9


def test_reading_is_as_sure_as_its_digit_is_one() -> None:
    found = [Found(slice(0, 1), slice(0, 1), centre(write("3")), 0.5)]
    (sure,) = compare_with_font(found[0].ink[np.newaxis])
    assert read_digits(found, compare_with_font)[0] == pytest.approx(0.5 * sure + 0.05)
