"""`make verify-cache`: hash every object of DVC's cache, or of its remote, anew; repair on request.

DVC has no such command, and takes a damaged object for what its name says.
"""

from argparse import ArgumentParser, Namespace

from digits.dvc.cache import (
    RemoteError,
    can_list,
    hash_object,
    list_objects,
    measure_remote,
    name_objects,
    open_stores,
    replace_objects,
)
from digits.errors import DigitsError


class DamageError(DigitsError):
    """Objects are not what their names say."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--remote", action="store_true", help="those of the remote instead")
    parser.add_argument(
        "--repair", action="store_true", help="replace what is damaged from the other of the two"
    )


def main(arguments: Namespace) -> None:
    stores = open_stores()
    remote = "the remote"
    if arguments.remote or arguments.repair:
        measure_remote(stores)  # is it there at all? Before anything is removed.
        remote = f"remote {stores.remote_name}"
    where, other = (remote, "the cache") if arguments.remote else ("the cache", remote)
    store = stores.remote if arguments.remote else stores.cache
    if not can_list(store):
        raise RemoteError(
            f"remote {stores.remote_name}: expected a remote that can be listed, received HTTP"
        )

    oids = list_objects(store)
    names = name_objects(stores)
    damaged = []
    for oid in oids:
        received = hash_object(store, oid)
        if received != oid.removesuffix(".dir"):
            damaged.append(oid)
            name = names.get(oid, "of another version")
            print(f"{store.oid_to_path(oid)}: expected MD5 {oid}, received {received} ({name})")
    if damaged and not arguments.repair:
        raise DamageError(
            f"{where}: expected {len(oids)} whole objects, received {len(damaged)} damaged; "
            f'replace them from {other}: make verify-cache ARGS="{"--remote " * arguments.remote}'
            '--repair"'
        )
    source = stores.cache if arguments.remote else stores.remote if damaged else None
    lost = replace_objects(source, store, damaged)
    if lost:
        raise DamageError(
            f"{other}: expected {', '.join(lost)}, received none that is whole; they are removed: "
            "`dvc pull` from elsewhere, or `dvc repro`, makes them anew"
        )
    print(f"{where}: {len(oids)} objects, {len(damaged)} replaced from {other}; all are whole.")
