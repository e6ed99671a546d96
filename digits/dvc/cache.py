"""The objects in DVC's cache and in its remote: named by their MD5, trusted by DVC ever after.

DVC hashes an object when it comes in and never again, and it never replaces one that is there.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.transfer import transfer

from digits.dvc.run import DvcError
from digits.errors import DigitsError
from digits.urls import mask_url

CHUNK_BYTES = 1 << 20
OBJECT_ID = re.compile(r"([0-9a-f]{32})(\.dir)?")  # a `.dir` lists the files of a folder


class RemoteError(DigitsError):
    """The remote is not configured, not reachable or does not let us in."""


@dataclass(frozen=True)
class Stores:
    """Where objects lie: the cache of this clone, and the remote."""

    repo: Repo

    @property
    def cache(self) -> Any:
        return self.repo.cache.local

    @property
    def remote_name(self) -> str:
        """Return the name of the default remote.

        Raises:
            RemoteError: there is none.
        """
        name = self.repo.config["core"].get("remote")
        if name not in self.repo.config["remote"]:
            known = sorted(self.repo.config["remote"])
            raise RemoteError(f"core.remote: expected one of {known}, received {name!r}")
        return str(name)

    @property
    def remote(self) -> Any:
        return self.repo.cloud.get_remote_odb(self.remote_name)

    @property
    def remote_url(self) -> str:
        """Return the address of the default remote as it may be shown."""
        return mask_url(str(self.repo.config["remote"][self.remote_name]["url"]))


def open_stores() -> Stores:
    """Open the cache of this repository and, once it is asked for, its default remote.

    Raises:
        DvcError: this is no repository of Git and DVC.
    """
    try:
        return Stores(Repo())
    except DvcException as error:
        raise DvcError(str(error)) from error


def share_failed(stores: Stores, command: str) -> RemoteError:
    """Return the failure of `dvc push` or `dvc pull`, with the name of the remote."""
    return RemoteError(
        f"remote {stores.remote_name} ({stores.remote_url}): expected `dvc {command}` to succeed, "
        "received the above; docs/sharing.md lists what may be wrong"
    )


def measure_remote(stores: Stores) -> dict[str, int]:
    """Return every object of the remote with its size in bytes; none where it cannot be listed.

    Raises:
        RemoteError: no answer, or not let in.
    """
    try:
        store = stores.remote
        if not can_list(store):
            return {}
        oids = list_objects(store)
        entries = store.fs.info([store.oid_to_path(oid) for oid in oids])
    except Exception as error:
        # Each protocol's library has failures of its own, without a common base.
        raise _explain(stores, error) from error
    return {oid: entry["size"] for oid, entry in zip(oids, entries, strict=True)}


def can_list(store: Any) -> bool:
    """Tell whether the store says what it has; HTTP does not."""
    return bool(store.fs.CAN_TRAVERSE)


def _explain(stores: Stores, error: Exception) -> RemoteError:
    """Say which remote failed, and the way out: DVC says neither."""
    reason = (str(error) or type(error).__name__).splitlines()[0].removeprefix("received ")
    name = stores.remote_name
    return RemoteError(
        f"remote {name} ({stores.remote_url}): expected an answer, received {reason}; "
        f"address: `dvc remote modify {name} url`, "
        f"credentials: `dvc remote modify --local {name}`, both as in docs/sharing.md"
    )


def list_objects(store: Any) -> list[str]:
    """Return the names of all objects; a store that nobody has pushed to yet has none."""
    try:
        return sorted(oid for oid in store.all() if OBJECT_ID.fullmatch(oid))
    except FileNotFoundError:
        return []


def hash_object(store: Any, oid: str) -> str:
    digest = hashlib.md5(usedforsecurity=False)  # what DVC names objects by
    with store.fs.open(store.oid_to_path(oid), "rb") as file:
        for chunk in iter(partial(file.read, CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def is_whole(store: Any, oid: str) -> bool:
    return hash_object(store, oid) == oid.removesuffix(".dir")


def replace_objects(source: Any, target: Any, oids: Iterable[str]) -> list[str]:
    """Remove objects from the target and bring them from the source; return what it lacks whole."""
    lost = []
    for oid in oids:
        target.delete(oid)
        if source.exists(oid) and is_whole(source, oid):
            transfer(source, target, {HashInfo("md5", oid)}, shallow=True)
        else:
            lost.append(oid)
    return lost


def name_objects(stores: Stores) -> dict[str, str]:
    """Return what each object is of the outputs in `dvc.lock`, as far as the cache has them."""
    names = {}
    for out in stores.repo.index.outs:
        oid = out.hash_info.value if out.use_cache else None
        if oid is None:
            continue
        names[oid] = str(out)
        if oid.endswith(".dir") and stores.cache.exists(oid) and is_whole(stores.cache, oid):
            entries = json.loads(stores.cache.fs.cat_file(stores.cache.oid_to_path(oid)))
            names |= {entry["md5"]: f"{out}/{entry['relpath']}" for entry in entries}
    return names
