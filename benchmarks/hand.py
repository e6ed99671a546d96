"""Draw digits in a handwriting unlike MNIST's: `python -m benchmarks.hand PATH`.

Its ones have the long upstroke that is taught in much of Europe, its sevens a serif and a bar, its
nines a hook. Points, slant and the width of the pen are drawn at random. The pictures are put into
a subfolder a digit, as `digits demo` does.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from digits.stage import run

# Strokes of points, 0 to 100 from the left and from above.
STROKES = {
    "0": ["52,17 36,24 27,44 29,66 42,82 58,80 70,64 71,42 62,23 46,16"],
    "1": ["20,50 38,34 54,18 62,14 60,40 57,62 54,86"],
    "2": ["27,34 33,21 49,16 64,22 67,36 57,52 42,67 27,83 48,82 73,84"],
    "3": ["28,20 48,18 67,19 54,34 43,45 60,50 69,62 64,76 48,84 30,79"],
    "4": ["36,17 31,36 26,55 48,56 76,55", "64,30 62,56 60,86"],
    "5": ["70,17 52,18 38,18 35,33 33,46 48,43 63,49 69,63 61,78 45,84 28,78"],
    "6": ["64,15 47,30 35,50 31,67 40,82 55,84 67,73 65,60 53,54 40,60 33,70"],
    "7": ["24,34 25,20 48,19 75,17 64,38 55,60 47,86", "36,54 52,51 72,49"],
    "8": ["65,25 51,17 37,24 38,37 51,48 65,60 66,75 51,84 36,76 37,62 51,48 64,36 65,25"],
    "9": ["67,30 55,17 39,21 33,36 42,49 57,46 67,31 68,54 64,74 52,85 36,80"],
}
SIDE = 280  # pixels, as the page of `digits demo` has
SEED = 0


def draw(digit: str, draws: np.random.Generator) -> Image.Image:
    """Draw a digit, dark on light."""
    lean, turn = draws.normal(0.05, 0.08), np.radians(draws.normal(0, 4))
    scale = draws.uniform(0.75, 1.0, 2)
    matrix = np.array([[1, -lean], [0, 1]]) @ [
        [np.cos(turn), -np.sin(turn)],
        [np.sin(turn), np.cos(turn)],
    ]
    width = draws.uniform(0.045, 0.085) * SIDE
    picture = Image.new("L", (SIDE, SIDE), 255)
    pen = ImageDraw.Draw(picture)
    for stroke in STROKES[digit]:
        points = np.array([pair.split(",") for pair in stroke.split()], float) - 50
        points += draws.normal(0, 1.6, points.shape)
        points = (points * scale) @ matrix.T / 100 * SIDE + SIDE / 2
        places = [tuple(point) for point in smooth(points)]
        pen.line(places, fill=0, width=round(width), joint="curve")
        for x, y in (places[0], places[-1]):
            pen.circle((x, y), width / 2, fill=0)
    return picture


def smooth(points: np.ndarray) -> np.ndarray:
    """Round corners (n, 2) off, the ends excepted: once by Chaikin's algorithm (1974)."""
    near, far = 0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]
    cut = np.stack([near, far], axis=1).reshape(-1, 2)
    return np.concatenate([points[:1], cut[1:-1], points[-1:]])


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw digits in a handwriting unlike MNIST's.")
    add = parser.add_argument
    add("path", type=Path, metavar="PATH", help="a folder")
    add("--digits", default="0123456789", metavar="0123456789", help="which")
    add("--count", type=int, default=5, metavar="5", help="of each digit")
    arguments = parser.parse_args()
    draws = np.random.default_rng(SEED)
    for digit in sorted({*arguments.digits} & STROKES.keys()):
        folder = arguments.path / digit
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(arguments.count):
            draw(digit, draws).save(folder / f"{number}.png")


if __name__ == "__main__":
    run(main)
