"""`digits tune`: search better parameters; each trial is an experiment of DVC up to `train`.

`tune.yaml` says what is searched. `create` makes the study of this commit with as many trials as
are wanted, `work` runs them, here and on any other machine that reaches the database, `status`
lists them, and `best` shows the best one. They are ranked by a metric of validation images.
"""

import os
import shlex
import signal
import warnings
from argparse import ArgumentParser, Namespace

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial
from tabulate import tabulate

from digits.commands.tune.objective import Objective, locking, name_experiment, opening_folder
from digits.commands.tune.search import TUNE_PATH, Point, Search, load_search
from digits.commands.tune.study import (
    COMMIT,
    STORAGE_VARIABLE,
    TOKEN,
    count_states,
    create_study,
    describe_state,
    explaining,
    list_trials,
    name_study,
    open_storage,
    open_study,
    read_search,
)
from digits.commands.tune.worker import Worker
from digits.dvc.experiments import list_options, name_ref
from digits.dvc.git import ask_git, check_committed, is_commit
from digits.dvc.run import fetch_data
from digits.errors import DigitsError, mask_urls

HEADER = ("trial", "state", "value", "settings")
WIDTHS = (5, 24, 10, 35)  # with two spaces between: 80 columns
DEFAULT_URL = "sqlite:///tune.db"


def add_arguments(parser: ArgumentParser) -> None:
    storage = f"the database [${STORAGE_VARIABLE}, or tune.db here]"
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    summaries = {
        create: "make the study of this commit, or add trials to it",
        work: "run its trials until none is left",
        status: "list its trials, and say how the study is deleted",
        best: "show the best one, draw the study, say how to take it over",
    }
    for run, summary in summaries.items():
        action = actions.add_parser(run.__name__, help=summary)
        action.set_defaults(run=run)
        action.add_argument("--storage", metavar="URL", help=storage)
        if run in (create, work):
            text = "in all; a grid has its own" if run is create else "end after so many"
            action.add_argument("--trials", type=int, metavar="N", help=text)
        else:
            action.add_argument("--study", metavar="NAME", help="another commit's")


def check_clean() -> str:
    """Return the commit of the checkout; refuse edits, which other machines would not have."""
    check_committed("--untracked-files=no")
    return ask_git("rev-parse", "HEAD")


def bring_data() -> None:
    """Bring the images into DVC's cache; refuse a commit whose dvc.lock has older ones."""
    with locking():
        fetch_data()
    if ask_git("status", "--porcelain", "--untracked-files=no"):
        raise DigitsError(
            "dvc.lock: expected the state of fetch and decode, received an older one, brought up "
            "to date now: commit it, then `digits tune create`"
        )


def create(url: str, arguments: Namespace) -> None:
    search, commit = load_search(), check_clean()
    points = plan_points(search, arguments.trials)
    bring_data()  # a study whose trials could not run would stay
    new = create_study(open_storage(url), search, commit, points)
    print(f"study {name_study(search, commit)}: {new} new trials of {len(points)}")


def plan_points(search: Search, count: int | None) -> list[Point]:
    """Return the points of the grid; of another sampler, an empty point a trial."""
    if search.sampler == "grid":
        points = search.list_points()
        if count is not None:
            raise DigitsError(f"--trials: expected none, since the grid has {len(points)}")
        return points
    if count is None or count < 1:
        raise DigitsError(f"--trials: expected a number, since {TUNE_PATH} gives no grid")
    return [{} for _ in range(count)]


def work(url: str, arguments: Namespace) -> None:
    search, commit = load_search(), check_clean()
    storage = open_storage(url, search.heartbeat_seconds)
    study = open_study(storage, name_study(search, commit))
    # As Ctrl-C: the trial waits for another worker.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with opening_folder() as folder:
        bring_data()
        count = Worker(study, storage, Objective(study, folder)).work(arguments.trials)
    print(f"\nstudy {study.study_name}: {count_states(list_trials(study))}; {count} run here")


def status(url: str, arguments: Namespace) -> None:
    study = find_study(url, arguments.study)
    name, objective = study.study_name, read_search(study).describe_objective()
    trials = list_trials(study)
    rows = [describe_trial(trial) for trial in trials]
    print(f"study {name}: {study.direction.name.lower()} {objective}")
    print(tabulate(rows, HEADER, disable_numparse=True, maxcolwidths=WIDTHS))
    print(f"{count_states(trials)}; the experiments are {study.user_attrs[TOKEN]}-TRIAL-SEED")
    print(f"to delete it: optuna delete-study --study-name {name} --storage {mask_urls(url)}")


def best(url: str, arguments: Namespace) -> None:
    from digits.commands.tune.plots import draw_study  # noqa: PLC0415 - Matplotlib takes a second

    study = find_study(url, arguments.study)
    name, objective = study.study_name, read_search(study).describe_objective()
    try:
        trial = study.best_trial
    except ValueError as error:
        raise DigitsError(f"study {name}: expected a trial with a result, received none") from error
    print(f"study {name}: {count_states(list_trials(study))}")
    print(f"best: trial {trial.number}, {objective} {trial.value:.6f}")
    for setting in list_options(trial.params)[1::2]:
        print(f"  {setting}")
    for path in draw_study(study, objective):
        print(f"drawn: {path}")
    print(f"to make it the recipe: {advise(study, trial)}")


def find_study(url: str, name: str | None) -> Study:
    own = name or name_study(load_search(), ask_git("rev-parse", "HEAD"))
    return open_study(open_storage(url), own)


def advise(study: Study, trial: FrozenTrial) -> str:
    """Return the command that brings a trial's parameters, and its model where there is one."""
    search, commit = read_search(study), study.user_attrs[COMMIT]
    seed = search.list_seeds(trial.params)[0]
    name = name_experiment(study.user_attrs[TOKEN], trial.number, seed)
    here = is_commit(name_ref(commit, name))
    # An experiment is of the study's commit: applied to a later one, it would undo what came since.
    if ask_git("rev-parse", "HEAD") == commit and (here or search.push):
        pull = "" if here else f"dvc exp pull {search.push} {name} && "
        return f"{pull}dvc exp apply {name}"
    return shlex.join(["dvc", "exp", "run", *list_options(search.settings | trial.params), "train"])


def describe_trial(trial: FrozenTrial) -> tuple[str, str, str, str]:
    """Put a trial's number, state, value and parameters into a row."""
    value = "" if trial.value is None else f"{trial.value:.6f}"
    settings = []
    for key, setting in trial.params.items():
        shown = f"{setting:.4g}" if isinstance(setting, float) else setting
        settings.append(f"{key.rpartition(':')[2]}={shown}")
    return str(trial.number), describe_state(trial), value, "\n".join(settings)


def main(arguments: Namespace) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Its heartbeats are experimental, and want `optimize`: its major version is pinned.
    for category in (ExperimentalWarning, UserWarning):
        warnings.simplefilter("ignore", category)
    # Taken out of the environment: no process that a worker starts needs the password.
    url = arguments.storage or os.environ.get(STORAGE_VARIABLE) or DEFAULT_URL
    os.environ.pop(STORAGE_VARIABLE, None)
    with explaining(url):
        arguments.run(url, arguments)
