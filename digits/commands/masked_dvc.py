"""`python -m digits.commands.masked_dvc`: DVC, whose messages show no secrets of an address."""

import ctypes
import os
import signal
import sys

from digits.errors import mask_stderr, run_main
from digits.stage import PR_SET_PDEATHSIG

# Before a stage runs, these remove what stands where its outputs are to be.
REMOVING = {"repro", "exp"}
LEASH = "--leash"  # first of the arguments, with the parent's process: DVC ends with it


def run_masked() -> None:
    if sys.argv[1:2] == [LEASH]:
        _end_with(int(sys.argv[2]))
        del sys.argv[1:3]
    # Imported here: DVC's loggers keep the stderr that they find then.
    from dvc.cli import main as run  # noqa: PLC0415

    from digits.commands.outputs import check_written  # noqa: PLC0415
    from digits.dvc.cache import open_stores  # noqa: PLC0415

    if REMOVING & set(sys.argv[1:2]):
        check_written(open_stores().repo)  # here, where the same of DVC is needed in any case
    sys.exit(run(sys.argv[1:]))


def _end_with(parent: int) -> None:
    """Have this process killed once its parent has ended, however it does; its stage follows."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(128 + signal.SIGKILL)


if __name__ == "__main__":
    mask_stderr()
    sys.exit(run_main(run_masked))
