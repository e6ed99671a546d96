"""`make pull`: `dvc pull`, whose failure names the remote and the way out."""

from argparse import Namespace

from digits.commands.dvc import run_dvc
from digits.commands.objects import measure_remote, open_stores, share_failed


def main(_: Namespace) -> None:
    stores = open_stores()
    measure_remote(stores)  # says of a remote that does not answer what DVC does not
    if run_dvc("pull").status:
        raise share_failed(stores, "pull")
