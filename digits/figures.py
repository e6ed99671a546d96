"""Draw the figures. Every one says in its title which dataset and recipe it shows."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digits.artifacts import replacing

# Okabe and Ito 2008: told apart by colour-blind readers.
BLUE, ORANGE = "#0072B2", "#D55E00"
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same glyphs everywhere
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
# All of their colours that show on white, each with a marker of its own.
SERIES = (
    (BLUE, "o"),
    (ORANGE, "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#56B4E9", "v"),
    ("#E69F00", "<"),
    ("#000000", "p"),
)
DPI = 110
GALLERY_COLUMNS = 8


def write_figure(path: Path, figure: Figure) -> None:
    """Write a PNG that holds nothing but the picture: equal figures give equal bytes."""
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def draw_confusion(
    confusion: np.ndarray, class_names: Sequence[str], title: str, *, errors_only: bool
) -> Figure:
    """Draw counts (10, 10), rows true, columns predicted; errors only: the diagonal masked."""
    count = int(confusion.sum())
    error_count = count - int(np.trace(confusion))
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(8.6, 7.4), layout="constrained")
        axes = figure.add_subplot()
        sns.heatmap(
            confusion,
            ax=axes,
            # The eye sees one error beside 1,000 hits only on a scale of roots.
            norm=mpl.colors.PowerNorm(0.5, vmin=0),
            mask=np.eye(len(confusion), dtype=bool) if errors_only else None,
            annot=np.where(confusion == 0, "", confusion.astype(str)),
            fmt="",
            cmap="Oranges" if errors_only else "Blues",
            square=True,
            linewidths=0.5,
            linecolor="#e6e6e6",
            cbar_kws={"label": "test images", "shrink": 0.8},
            xticklabels=list(class_names),
            yticklabels=list(class_names),
        )
        what = "errors only" if errors_only else "counts"
        axes.set_title(
            f"Confusion matrix, {what} · {title}\n{error_count:,} errors in {count:,} test images"
        )
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.tick_params(left=False, bottom=False)
        axes.tick_params(axis="y", rotation=0)
        longest = max(map(len, class_names))
        axes.tick_params(axis="x", rotation=0 if longest < 4 else 45)
    return figure


def draw_curves(history: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy and loss by epoch, train against validation, from the history file."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        for axes, score in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
            series = {"train": (score, BLUE, "o"), "validation": (f"val_{score}", ORANGE, "s")}
            for label, (column, colour, marker) in series.items():
                axes.plot(
                    history["epoch"],
                    history[column],
                    color=colour,
                    marker=marker,
                    markersize=4,
                    label=label,
                )
            axes.set_xlabel("epoch")
            axes.set_ylabel(score)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend(frameon=False)
        figure.suptitle(f"Learning curves · {title}")
    return figure


def draw_leaderboard(runs: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy against training time, a dot a run; of each recipe, the medians of both.

    `runs` has recipe, training_seconds and accuracy; the most accurate recipe comes first.
    """
    medians = runs.groupby("recipe")[["training_seconds", "accuracy"]].median()
    medians = medians.sort_values("accuracy", ascending=False)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.4, 5.2), layout="constrained")
        axes = figure.add_subplot()
        for (recipe, median), (colour, marker) in zip(
            medians.iterrows(), cycle(SERIES), strict=False
        ):
            group = runs[runs["recipe"] == recipe]
            axes.plot(
                group["training_seconds"],
                group["accuracy"],
                color=colour,
                marker=marker,
                markersize=6,
                markeredgewidth=0,
                alpha=0.7,
                linestyle="none",
                label=f"{recipe} ({len(group)})",
            )
            axes.plot(*median, color=colour, marker="o", markersize=18, fillstyle="none")
        _scale_seconds(axes, runs["training_seconds"])
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        axes.set_ylabel("test accuracy")
        axes.set_title(f"Accuracy against training time · {title}")
        figure.legend(
            title="recipe (runs)\nring: medians", frameon=False, loc="outside right upper"
        )
    return figure


def _scale_seconds(axes: Axes, seconds: pd.Series) -> None:
    """Make the x axis logarithmic with ticks at 1, 2 and 5 times powers of ten."""
    axes.set_xscale("log")
    # Between two ticks lies a factor of 2.5 at most: this much room shows one for a single dot.
    axes.set_xlim(seconds.min() / 1.6, seconds.max() * 1.6)
    axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.set_xlabel("training time in seconds (logarithmic)")


def draw_gallery(images: np.ndarray, captions: Sequence[str], title: str) -> Figure:
    """Draw uint8 (n, 28, 28) images in rows of eight, each under its caption."""
    rows = max(1, -(-len(images) // GALLERY_COLUMNS))
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(1.5 * GALLERY_COLUMNS, 1.85 * rows + 0.5), layout="constrained")
        grid: np.ndarray = figure.subplots(rows, GALLERY_COLUMNS, squeeze=False).ravel()
        for axes in grid:
            axes.axis("off")
        for axes, image, caption in zip(grid, images, captions, strict=False):
            _show_digit(axes, image, caption)
        figure.suptitle(title)
        if len(images) == 0:
            figure.text(0.5, 0.4, "none", ha="center")
    return figure


def _show_digit(axes: Axes, image: np.ndarray, caption: str) -> None:
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(caption, fontsize=9.5)
