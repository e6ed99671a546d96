"""What all figures share: fonts, colours that every reader can tell apart, bytes that repeat.

Every figure says in its title which dataset and recipe it shows.
"""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from digits.files.artifacts import replacing

DPI = 110
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same glyphs everywhere
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
# Okabe and Ito 2008: told apart by colour-blind readers.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
# All of their colours that show on white, each with a marker of its own.
SERIES = (
    (BLUE, "o"),
    (ORANGE, "s"),
    (GREEN, "^"),
    ("#CC79A7", "D"),
    ("#56B4E9", "v"),
    ("#E69F00", "<"),
    ("#000000", "p"),
)


def write_figure(path: Path, figure: Figure) -> None:
    """Write a PNG that holds nothing but the picture: equal figures give equal bytes."""
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
