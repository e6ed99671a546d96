"""`make push`: `dvc push`, and what it lacks.

A failure names the remote and the way out. A push that was killed is completed: over SSH and WebDAV
that may have left half an object under a whole one's name, which `dvc push` takes for whole.
"""

from argparse import Namespace

from digits.dvc.cache import (
    Stores,
    is_whole,
    measure_remote,
    open_stores,
    replace_objects,
    share_failed,
)
from digits.dvc.run import run_dvc


def find_cut(stores: Stores, sizes: dict[str, int]) -> list[str]:
    """Return the remote's objects that the cache has whole, and of another size."""
    cache = stores.cache
    return [
        oid
        for oid, size in sizes.items()
        if cache.exists(oid)
        and cache.fs.size(cache.oid_to_path(oid)) != size
        and is_whole(cache, oid)
    ]


def main(_: Namespace) -> None:
    stores = open_stores()
    cut = find_cut(stores, measure_remote(stores))
    replace_objects(stores.cache, stores.remote, cut)
    if cut:
        print(f"{len(cut)} objects that a broken push had cut short are pushed anew.", flush=True)
    if run_dvc("push").status:
        raise share_failed(stores, "push")
