"""What DVC would write and run for a branch: refused unless it stays inside the project.

DVC follows the names in dvc.yaml, `.dvc` files and the lists of folders wherever they lead.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from digits.commands.dvc import DvcError
from digits.commands.places import TRUSTED, PlaceError, find_stray_link, is_trusted, lies_inside

# Settings of a remote that name a command, or a file that may (`credential_process`).
RUNNING = {"bearer_token_command", "configpath", "credentialpath"}
CONFIG_PATH = Path(".dvc/config")
LOCAL = "local"  # DVC's name of the disk


def check_outputs(repo: Repo | None = None) -> None:
    """Refuse outputs, and settings that come with the branch, that reach out of the project.

    Raises:
        DvcError: this is no repository of Git and DVC, or DVC cannot read its files.
        PlaceError: says which.
    """
    try:
        repo = repo or Repo()
        # What Git brings; what a person has said with --local is not in there.
        _check_settings(repo.config.read("repo"))
        outs = list(repo.index.outs)
        cache = Path(repo.cache.local.path)
    except DvcException as error:
        raise DvcError(str(error)) from error
    for out in outs:
        path = Path(out.fs_path)
        if out.protocol != LOCAL or not lies_inside(path, follow=False):
            raise _elsewhere(out, out.def_path)
        link = find_stray_link(path, cache)
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


def _check_settings(config: Mapping[str, Any]) -> None:
    for name, remote in config["remote"].items():
        for key in RUNNING & remote.keys():
            raise PlaceError(
                f"{CONFIG_PATH}: remote {name}: expected no {key}, by which a branch runs commands "
                f"on your machine; your own: `dvc remote modify --local {name} {key} VALUE`"
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


def _elsewhere(out: Any, received: str) -> PlaceError:
    return PlaceError(
        f"{out.stage.relpath}: expected outputs in this project, outside of "
        f"{', '.join(TRUSTED)}, received {received!r}"
    )
