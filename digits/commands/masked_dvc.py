"""`python -m digits.commands.masked_dvc`: DVC, whose messages show no secrets of an address."""

import sys

from digits.errors import mask_stderr


def run_masked() -> int:
    mask_stderr()
    # Imported here: its loggers keep the stderr that they find then.
    from dvc.cli import main as run  # noqa: PLC0415

    return int(run(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(run_masked())
