"""Markdown of texts that may hold anything: names of classes, branches and recipes, values."""

import re


def escape(text: object) -> str:
    """Escape a text: GitHub shows it as it is, without a link, picture, HTML, mention or column."""
    shown = " ".join(str(text).split())
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
    shown = re.sub(r"(?i)\b(https?|ftp|www)(?=[:.])", r"\1&#8203;", shown)  # no link of its own
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", shown)


def quote(name: object) -> str:
    """Write a name as inline code, or escaped where it has characters that could end the code."""
    return f"`{name}`" if re.fullmatch(r"[\w.-]+", str(name)) else escape(name)
