"""Where a path of somebody's branch really leads: into the project, or out of it."""

import os
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from digits.config import PARAMS_PATH
from digits.dvc.git import is_tracked_link
from digits.errors import DigitsError
from digits.paths import DVC_YAML_PATH, EVALUATE_METRICS_PATH, PLOTS_DIR

# Programs run what lies there, or believe it.
TRUSTED = (".git", ".dvc", ".venv")
# What Git keeps, and a page may show; DVC makes links in data/ and models/ only.
SHOWN = (EVALUATE_METRICS_PATH.parent, PLOTS_DIR, PARAMS_PATH, DVC_YAML_PATH, Path("dvc.lock"))


class PlaceError(DigitsError):
    """A path leads out of the project, or into what programs trust there."""


def lies_inside(path: Path, *, follow: bool = True) -> bool:
    """Tell whether a path lies in the project and in nothing trusted, its parents' links followed.

    Unless told otherwise, the link that it may be itself is followed, too.
    """
    root = Path(os.path.realpath("."))
    real = Path(os.path.realpath(path if follow else path.parent))
    if not follow:
        real /= path.name
    if real == root or not real.is_relative_to(root):
        return False
    return not any(is_trusted(part) for part in real.relative_to(root).parts)


def is_trusted(name: str) -> bool:
    """Tell whether a disk may take a name for a trusted one: some ignore case and invisible signs.

    So does Git when it checks names that it is to write.
    """
    plain = "".join(sign for sign in name if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", plain).casefold() in TRUSTED


def find_stray_links(path: Path, cache: Path | None = None) -> Iterator[Path]:
    """Find links at or below a path that lead elsewhere; a file of DVC's cache is not that."""
    below = (
        Path(folder, name)
        for folder, folders, files in os.walk(path)
        for name in (*folders, *files)
    )
    for found in (path, *below):
        if found.is_symlink() and not lies_inside(found):
            target = Path(os.path.realpath(found))
            if not (cache and target.is_file() and target.is_relative_to(os.path.realpath(cache))):
                yield found


def advise_of_link(path: Path) -> str:
    """Say the way out if the path is, or lies behind, a link that its user has made."""
    here = Path.cwd()
    whole = here / path
    above = (it for it in (*reversed(whole.parents), whole) if it.is_relative_to(here))
    link = next(filter(Path.is_symlink, above), None)
    if link is None or is_tracked_link(link):
        return ""
    name = shlex.quote(show_path(link.relative_to(here)))
    return (
        f", by a link of your own, which Git and DVC do not follow: `rm {name} && git restore "
        f"{name}`; docs/sharing.md, 'Data on another disk', has what works"
    )


def check_shown() -> None:
    """Refuse to show what links of the branch lead to elsewhere: other people's files.

    Raises:
        PlaceError: names the link.
    """
    for path in SHOWN:
        link = next(find_stray_links(path), None)
        if link:
            raise PlaceError(
                f"{show_path(link)}: expected a file of this project, received a link to "
                f"{show_path(link.readlink())}{advise_of_link(link)}"
            )


def check_page(path: Path) -> None:
    """Refuse to write a page where links of the branch lead elsewhere.

    Raises:
        PlaceError: says where that is.
    """
    if not lies_inside(path, follow=False):
        raise PlaceError(
            f"{path}: expected a place in this project, received {os.path.realpath(path)!r}"
        )


def show_path(path: Path) -> str:
    """Return a path that a branch may have chosen, without signs that a terminal obeys."""
    return str(path) if str(path).isprintable() else ascii(str(path))
