"""`make tune`: search better parameters; each trial is an experiment of DVC, ended at `train`.

`tune.yaml` says what is searched. `create` makes the study of this commit with as many trials as
are wanted, `work` runs them, here and on any other machine that reaches the database, `status`
lists them, and `best` shows what they came to. What decides is a metric of validation images.
"""

import os
import shlex
import signal
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from tabulate import tabulate

from digits.commands.search import TUNE_PATH, Point, Search, Value, load_search
from digits.commands.study import (
    BEGUN,
    COMMIT,
    ERROR,
    SETTLED,
    STORAGE_VARIABLE,
    TICKET,
    TOKEN,
    StudyError,
    Worker,
    create_study,
    default_url,
    explaining,
    group_by_ticket,
    is_lost,
    name_study,
    open_storage,
    open_study,
    read_search,
)
from digits.commands.trials import Trainer, locking, name_experiment, opening_folder
from digits.dvc.experiments import list_changes, name_ref
from digits.dvc.git import ask_git, is_commit
from digits.dvc.run import fetch_data
from digits.errors import DigitsError

TUNE_DIR = Path("tune")  # of the pictures, a folder a study
HEADER = ("trial", "state", "value", "settings")
WIDTHS = (5, 24, 10, 35)  # with two spaces between: 80 columns


class TuneError(DigitsError):
    """The checkout is not the study's, or an option makes no sense."""


def add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    helps = {
        "create": "make the study of this commit, or add trials to it",
        "work": "run its trials until none is left",
        "status": "list its trials",
        "best": "show the best one, draw the study, say how to take it over",
    }
    parsers = {name: actions.add_parser(name, help=text) for name, text in helps.items()}
    for own in parsers.values():
        own.add_argument(
            "--storage",
            metavar="URL",
            help=f"the database [${STORAGE_VARIABLE}, or tune.db here]",
        )
    for name in ("status", "best"):
        parsers[name].add_argument("--study", metavar="NAME", help="another commit's")
    for name, text in {"create": "in all; a grid has its own", "work": "end after so many"}.items():
        parsers[name].add_argument("--trials", type=int, metavar="N", help=text)


# The commit


def check_clean() -> str:
    """Return the commit of the checkout.

    Raises:
        TuneError: edits are not committed; other machines would not have them.
    """
    changed = ask_git("status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        names = ", ".join(line[3:] for line in changed)
        raise TuneError(f"expected everything committed, received changes in {names}")
    return ask_git("rev-parse", "HEAD")


def bring_data() -> None:
    """Bring the images into DVC's cache, from which trials have them.

    Raises:
        TuneError: what the commit says of them is of older parameters or code.
    """
    fetch_data()
    if ask_git("status", "--porcelain", "--untracked-files=no"):
        raise TuneError(
            "dvc.lock: expected the state of fetch and decode, received an older one, brought up "
            "to date now: commit it, then `tune create`"
        )


# The commands


def create(url: str, arguments: Namespace) -> None:
    search, commit = load_search(), check_clean()
    points = plan_points(search, arguments.trials)
    new = create_study(open_storage(url), search, commit, points)
    print(f"study {name_study(search, commit)}: {new} new trials of {len(points)}")


def plan_points(search: Search, count: int | None) -> list[Point]:
    """Return what is known beforehand of each trial's parameters.

    Raises:
        TuneError: no number of trials, or one beside a grid's.
    """
    if search.sampler == "grid":
        points = search.list_points()
        if count is not None:
            raise TuneError(f"--trials: expected none, since the grid has {len(points)}")
        return points
    if count is None or count < 1:
        raise TuneError(f"--trials: expected a number, since {TUNE_PATH} gives no grid")
    return [{} for _ in range(count)]


def work(url: str, arguments: Namespace) -> None:
    search, commit = load_search(), check_clean()
    storage = open_storage(url, search.heartbeat_seconds)
    study = open_study(storage, name_study(search, commit), search)
    # As Ctrl-C: the trial is put back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with opening_folder() as folder:
        with locking():
            bring_data()
        worker = Worker(study, storage, Trainer(study, folder).train)
        worker.work(arguments.trials)
    print(f"\nstudy {study.study_name}: {count_states(study)}; {worker.count} run here")


def status(url: str, arguments: Namespace) -> None:
    study = open_study(open_storage(url), choose_study(arguments.study))
    print(f"study {study.study_name}: {study.direction.name.lower()} {name_metrics(study)}")
    rows = tabulate_trials(study.trials)
    print(tabulate(rows, HEADER, disable_numparse=True, maxcolwidths=WIDTHS))
    print(f"{count_states(study)}; the experiments are {study.user_attrs[TOKEN]}-TRIAL-SEED")


def best(url: str, arguments: Namespace) -> None:
    # Imported here: Matplotlib takes a second.
    from digits.commands.study_figures import draw_study  # noqa: PLC0415
    from digits.evaluation.plotting import write_figure  # noqa: PLC0415

    study = open_study(open_storage(url), choose_study(arguments.study))
    trial = find_best(study)
    print(f"study {study.study_name}: {count_states(study)}")
    print(f"best: trial {trial.user_attrs[TICKET]}, {name_metrics(study)} {trial.value:.6f}")
    for setting in list_changes(trial.params)[1::2]:
        print(f"  {setting}")
    for name, figure in draw_study(study, name_metrics(study)).items():
        path = TUNE_DIR / study.study_name / f"{name}.png"
        write_figure(path, figure)
        print(f"drawn: {path}")
    print(f"to make it the recipe: {advise(study, trial)}")


def choose_study(name: str | None) -> str:
    return name or name_study(load_search(), ask_git("rev-parse", "HEAD"))


def name_metrics(study: Study) -> str:
    names = read_search(study).metrics
    return f"{'mean of ' if len(names) > 1 else ''}{' and '.join(names)}"


def find_best(study: Study) -> FrozenTrial:
    """Return the trial with the best value.

    Raises:
        StudyError: none has one.
    """
    try:
        return study.best_trial
    except ValueError as error:
        raise StudyError(
            f"study {study.study_name}: expected a trial with a result, received none"
        ) from error


def advise(study: Study, trial: FrozenTrial) -> str:
    """Return the command that brings a trial's parameters, and its model if it is to be had."""
    search, commit = read_search(study), study.user_attrs[COMMIT]
    seed = search.list_seeds(trial.params)[0]
    name = name_experiment(study.user_attrs[TOKEN], trial.user_attrs[TICKET], seed)
    here = is_commit(name_ref(commit, name))
    # An experiment is of the study's commit: applied to a later one, it would undo what came since.
    if ask_git("rev-parse", "HEAD") == commit and (here or search.push):
        pull = "" if here else f"dvc exp pull {search.push} {name} && "
        return f"{pull}dvc exp apply {name}"
    return shlex.join(["dvc", "exp", "run", *list_changes(search.settings | trial.params), "train"])


# How trials stand


def tabulate_trials(trials: Sequence[FrozenTrial]) -> list[tuple[str, str, str, str]]:
    """Put ticket, state, value and parameters of each ticket into a row."""
    table = []
    for ticket, group in group_by_ticket(trials).items():
        trial = choose_trial(group)
        value = "" if trial.value is None else f"{trial.value:.6f}"
        table.append((str(ticket), describe_state(group), value, summarize(trial.params)))
    return table


def summarize(point: Mapping[str, Value]) -> str:
    """Write parameters in short, a line each."""
    shown = {key: f"{it:.4g}" if isinstance(it, float) else it for key, it in point.items()}
    return "\n".join(f"{shorten(key, point)}={value}" for key, value in shown.items())


def shorten(key: str, keys: Collection[str]) -> str:
    """Return as few of a key's last words as tell it from the others."""
    _, _, path = key.rpartition(":")
    words = path.split(".")
    ends = (".".join(words[start:]) for start in reversed(range(len(words))))
    others = [it.rpartition(":")[2] for it in keys]
    return next(
        (end for end in ends if sum(f".{it}".endswith(f".{end}") for it in others) == 1), key
    )


def choose_trial(group: Sequence[FrozenTrial]) -> FrozenTrial:
    """Choose of a ticket's trials the one with a result, else the newest."""
    settled = [it for it in group if it.state in SETTLED]
    return (settled or [*group])[-1]


def describe_state(group: Sequence[FrozenTrial]) -> str:
    """Say how a ticket stands; `lost`: its workers have ended, and nobody has put it back."""
    trial = choose_trial(group)
    match trial.state:
        case TrialState.FAIL:
            return "lost" if is_lost(group) else f"failed: {trial.user_attrs.get(ERROR)}"
        case TrialState.RUNNING:
            return f"running: {trial.user_attrs.get(BEGUN)}"
        case _:
            return trial.state.name.lower()


def count_states(study: Study) -> str:
    groups = group_by_ticket(study.get_trials(deepcopy=False)).values()
    counts = Counter(describe_state(group).partition(":")[0] for group in groups)
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


ACTIONS = {"create": create, "work": work, "status": status, "best": best}


def main(arguments: Namespace) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Taken out of the environment: no process that a worker starts needs the password.
    url = arguments.storage or os.environ.get(STORAGE_VARIABLE) or default_url()
    os.environ.pop(STORAGE_VARIABLE, None)
    with explaining(url):
        ACTIONS[arguments.action](url, arguments)
