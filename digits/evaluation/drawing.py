"""Matplotlib and seaborn, whatever the user's own settings say.

Everything that draws imports them from here, and draws inside `drawing_style`.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

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
