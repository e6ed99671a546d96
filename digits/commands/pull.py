"""`make pull`: `dvc pull`, whose failure names the remote and the way out.

What is pulled stays in the project: DVC alone follows a branch's names wherever they lead.
"""

from argparse import Namespace

from digits.commands.outputs import check_lists, check_written
from digits.dvc.cache import measure_remote, open_stores, share_failed
from digits.dvc.run import run_dvc


def main(_: Namespace) -> None:
    stores = open_stores()
    check_written(stores.repo)
    measure_remote(stores)  # says of a remote that does not answer what DVC does not
    # `dvc pull` is these two; between them the lists of folders can be read.
    if run_dvc("fetch").status:
        raise share_failed(stores, "pull")
    check_lists(stores.repo)
    if run_dvc("checkout").status:
        raise share_failed(stores, "pull")
