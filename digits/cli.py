"""`digits COMMAND`: what people run around the pipeline."""

import argparse
import importlib
import sys
from pathlib import Path

from digits.errors import DigitsError, run_main
from digits.paths import DVC_YAML_PATH

COMMANDS = {
    "repro": "Reproduce the pipeline and show its result",
    "import": "Make a dataset from tables, arrays or pictures of digits",
    "report": "Write the last run's results into one page, report/index.html",
    "compare": "Compare two models on validation: errors fixed and new, and whether by chance",
    "predict": "Read the digits on photographs, scans and drawings",
    "demo": "Draw a digit on a page, and watch the network read it",
    "experiments": "List the experiments: what they changed, and their accuracy",
    "tune": "Search for better parameters, here or on many machines; each trial is an experiment",
    "leaderboard": "Train what has not run yet, and rank all recipes",
    "export": "Convert the model for other programs, and compare each form with Keras",
    "docs": "Write the numbers of the committed run into README.md, docs/ and MODEL_CARD.md",
    "pr-report": "Report what the workspace changes against another revision",
    "recover": "Return to the branch after a killed `dvc exp run`, edits kept",
    "verify": "Hash all DVC objects again (cache), or run the pipeline twice (reproducible)",
}
COMMANDS_DIR = Path(__file__).parent / "commands"


def find_module(name: str) -> str:
    """Name the module of a command: its own, or `command` in its package."""
    own = "import_data" if name == "import" else name.replace("-", "_")
    return f"digits.commands.{own}" + ".command" * (COMMANDS_DIR / own).is_dir()


def call_command() -> None:
    parser = argparse.ArgumentParser("digits", description=__doc__)
    listed = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for name, summary in COMMANDS.items():
        listed.add_parser(name, help=summary, add_help=False)
    name = parser.parse_args(sys.argv[1:2]).command
    # Imported here, so that no command waits for the libraries of another.
    try:
        module = importlib.import_module(find_module(name))
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "digits":
            raise
        raise DigitsError(
            f"{sys.executable}: expected the packages of requirements.lock, received no module "
            f"{error.name!r}: `rm -rf .venv && make env` makes a new environment; in one of "
            "your own, `pip install .`"
        ) from error
    own = argparse.ArgumentParser(f"digits {name}", description=COMMANDS[name])
    if hasattr(module, "add_arguments"):
        module.add_arguments(own)
    arguments = own.parse_args(sys.argv[2:])
    if not DVC_YAML_PATH.exists():  # installed by pip, `digits` can be called anywhere
        raise DigitsError(
            f"{Path.cwd()}: expected the project's folder, received no {DVC_YAML_PATH}"
        )
    module.main(arguments)


def main() -> None:
    sys.exit(run_main(call_command))
