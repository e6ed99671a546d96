"""Texts of others in Markdown: names of classes, branches and recipes, values of parameters."""

import re
from collections.abc import Iterable, Sequence

from tabulate import tabulate


def escape(text: object) -> str:
    """Return a text of others so that a page shows it, and nothing more.

    What GitHub would make a link, a picture, HTML, a mention, a column of it is written otherwise.
    """
    shown = " ".join(str(text).split())
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
    shown = re.sub(r"(?i)\b(https?|ftp|www)(?=[:.])", r"\1&#8203;", shown)  # no link of its own
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", shown)


def quote(name: object) -> str:
    """Return a name of others as code, if nothing in it could end the code."""
    return f"`{name}`" if re.fullmatch(r"[\w.-]+", str(name)) else escape(name)


def render_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table whose cells are texts of others."""
    cells = [[escape(cell) for cell in row] for row in rows]
    return tabulate(cells, header, tablefmt="github", disable_numparse=True)
