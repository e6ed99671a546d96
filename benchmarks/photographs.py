"""Digits of MNIST as photographs of paper: how many of them are read, alone and in rows.

Paper and its grain, ruled or squared; uneven light and a shadow; pens of several colours and
widths; a camera held askew; JPEG. All is drawn from one seed. The digits are validation images
that were not looked at while `digits/imaging/segmentation.py` was written; the test's are for
`evaluate` alone.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage
from tqdm import tqdm

from benchmarks.timing import judge_at_least, print_table
from digits.commands.classifier import load_classifier
from digits.data.splits import load_card, load_split
from digits.evaluation.scores import score_accuracy_interval
from digits.imaging.segmentation import find_digits
from digits.paths import CARD_PATH, VALIDATION_DIR
from digits.stage import run

SEED = 20261127
SINGLES = slice(1000, 2000)
ROWS, ROW_LENGTH = slice(5000, 6000), 5
WANTED = {1: 0.985, ROW_LENGTH: 0.95}
PAPERS = np.array([(0.97, 0.96, 0.94), (0.93, 0.90, 0.83), (0.86, 0.88, 0.90), (0.75, 0.75, 0.73)])
PENS = np.array([(0.1, 0.1, 0.12), (0.1, 0.15, 0.5), (0.55, 0.1, 0.12), (0.08, 0.35, 0.2)])
MARGIN = 0.6  # of a digit's size, around it


def photograph(images: Sequence[np.ndarray], draws: np.random.Generator) -> np.ndarray:
    """Write images float (28, 28) in a row and photograph them: float (height, width, 3)."""
    size = int(draws.integers(70, 160))  # pixels of MNIST's 28
    margin = int(MARGIN * size)
    ink = [_write(image, size, draws) for image in images]
    gaps = [int(draws.uniform(-0.15, 0.15) * size) for _ in ink]
    width = 2 * margin + sum(it.shape[1] + gap for it, gap in zip(ink, gaps, strict=True))
    sheet = np.zeros((2 * margin + size, width), np.float32)
    left = margin
    for digit, gap in zip(ink, gaps, strict=True):
        top = margin + int(draws.uniform(-0.08, 0.08) * size)
        part = sheet[top : top + size, left : left + size]
        np.maximum(part, digit[: part.shape[0], : part.shape[1]], out=part)
        left += size + gap
    paper, pen = draws.choice(PAPERS), draws.choice(PENS)
    if draws.random() < 0.1:
        paper, pen = pen, paper  # chalk
    page = paper + np.zeros((*sheet.shape, 3))
    page *= 1 - draws.uniform(0, 0.25) * _rule(sheet.shape, size, draws)[..., np.newaxis]
    page += (pen - page) * (sheet * draws.uniform(0.75, 1))[..., np.newaxis]
    page += draws.normal(0, draws.uniform(0.005, 0.03), page.shape[:2])[..., np.newaxis]
    page *= _light(sheet.shape, draws)[..., np.newaxis]
    return _compress(_tilt(page, draws), draws)


def _write(image: np.ndarray, size: int, draws: np.random.Generator) -> np.ndarray:
    """Enlarge a digit and draw its edge anew, farther out or in: a broader or a finer pen."""
    large = ndimage.zoom(image, size / len(image), order=3)
    limit, softness = draws.uniform(0.25, 0.65), draws.uniform(0.05, 0.2)
    return ((large - limit) / softness + 0.5).clip(0, 1).astype(np.float32)


def _rule(shape: tuple[int, ...], size: int, draws: np.random.Generator) -> np.ndarray:
    """Return the lines of the paper, 1 where there is one: none, ruled or squared."""
    lines = np.zeros(shape, np.float32)
    kind, pitch = (
        draws.choice(["blank", "blank", "ruled", "squared"]),
        int(draws.uniform(0.3, 1.3) * size),
    )
    start = int(draws.integers(0, pitch))
    if kind != "blank":
        lines[start::pitch] = 1
    if kind == "squared":
        lines[:, start::pitch] = 1
    return lines


def _light(shape: tuple[int, ...], draws: np.random.Generator) -> np.ndarray:
    """Return the light on the page: more to one side, and less in the shadow of a hand."""
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = draws.uniform(0, 2 * np.pi)
    light = 1 - draws.uniform(0, 0.3) * (1 + rows * np.sin(angle) + columns * np.cos(angle)) / 2
    if draws.random() < 0.5:
        angle, edge = draws.uniform(0, 2 * np.pi), draws.uniform(-0.5, 0.5)
        away = rows * np.sin(angle) + columns * np.cos(angle) - edge
        light *= 1 - draws.uniform(0.1, 0.4) / (1 + np.exp(-away / draws.uniform(0.03, 0.2)))
    return light


def _tilt(page: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """See the page from a side: each corner moves by up to 6 % of the shorter side."""
    height, width = page.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    moved = corners + draws.uniform(-0.06, 0.06, (4, 2)) * min(height, width)
    rows = []
    for (x, y), (u, v) in zip(corners, moved, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
    transform = np.linalg.solve(np.array(rows), moved.ravel())
    picture = Image.fromarray((255 * page.clip(0, 1)).astype(np.uint8))
    fill = tuple(int(255 * it) for it in np.median(page, axis=(0, 1)).clip(0, 1))
    tilted = picture.transform(
        picture.size,
        Image.Transform.PERSPECTIVE,
        tuple(transform),
        Image.Resampling.BICUBIC,
        fillcolor=fill,
    )
    return np.asarray(tilted) / 255


def _compress(page: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Save and load as JPEG."""
    file = io.BytesIO()
    Image.fromarray((255 * page).astype(np.uint8)).save(
        file, "JPEG", quality=int(draws.integers(40, 95))
    )
    return np.asarray(Image.open(file)) / 255


def main() -> None:
    card = load_card(CARD_PATH)
    images, labels = vars(load_split(VALIDATION_DIR, card.class_count)).values()
    classifier = load_classifier()
    draws = np.random.default_rng(SEED)
    rows = []
    for chosen, length in ((SINGLES, 1), (ROWS, ROW_LENGTH)):
        groups = np.arange(len(labels))[chosen].reshape(-1, length)
        found = right = 0
        for group in tqdm(groups, unit="picture", leave=False, disable=None):
            digits = find_digits(photograph([images[it, ..., 0] for it in group], draws))
            if len(digits) == length:
                found += 1
                read = classifier.predict(np.stack([it.ink for it in digits])).argmax(axis=1)
                right += bool((read == labels[group]).all())
        share = right / len(groups)
        low, high = score_accuracy_interval(right, len(groups))
        name = "one digit" if length == 1 else f"a row of {length}"
        verdict = judge_at_least(share, WANTED[length])
        cells = (f"{found / len(groups):.1%}", f"{share:.1%}", f"{low:.1%} to {high:.1%}")
        rows.append((name, len(groups), *cells, verdict))
    header = ("photograph", "number", "all found", "all read right", "95 % interval", "wanted")
    print_table("Photographs", header, rows)


if __name__ == "__main__":
    run(main)
