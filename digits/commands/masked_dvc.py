"""`python -m digits.commands.masked_dvc`: DVC, whose messages show no secrets of an address."""

import sys

from digits.errors import mask_stderr, run_main

# Before a stage runs, these remove what stands where its outputs are to be.
REMOVING = {"repro", "exp"}


def run_masked() -> None:
    # Imported here: DVC's loggers keep the stderr that they find then.
    from dvc.cli import main as run  # noqa: PLC0415

    from digits.commands.objects import open_stores  # noqa: PLC0415
    from digits.commands.outputs import check_written  # noqa: PLC0415

    if REMOVING & set(sys.argv[1:2]):
        check_written(open_stores().repo)  # here, where the same of DVC is needed in any case
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    mask_stderr()
    sys.exit(run_main(run_masked))
