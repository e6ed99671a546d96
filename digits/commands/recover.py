"""`digits recover`: return to the branch after a killed `dvc exp run`, edits kept."""

from argparse import Namespace

from digits.dvc.recover import recover


def main(_: Namespace) -> None:
    print(recover())
