"""`digits verify cache`: hash every object of DVC's cache, or of its remote; repair if asked.

DVC has no such command, and takes a damaged object for what its name says.
`digits verify reproducible`: run the pipeline twice from scratch and compare all that it makes.
"""

import hashlib
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from digits.dvc.cache import (
    is_whole,
    list_objects,
    name_objects,
    open_remote,
    open_repo,
    replace_objects,
)
from digits.dvc.run import run_dvc
from digits.errors import DigitsError
from digits.evaluation.results import LOCK_PATH, load_stages


def add_arguments(parser: ArgumentParser) -> None:
    kinds = parser.add_subparsers(required=True)
    cache = kinds.add_parser("cache", help="hash every object of DVC's cache again")
    cache.add_argument("--remote", action="store_true", help="those of the remote instead")
    cache.add_argument(
        "--repair", action="store_true", help="replace what is damaged from the other of the two"
    )
    cache.set_defaults(verify=verify_cache)
    twice = kinds.add_parser("reproducible", help="run the pipeline twice, compare every file")
    twice.set_defaults(verify=verify_reproducible)


def remove_copies(names: Mapping[str, str]) -> list[Path]:
    """Remove files of the workspace that differ from the objects they were checked out from.

    DVC does not look at them again; once they are gone, `dvc checkout` writes whole ones.
    """
    copies = {Path(name): oid for oid, name in names.items() if Path(name).is_file()}
    damaged = [
        path
        for path, oid in copies.items()
        if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != oid
    ]
    for path in damaged:
        path.unlink()
    return damaged


def verify_cache(arguments: Namespace) -> None:
    if LOCK_PATH.is_file():
        load_stages()  # which says so of a merge's conflict; DVC only finds it corrupted
    repo = open_repo()
    store, source, where, other = repo.cache.local, None, "the cache", "the remote"
    if arguments.remote or arguments.repair:
        source = open_remote(repo)  # is it there at all? Before anything is removed.
    if arguments.remote:
        store, source, where, other = source, store, other, where

    oids, names = list_objects(store), name_objects(repo)
    damaged = [oid for oid in oids if not is_whole(store, oid)]
    for oid in damaged:
        name = names.get(oid, "of another version")
        print(f"{store.oid_to_path(oid)}: expected MD5 {oid}, received another ({name})")
    if damaged and not arguments.repair:
        raise DigitsError(
            f"{where}: expected {len(oids)} whole objects, received {len(damaged)} damaged; "
            f"replace them from {other}: `digits verify cache "
            f"{'--remote ' * arguments.remote}--repair`"
        )
    lost = replace_objects(source, store, damaged)
    if not arguments.remote and remove_copies({oid: names[oid] for oid in damaged if oid in names}):
        run_dvc("checkout", "--quiet")
    if lost:
        raise DigitsError(
            f"{other}: expected {', '.join(lost)}, received none that is whole; they are removed: "
            "`dvc pull` from elsewhere, or `dvc repro`, makes them again"
        )
    replaced = f", {len(damaged)} replaced from {other}" if damaged else ""
    print(f"{where}: all {len(oids)} objects are whole{replaced}")


def reproduce() -> dict[str, str]:
    """Run every stage, whatever the cache has; return the MD5 of what they made, by its path."""
    status = run_dvc("repro", "--force").status
    if status != 0:
        sys.exit(status)
    outs = [out for stage in load_stages().values() for out in stage.get("outs", ())]
    return {out["path"]: out["md5"] for out in outs}


def verify_reproducible(_: Namespace) -> None:
    first, second = reproduce(), reproduce()
    different = [path for path in second if first.get(path) != second[path]]
    for path in different:
        print(f"{path}: MD5 {first.get(path)}, then {second[path]}")
    print(f"{len(different)} of {len(second)} outputs differ between two runs")
    sys.exit(1 if different else 0)


def main(arguments: Namespace) -> None:
    arguments.verify(arguments)
