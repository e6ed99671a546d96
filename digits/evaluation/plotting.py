"""What all figures share: fonts, colours for colour-blind readers too, titles, PNG files.

Modules that draw import Matplotlib and seaborn from here, and draw inside `draw_figure` or
`drawing_style`. Every figure's title names the dataset and the recipe.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from digits.files import atomic_write

__all__ = ["Axes", "Figure", "mpl", "sns"]

DPI = 110
WIDTH = 7.5  # inches: narrow enough that a phone, half as wide, shows letters that can be read
FONT = "DejaVu Sans"  # comes with Matplotlib: the same glyphs everywhere
FONT_SIZE, TITLE_SIZE = 11, 12  # points, of 1/72 inch
STYLE: Any = {
    "font.family": FONT,
    "font.size": FONT_SIZE,
    "text.parse_math": False,  # a class may be named $
    "axes.titlesize": TITLE_SIZE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
# Okabe and Ito 2008: colour-blind readers can tell them apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
PALE = "#DCE6EE"  # for backgrounds
# All of these colours that are visible on white, each with its marker.
SERIES = (
    (BLUE, "o"),
    (ORANGE, "s"),
    (GREEN, "^"),
    ("#CC79A7", "D"),
    ("#56B4E9", "v"),
    ("#E69F00", "<"),
    ("#000000", "p"),
)


def drawing_style(changes: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Change Matplotlib's defaults for a block, whatever the user's `matplotlibrc` says."""
    return mpl.style.context(dict(changes), after_reset=True)


@contextmanager
def draw_figure(
    title: str, size: tuple[float, float] | None = None, changes: Mapping[str, Any] | None = None
) -> Iterator[Figure]:
    """Make a figure of a size in inches for a block that draws on it, and write its title."""
    with drawing_style({**STYLE, **(changes or {})}):
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        write_title(figure, title)


def measure_text(text: str, size: float) -> float:
    """Return the width of a line in inches, its font size in points."""
    font = FontProperties(family=FONT, size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def wrap_text(text: str, width: float, size: float) -> str:
    """Break lines between words where they are wider than `width`, in inches; long words within."""
    lines = []
    for line in text.splitlines():
        words = line.split(" ")
        first, *rest = (piece for word in words for piece in _cut_word(word, width, size))
        lines.append(first)
        for word in rest:
            longer = f"{lines[-1]} {word}"
            if measure_text(longer, size) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
    return "\n".join(lines)


def _cut_word(word: str, width: float, size: float) -> list[str]:
    """Cut a word into pieces that are as wide as a line at most."""
    if measure_text(word, size) <= width:
        return [word]
    pieces = [""]
    for letter in word:
        if pieces[-1] and measure_text(pieces[-1] + letter, size) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def write_title(figure: Figure, title: str) -> None:
    """Write a title of one or more lines over a figure."""
    text = wrap_text(title, figure.get_figwidth() - 0.3, TITLE_SIZE)
    figure.suptitle(text, fontsize=TITLE_SIZE)


def fit_grid(figure: Figure, class_names: Sequence[str], aspect: float = 1.0) -> float:
    """Make a figure as large as a cell for every true and predicted class, and names, need.

    `aspect` is a cell's height by its width. Returns a cell's width in inches.
    """
    count, longest = len(class_names), max(measure_text(name, FONT_SIZE) for name in class_names)
    cell = float(np.clip(6.4 / count, 0.42, 1.0))
    names = longest + 1.1
    figure.set_size_inches(max(count * cell + names, 5.0), count * cell * aspect + names)
    return cell


def name_cells(axes: Axes, pitch: tuple[int, int], class_names: Sequence[str], cell: float) -> None:
    """Write the classes' names left of a grid and over it, slanted where they are too wide.

    `pitch` is a cell's width and height in the axes' units, `cell` its width in inches.
    """
    middles = np.arange(len(class_names)) + 0.5
    slant: dict[str, Any] = {"rotation": 45, "ha": "left", "va": "center"}
    slant["rotation_mode"] = "anchor"
    is_wide = max(measure_text(name, FONT_SIZE) for name in class_names) > 0.9 * cell
    axes.set_xticks(pitch[0] * middles, class_names, **(slant if is_wide else {}))
    axes.set_yticks(pitch[1] * middles, class_names, rotation=0)
    axes.tick_params(length=0, top=True, labeltop=True, labelbottom=False)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


def write_figure(path: Path, figure: Figure, question: str = "", reading: str = "") -> None:
    """Write a PNG, the same bytes for the same figure.

    It holds the question that it answers and how to read it: `digits report` shows both.
    """
    texts = {"Software": None, "Title": question or path.stem, "Description": reading}
    # Matplotlib makes ticks only now.
    with atomic_write(path) as file, drawing_style({}):
        figure.savefig(file, format="png", dpi=DPI, metadata=texts)
