"""Matplotlib and seaborn, whatever the user's own settings say.

Everything that draws imports them from here, and draws inside `drawing_style`.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any


@contextmanager
def _without_backend() -> Iterator[None]:
    """Import Matplotlib without `MPLBACKEND`: one that names no backend ends in a traceback.

    No figure here needs a backend. Whoever works with them in a notebook keeps the notebook's.
    """
    chosen = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    yield
    if chosen:
        os.environ["MPLBACKEND"] = chosen
        with suppress(ValueError):
            mpl.rcParams["backend"] = chosen


with _without_backend():
    import matplotlib as mpl
    import matplotlib.style
    import seaborn as sns
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

__all__ = ["Axes", "Figure", "FontProperties", "drawing_style", "mpl", "sns", "text_to_path"]


def drawing_style(changes: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Change Matplotlib's own defaults, not those of the user's `matplotlibrc`, for a block."""
    return mpl.style.context(dict(changes), after_reset=True)
