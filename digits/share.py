"""`make push` and `make pull`: DVC's own, and what they lack.

A failure names the remote and the way out. A push completes one that was killed: over SSH and
WebDAV that may have left half an object under a whole one's name, which `dvc push` takes for whole.
"""

import argparse
import subprocess
import sys

from digits.files.objects import (
    RemoteError,
    Stores,
    is_whole,
    measure_remote,
    open_stores,
    replace_objects,
)
from digits.stage import run


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


def main() -> None:
    parser = argparse.ArgumentParser("python -m digits.share", description="Share through DVC.")
    parser.add_argument("command", choices=("push", "pull"))
    command = parser.parse_args().command
    stores = open_stores()
    sizes = measure_remote(stores)
    if command == "push":
        cut = find_cut(stores, sizes)
        replace_objects(stores.cache, stores.remote, cut)
        if cut:
            print(f"{len(cut)} objects that a broken push had cut short are pushed anew.")
    status = subprocess.run([sys.executable, "-m", "dvc", command], check=False).returncode
    if status:
        raise RemoteError(
            f"remote {stores.remote_name} ({stores.remote_url}): expected `dvc {command}` to "
            "succeed, received the above; docs/sharing.md lists what may be wrong"
        )


if __name__ == "__main__":
    run(main)
