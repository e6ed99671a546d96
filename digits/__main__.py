"""`python -m digits COMMAND`, or `digits COMMAND`: what people run around the pipeline."""

import argparse
import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from digits.errors import DigitsError, run_main
from digits.paths import DVC_YAML_PATH

COMMANDS = {
    "compare": "Compare two models on validation: errors fixed, new, and by chance?",
    "demo": "Draw a digit on a page, and watch what the network makes of it",
    "docs": "Write the numbers of the committed run into README.md, docs/ and MODEL_CARD.md",
    "experiments": "List the experiments: what they changed, how good they are",
    "export": "Convert the model for other programs, and compare each form with Keras",
    "import": "Make a dataset of tables, arrays or pictures of digits, in whatever form they come",
    "leaderboard": "Run what the ledger lacks, and rank all recipes",
    "predict": "Read the digits on photographs, scans and drawings",
    "pr-report": "Report what the workspace changes against another revision",
    "recover": "Return to the branch after a killed `dvc exp run`, edits kept",
    "report": "Write what the last run says of its model into one page, report/index.html",
    "repro": "Reproduce the pipeline and show its result",
    "tune": "Search better parameters, here or on many machines, each trial an experiment",
    "verify-cache": "Hash every object of DVC's cache, or of its remote, anew",
    "verify-reproducible": "Run the pipeline twice from scratch and compare every file it makes",
}
# Of the commands that are packages.
MODULES = {
    "demo": "demo.command",
    "import": "import_data.command",
    "leaderboard": "leaderboard.command",
}


class FolderError(DigitsError):
    """A command was called elsewhere than in the project's folder."""


class PackageError(DigitsError):
    """Python has not what the project needs: it is another, or the system was upgraded."""


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse empty texts: a variable of the shell was not set, and a default is not meant.

    Raises:
        DigitsError: says which argument.
    """
    for number, argument in enumerate(arguments, 1):
        if not argument.strip() or re.fullmatch(r"--[\w-]+=\s*", argument):
            raise DigitsError(
                f"argument {number}: expected a value, received {argument!r}: a variable that is "
                "not set?"
            )


def call_command() -> None:
    check_arguments(sys.argv[1:])
    parser = argparse.ArgumentParser("digits", description=__doc__)
    listed = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for name, summary in COMMANDS.items():
        listed.add_parser(name, help=summary, add_help=False)
    name = parser.parse_args(sys.argv[1:2]).command
    # Imported here: no command waits for the libraries of another.
    try:
        own_module = MODULES.get(name, name.replace("-", "_"))
        module = importlib.import_module(f"digits.commands.{own_module}")
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "digits":
            raise
        raise PackageError(
            f"{sys.executable}: expected the packages of requirements.lock, received no module "
            f"{error.name!r}: `rm -rf .venv && make {name}` makes an environment anew; in one of "
            "your own, `pip install .`"
        ) from error
    own = argparse.ArgumentParser(f"digits {name}", description=COMMANDS[name])
    if hasattr(module, "add_arguments"):
        module.add_arguments(own)
    arguments = own.parse_args(sys.argv[2:])
    if not DVC_YAML_PATH.exists():  # installed by pip, `digits` can be called anywhere
        raise FolderError(
            f"{Path.cwd()}: expected the project's folder, received no {DVC_YAML_PATH}"
        )
    module.main(arguments)


def main() -> None:
    sys.exit(run_main(call_command))


if __name__ == "__main__":
    main()
