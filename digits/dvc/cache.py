"""The objects in DVC's cache and remote, each named by its MD5.

DVC hashes an object when it stores it and never again, and never replaces an existing one.
"""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.hash import file_md5
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.transfer import transfer

from digits.errors import DigitsError

OBJECT_ID = re.compile(r"[0-9a-f]{32}(\.dir)?")  # a `.dir` lists the files of a folder


def open_repo() -> Repo:
    """Open DVC's repository.

    Raises:
        DigitsError: this is none, or dvc.lock cannot be read.
    """
    try:
        repo = Repo()
        repo.index.outs  # noqa: B018 - read here, where a failure is one line
    except DvcException as error:
        raise DigitsError(str(error)) from error
    return repo


def open_remote(repo: Repo) -> Any:
    """Return the store of the default remote.

    Raises:
        DigitsError: none is set, it gives no answer, or it cannot be listed, as over HTTP.
    """
    name = repo.config["core"].get("remote")
    if name is None:
        raise DigitsError(
            "core.remote: expected a default remote, received none: `dvc remote default NAME`"
        )
    url = repo.config["remote"].get(name, {}).get("url", "no address")
    try:
        store = repo.cloud.get_remote_odb()
        list_objects(store)
    except Exception as error:
        # Each protocol's library has failures of its own, without a common base.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DigitsError(
            f"remote {name} ({url}): expected a list of its objects (not over HTTP), received "
            f"{reason}: docs/sharing.md has what each kind of remote needs"
        ) from error
    return store


def list_objects(store: Any) -> list[str]:
    """Return the names of all objects: none before the first push."""
    try:
        return sorted(oid for oid in store.all() if OBJECT_ID.fullmatch(oid))
    except FileNotFoundError:
        return []


def is_whole(store: Any, oid: str) -> bool:
    """Hash an object again."""
    return file_md5(store.oid_to_path(oid), store.fs) == oid.removesuffix(".dir")


def replace_objects(source: Any, target: Any, oids: Iterable[str]) -> list[str]:
    """Replace objects of the target by the source's; return those without a whole one there."""
    lost = []
    for oid in oids:
        target.delete(oid)
        if source.exists(oid) and is_whole(source, oid):
            transfer(source, target, {HashInfo("md5", oid)}, shallow=True)
        else:
            lost.append(oid)
    return lost


def name_objects(repo: Repo) -> dict[str, str]:
    """Return the path of each object of the outputs in `dvc.lock`, as far as the cache has them."""
    cache, names = repo.cache.local, {}
    for out in repo.index.outs:
        oid = out.hash_info.value if out.use_cache else None
        if oid is None:
            continue
        names[oid] = str(out)
        if oid.endswith(".dir") and cache.exists(oid) and is_whole(cache, oid):
            entries = json.loads(cache.fs.cat_file(cache.oid_to_path(oid)))
            names |= {entry["md5"]: f"{out}/{entry['relpath']}" for entry in entries}
    return names


def lend_cache(clone: Path) -> None:
    """Let a clone use this one's cache and local settings, as DVC's temporary runs do."""
    repo = Repo()
    with Config(str(clone / ".dvc")).edit("local") as settings:
        settings.update(repo.config.read("local"))
        # Relative, and so written: in an absolute path DVC takes no letters but ASCII.
        settings.setdefault("cache", {})["dir"] = os.path.relpath(repo.cache.local_cache_dir)
