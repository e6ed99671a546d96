"""Digits of MNIST written on paper and photographed: pens, papers, grain, light, angle and JPEG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

PAPERS = np.array([(0.97, 0.96, 0.94), (0.93, 0.90, 0.83), (0.86, 0.88, 0.90), (0.75, 0.75, 0.73)])
PENS = np.array([(0.1, 0.1, 0.12), (0.1, 0.15, 0.5), (0.55, 0.1, 0.12), (0.08, 0.35, 0.2)])
TABLES = np.array([(0.35, 0.22, 0.13), (0.2, 0.2, 0.22), (0.45, 0.33, 0.2), (0.1, 0.08, 0.07)])


@dataclass(frozen=True)
class Kind:
    """What is photographed, and the share of pictures that should be read without an error."""

    name: str
    length: int  # digits in a row; 0: an empty sheet
    wanted: float
    papers: tuple[str, ...] = ("plain", "plain", "ruled", "squared")  # one is drawn
    shadows: tuple[str, ...] = ("none", "soft")  # one is drawn
    table: bool = False  # below the sheet
    boxes: bool = False  # around each digit, drawn by the pen
    touching: int = 0  # adjacent pairs that share ink
    dark: bool = False  # chalk, or a screen in dark mode
    count: int = 200


KINDS = (
    Kind("one digit", 1, 0.99, count=1000),
    Kind("row of 5, plain paper", 5, 0.97, ("plain",)),
    Kind("row of 5, ruled paper", 5, 0.97, ("ruled",)),
    Kind("row of 5, squared paper", 5, 0.97, ("squared",)),
    Kind("row of 5, soft shadow", 5, 0.97, ("plain",), ("soft",)),
    Kind("row of 5, light on dark", 5, 0.97, ("plain",), ("none",), dark=True),
    Kind("row of 5, ruled, sharp shadow", 5, 0.95, ("ruled",), ("sharp",)),
    Kind("row of 5, a box around each", 5, 0.95, ("plain",), boxes=True),
    Kind("row of 5, sheet on a table", 5, 0.95, table=True),
    Kind("row of 10, squared paper", 10, 0.94, ("squared",)),
    Kind("two digits that touch", 2, 0.90, ("plain",), touching=1),
    Kind("row of 5, two touch", 5, 0.90, ("plain",), touching=1),
    Kind("empty sheet", 0, 1.0, ("plain",), ("none", "soft", "sharp")),
    Kind("empty ruled or squared sheet", 0, 1.0, ("ruled", "squared"), ("none", "soft", "sharp")),
    Kind("empty sheet on a table", 0, 1.0, table=True),
)


def photograph(kind: Kind, images: Sequence[np.ndarray], draws: np.random.Generator) -> np.ndarray:
    """Write images float (28, 28) in a row and photograph them: float (height, width, 3)."""
    size = int(draws.integers(50, 90) if kind.length > 5 else draws.integers(70, 160))  # MNIST's 28
    if images:
        ink = _write_row([_write(image, size, draws) for image in images], kind, size, draws)
    else:
        ink = np.zeros(draws.integers(250, 1000, 2), np.float32)
    paper, pen = draws.choice(PAPERS), draws.choice(PENS)
    if kind.dark:
        paper, pen = pen, paper
    lines = _rule(draws.choice(kind.papers), ink.shape, size, draws)[..., np.newaxis]
    page = paper * (1 - draws.uniform(0.08, 0.3) * lines)
    page += (pen - page) * (ink * draws.uniform(0.75, 1))[..., np.newaxis]
    fill = np.median(page, axis=(0, 1))
    page = _lay_on_table(page, draws) if kind.table else _tilt(page, fill, draws)
    page *= _light(page.shape[:2], draws.choice(kind.shadows), draws)[..., np.newaxis]
    page += draws.normal(0, draws.uniform(0.005, 0.03), page.shape[:2])[..., np.newaxis]
    return _compress(page, draws)


def _write(image: np.ndarray, size: int, draws: np.random.Generator) -> np.ndarray:
    """Enlarge a digit and redraw its edge farther out or in: a broader or a finer pen."""
    large = ndimage.zoom(image, size / len(image), order=3)
    limit, softness = draws.uniform(0.25, 0.65), draws.uniform(0.05, 0.2)
    return ((large - limit) / softness + 0.5).clip(0, 1).astype(np.float32)


def _write_row(
    digits: Sequence[np.ndarray], kind: Kind, size: int, draws: np.random.Generator
) -> np.ndarray:
    """Write digits (size, size) side by side on a sheet, float (height, width) of ink."""
    margin = int(0.6 * size)
    sheet = np.zeros((2 * margin + size, 2 * margin + 2 * size * len(digits)), np.float32)
    pair = int(draws.integers(1, len(digits))) if kind.touching else 0
    pitch, thickness = size * draws.uniform(1.0, 1.5), int(draws.integers(2, 5))
    left = margin
    for number, digit in enumerate(digits):
        top = margin + int(draws.uniform(-0.08, 0.08) * size * (not kind.boxes))
        if pair and number == pair:
            left = _approach(sheet, digit, top, int(draws.uniform(0.01, 0.04) * size) + 1)
        part = sheet[top : top + size, left : left + size]
        np.maximum(part, digit, out=part)
        if kind.boxes:
            part[:thickness] = part[-thickness:] = 1
            part[:, :thickness] = part[:, -thickness:] = 1
        end = left + size
        gap = pitch - size if kind.boxes else draws.uniform(-0.1, 0.15) * size
        left = end + max(int(gap), -thickness)
    return sheet[:, : end + margin]


def _approach(sheet: np.ndarray, digit: np.ndarray, top: int, shared: int) -> int:
    """Return where a digit must be put so that it shares so many columns with the ink on its left.

    Where it reaches no ink, it is put as near.
    """
    size = len(digit)
    written, own = sheet[top : top + size] > 0.5, digit > 0.5
    last = np.where(
        written.any(axis=1), sheet.shape[1] - written[:, ::-1].argmax(axis=1), -sheet.size
    )
    first = np.where(own.any(axis=1), own.argmax(axis=1), sheet.size)
    return int((last - first).max()) - shared


def _rule(paper: str, shape: tuple[int, ...], size: int, draws: np.random.Generator) -> np.ndarray:
    """Return the lines of the paper, 1 where there is one."""
    lines = np.zeros(shape, np.float32)
    pitch, width = int(draws.uniform(0.3, 1.3) * size), int(draws.integers(1, 4))
    start = int(draws.integers(0, pitch))
    for shift in range(width):
        if paper != "plain":
            lines[start + shift :: pitch] = 1
        if paper == "squared":
            lines[:, start + shift :: pitch] = 1
    return lines


def _light(shape: tuple[int, ...], shadow: str, draws: np.random.Generator) -> np.ndarray:
    """Return the brightness of each pixel: brighter on one side, darker in a shadow."""
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = draws.uniform(0, 2 * np.pi)
    light = 1 - draws.uniform(0, 0.3) * (1 + rows * np.sin(angle) + columns * np.cos(angle)) / 2
    if shadow != "none":
        angle, edge = draws.uniform(0, 2 * np.pi), draws.uniform(-0.5, 0.5)
        softness = draws.uniform(0.03, 0.2) if shadow == "soft" else draws.uniform(0.002, 0.01)
        away = rows * np.sin(angle) + columns * np.cos(angle) - edge
        light *= 1 - draws.uniform(0.1, 0.5) / (1 + np.exp((-away / softness).clip(-50, 50)))
    return light


def _lay_on_table(page: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Lay the sheet on a table, turned by up to 10 degrees; one side may be cut off."""
    height, width = page.shape[:2]
    room = (draws.uniform(0.1, 0.35, (2, 2)) * max(height, width)).astype(int)
    if draws.random() < 0.25:
        room[draws.integers(2), draws.integers(2)] = 0
    grain = draws.normal(0, 1, (height + room[0].sum(), width + room[1].sum()))
    grain = ndimage.gaussian_filter(grain, (1, draws.uniform(5, 40)))
    table = draws.choice(TABLES) * (1 + draws.uniform(0, 0.2) * (grain / grain.std()))[..., None]
    angle = np.radians(draws.uniform(-10, 10))
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    middle = np.array([width, height]) / 2
    corners = (_corners(page) - middle) @ turn.T + middle + (room[1, 0], room[0, 0])
    corners += draws.uniform(-0.03, 0.03, (4, 2)) * min(height, width)
    return _project(page, corners, table)


def _tilt(page: np.ndarray, fill: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """See the page from a side: each corner moves by up to 6 % of the shorter side."""
    moved = _corners(page) + draws.uniform(-0.06, 0.06, (4, 2)) * min(page.shape[:2])
    return _project(page, moved, np.broadcast_to(fill, page.shape))


def _corners(page: np.ndarray) -> np.ndarray:
    height, width = page.shape[:2]
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], float)


def _project(page: np.ndarray, corners: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Lay a page over the ground, its corners (4, 2) at places x, y there."""
    places, own = corners.astype(np.float32), _corners(page).astype(np.float32)
    transform = cv2.getPerspectiveTransform(places, own).ravel()[:8]
    opaque = np.dstack([page, np.ones(page.shape[:2])]).clip(0, 1)
    size, way = ground.shape[1::-1], Image.Transform.PERSPECTIVE
    seen = Image.fromarray((255 * opaque).astype(np.uint8), "RGBA").transform(
        size, way, tuple(transform), Image.Resampling.BICUBIC
    )
    pixels = np.asarray(seen, np.float64) / 255
    return ground + (pixels[..., :3] - ground) * pixels[..., 3:]


def _compress(page: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Save and load as JPEG."""
    file = io.BytesIO()
    picture = Image.fromarray((255 * page.clip(0, 1)).astype(np.uint8))
    picture.save(file, "JPEG", quality=int(draws.integers(40, 95)))
    return np.asarray(Image.open(file), np.float32) / 255
