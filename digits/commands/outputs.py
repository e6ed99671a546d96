"""What DVC would write, run and show for a branch: refused unless it stays inside the project.

DVC follows the names in dvc.yaml, `.dvc` files and the lists of folders wherever they lead.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from digits.commands.places import (
    TRUSTED,
    PlaceError,
    advise_of_link,
    find_stray_links,
    is_trusted,
    lies_inside,
)
from digits.data.datasets import CONTROL
from digits.dvc.cache import open_stores
from digits.dvc.git import LINK_MODE, is_tracked_link, try_git
from digits.dvc.run import DvcError

# Settings of a remote that name a command, or a file that may (`credential_process`).
RUNNING = {"bearer_token_command", "configpath", "credentialpath"}
CONFIG_PATH = Path(".dvc/config")
TEMPLATES = Path(".dvc/plots")
OWN = {"config.local", "cache", "tmp"}  # in .dvc: a person's, or of DVC's making
LOCAL = "local"  # DVC's name of the disk


def check_outputs() -> None:
    """Refuse what would be written, run or shown outside of the project.

    Raises:
        DvcError: this is no repository of Git and DVC, or DVC cannot read its files.
        PlaceError: says which.
    """
    repo = open_stores().repo
    check_written(repo)
    check_numbers(repo)
    check_plots(repo)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn a failure of DVC, which cannot read its files, into one of ours."""
    try:
        yield
    except DvcException as error:
        raise DvcError(str(error)) from error


@_explained()
def check_written(repo: Repo) -> None:
    """Refuse outputs, and settings that come with the branch, that reach out of the project.

    Raises:
        DvcError: DVC cannot read its files.
        PlaceError: says which.
    """
    _check_own()
    # What Git brings; what a person has said with --local is not in there.
    _check_settings(repo.config.read("repo"))
    cache = Path(repo.cache.local.path)
    for out in repo.index.outs:
        name = f"{out.stage.relpath}: {out.def_path}"
        if CONTROL.search(name):
            raise PlaceError(f"expected names that a terminal only shows, received {name!a}")
        path = Path(out.fs_path)
        if out.protocol != LOCAL or not lies_inside(path, follow=False):
            raise _elsewhere(out, out.def_path, advise_of_link(path.parent))
        link = next(filter(is_tracked_link, find_stray_links(path, cache)), None)
        if link:
            raise _elsewhere(out, f"{out}, a link to {link.readlink()}")


def check_lists(repo: Repo) -> None:
    """Refuse folders whose lists, once the cache has them, name files elsewhere.

    Raises:
        PlaceError: says which.
    """
    for out in repo.index.outs:
        for name in _list_files(out):
            if any(part in ("", ".", "..") or is_trusted(part) for part in name.split("/")):
                raise _elsewhere(out, f"{out}/{name}")


@_explained()
def check_numbers(repo: Repo) -> None:
    """Refuse metrics and parameters that `dvc exp show` and the like would read elsewhere.

    It does not where a name is absolute or has `..`, but does by links and by `vars`.

    Raises:
        PlaceError: says which.
    """
    index = repo.index
    keys = index.metric_keys["repo"] | index.param_keys["repo"]
    variables = (getattr(stage, "tracked_vars", ()) for stage in index.stages)
    named = [Path(repo.root_dir, *key) for key in keys]
    named += [Path(params.fs_path) for params in index.params]
    _check_read(repo, named + [Path(file) for files in variables for file in files])


@_explained()
def check_plots(repo: Repo) -> None:
    """Refuse plots that DVC would draw of files elsewhere, to which links lead.

    Raises:
        PlaceError: says which.
    """
    for revisions in repo.plots.collect():  # there is one: what is here
        for found in revisions.values():
            _check_read(repo, map(Path, found.get("sources", {}).get("data", {})))


def _check_read(repo: Repo, paths: Iterable[Path]) -> None:
    cache = Path(repo.cache.local.path)
    for path in paths:
        if any(find_stray_links(path, cache)) or not lies_inside(path, follow=False):
            raise PlaceError(
                "expected metrics, plots and params in files of this project, received "
                f"{os.path.relpath(path)!r}, which is {os.path.realpath(path)!r}"
            )


def _check_own() -> None:
    """Refuse what Git brings into .dvc, and DVC takes for its user's own, and links there."""
    for line in filter(None, try_git("ls-files", "--stage", "-z", "--", ".dvc").split("\0")):
        facts, name = line.split("\t", 1)
        if facts.startswith(LINK_MODE) or OWN & set(name.casefold().split("/")[1:2]):
            raise PlaceError(
                f"{name!r}: expected none in Git, since DVC takes it for your own, received one "
                "of the branch"
            )


def _check_settings(config: Mapping[str, Any]) -> None:
    for name, remote in config["remote"].items():
        for key in RUNNING & remote.keys():
            raise PlaceError(
                f"{CONFIG_PATH}: remote {name}: expected no {key}, by which a branch runs commands "
                f"on your machine; your own: `dvc remote modify --local {name} {key} VALUE`"
            )
    page = Path(CONFIG_PATH.parent, config["plots"].get("html_template", TEMPLATES.name))
    if not (lies_inside(page) or page.resolve().is_relative_to(TEMPLATES.resolve())):
        raise PlaceError(
            f"{CONFIG_PATH}: expected a plots.html_template of this project, received {str(page)!r}"
        )
    folder = config["cache"].get("dir")
    if folder and not lies_inside(Path(CONFIG_PATH.parent, folder)):
        raise PlaceError(
            f"{CONFIG_PATH}: expected no cache.dir, by which a branch writes elsewhere, received "
            f"{str(folder)!r}; your own: `dvc cache dir --local FOLDER`"
        )


def _list_files(out: Any) -> Iterator[str]:
    """Yield the names of a folder's files, as far as they are known here."""
    yield from (entry["relpath"] for entry in out.files or ())
    found = out.hash_info
    if out.use_cache and found and found.isdir and out.cache.exists(found.value):
        # Read here, not by DVC, which keeps of two entries of one name the last.
        entries = json.loads(out.cache.fs.cat_file(out.cache.oid_to_path(found.value)))
        yield from (entry["relpath"] for entry in entries)


def _elsewhere(out: Any, received: str, advice: str = "") -> PlaceError:
    return PlaceError(
        f"{out.stage.relpath}: expected outputs in this project, outside of "
        f"{', '.join(TRUSTED)}, received {received!r}{advice}"
    )
