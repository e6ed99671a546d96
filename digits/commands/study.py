"""The study: a database of trials, from which any number of workers take theirs.

Optuna chooses parameters, keeps all in the database and knows by heartbeats which worker lives. It
has no budget that several workers share, though, and its own retry misses a worker that is killed
before its first heartbeat or while it puts a trial back. So `create` writes a ticket for each
trial, a worker takes tickets only, and whoever comes by puts back a ticket whose trials have all
been lost. However often a ticket is handed out, one of its trials at most has a result.
"""

import os
import secrets
import socket
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from digits.commands.search import Point, Search
from digits.errors import DigitsError
from digits.urls import mask_urls

DATABASE_PATH = Path("tune.db")
STORAGE_VARIABLE = "DIGITS_TUNE_STORAGE"  # an address with a password is no option for all to see
MOST_LOSSES = 3  # of a ticket: what ends its worker so often would end others, too
GRACE = 3  # heartbeats that may be missed before a trial is lost
KEPT = {"median": 50, "quartile": 75}  # per cent of the trials that a pruner lets go on
WRITERS_SECONDS = 60  # for which a SQLite file may be another's
PAUSE_SECONDS = 5  # between two looks at what the others do
# What is noted with a study, and with a trial. Ticket and point, its parameters as far as they are
# known, are the ticket's; by whom it was begun, whether put back, and why it failed, the trial's.
TOKEN, COMMIT, SEARCH = "token", "commit", "search"
TICKET, POINT, BEGUN, RETURNED, ERROR = "ticket", "point", "begun", "returned", "error"
SETTLED = (TrialState.COMPLETE, TrialState.PRUNED)

Trials = Sequence[FrozenTrial]


class StudyError(DigitsError):
    """There is no such study, or its database does not answer."""


class TrialEndError(Exception):
    """A trial ends without a result, and its worker goes on."""


# The database


def default_url() -> str:
    return f"sqlite:///{DATABASE_PATH.resolve()}"


@contextmanager
def explaining(url: str) -> Iterator[None]:
    """Turn what a database and its driver may raise into one line.

    Raises:
        StudyError: says which database, and why.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = error.__cause__ or error.__context__ or error
        (line, *_) = str(getattr(reason, "orig", None) or reason).strip().splitlines() or [""]
        raise StudyError(
            f"{mask_urls(url)}: expected a database that answers, received "
            f"{type(reason).__name__}: {mask_urls(line)}"
        ) from error


def open_storage(url: str, heartbeat_seconds: int | None = None) -> RDBStorage:
    """Open a database, made at need; with heartbeats for those who work."""
    local = url.startswith("sqlite:")
    options: dict[str, Any] = {"connect_args": {"timeout": WRITERS_SECONDS}} if local else {}
    try:
        with explaining(url), _without_warnings():
            storage = RDBStorage(
                url,
                engine_kwargs={"pool_pre_ping": True, **options},
                heartbeat_interval=heartbeat_seconds,
                grace_period=heartbeat_seconds and GRACE * heartbeat_seconds,
            )
    except ImportError as error:
        raise StudyError(
            f"{mask_urls(url)}: expected its driver, received {error}: `make .venv/cluster.stamp` "
            "installs that of PostgreSQL"
        ) from error
    if local:
        _lock_early(storage.engine)
    elif heartbeat_seconds:
        _be_patient(storage.engine, GRACE * heartbeat_seconds)
    return storage


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Use what Optuna calls experimental: its major version is pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _lock_early(engine: sqlalchemy.Engine) -> None:
    """Have SQLite lock at the begin of a transaction: two workers would read the same trial first.

    As SQLAlchemy's documentation has it; Python's driver would lock at the first write.
    """

    @sqlalchemy.event.listens_for(engine, "connect")
    def leave_begin_to_us(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @sqlalchemy.event.listens_for(engine, "begin")
    def begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()


def _be_patient(engine: sqlalchemy.Engine, seconds: float) -> None:
    """Have a server that restarts be waited for: a thread of heartbeats would end for good."""

    @sqlalchemy.event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _: Any, arguments: Any, options: Any) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)


# The study


def name_study(search: Search, commit: str) -> str:
    """Name it by the commit that its trials are runs of."""
    return f"{search.name}-{commit[:12]}"


def create_study(storage: RDBStorage, search: Search, commit: str, points: Sequence[Point]) -> int:
    """Make the study, or go on with it, and write a ticket for each point; return how many are new.

    A point is what is known of a trial's parameters; the sampler chooses the others.
    """
    name = name_study(search, commit)
    study = optuna.create_study(
        storage=storage, study_name=name, direction=search.direction, load_if_exists=True
    )
    if TOKEN not in study.user_attrs:
        study.set_user_attr(COMMIT, commit)
        study.set_user_attr(SEARCH, search.model_dump())
        # Names of experiments: those of a study that was made anew must be others.
        study.set_user_attr(TOKEN, f"{search.name}-{secrets.token_hex(2)}")
    known = group_by_ticket(study.get_trials(deepcopy=False))
    new = [number for number in range(len(points)) if number not in known]
    for number in new:
        enqueue(study, number, points[number])
    return len(new)


def open_study(storage: RDBStorage, name: str, search: Search | None = None) -> Study:
    """Open a study; with a search, to work on it.

    Raises:
        StudyError: there is none of the name.
    """
    sampler: optuna.samplers.BaseSampler | None = None
    pruner: optuna.pruners.BasePruner | None = None
    if search:
        with _without_warnings():
            # Without a seed: all workers would begin with the same draws.
            sampler = optuna.samplers.TPESampler(constant_liar=True)
        pruner = optuna.pruners.NopPruner()
        if search.pruner in KEPT:
            kept, warmup = KEPT[search.pruner], search.warmup_epochs + 1
            pruner = optuna.pruners.PercentilePruner(kept, n_warmup_steps=warmup)
    try:
        return optuna.load_study(study_name=name, storage=storage, sampler=sampler, pruner=pruner)
    except KeyError as error:
        known = sorted(optuna.get_all_study_names(storage))
        raise StudyError(
            f"study: expected one of {known}, received {name!r}: `tune create` makes one of this "
            "commit, `--study` names another"
        ) from error


def read_search(study: Study) -> Search:
    """Return what `tune.yaml` said when the study was made."""
    return Search.model_validate(study.user_attrs[SEARCH])


# Tickets


def group_by_ticket(trials: Iterable[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """Group the trials by ticket; one without, which a worker took too much, has no part."""
    groups: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        if TICKET in trial.user_attrs:
            groups.setdefault(trial.user_attrs[TICKET], []).append(trial)
    return dict(sorted(groups.items()))


def is_lost(trials: Trials) -> bool:
    """Tell whether no trial of a ticket has a result, or will have one."""
    return all(it.state is TrialState.FAIL and ERROR not in it.user_attrs for it in trials)


def count_losses(trials: Trials) -> int:
    """Count those of a ticket's trials that vanished with their workers."""
    lost = (it for it in trials if it.state is TrialState.FAIL)
    return sum(not {ERROR, RETURNED} & it.user_attrs.keys() for it in lost)


def may_run(number: int, trials: Trials) -> bool:
    """Tell whether a trial of a ticket has no rival: none with a result, none that began earlier.

    Two workers that put a ticket back at the same moment have written it twice.
    """
    return not any(
        it.state in SETTLED
        or ERROR in it.user_attrs
        or (it.state is TrialState.RUNNING and it.number < number)
        for it in trials
        if it.number != number
    )


def put_back(study: Study, trials: Trials) -> int:
    """Write anew the tickets whose trials have all been lost; return how many."""
    lost = {
        ticket: group[-1]
        for ticket, group in group_by_ticket(trials).items()
        if is_lost(group) and count_losses(group) < MOST_LOSSES
    }
    for ticket, last in lost.items():
        enqueue(study, ticket, last.user_attrs[POINT] | last.params)
    return len(lost)


def enqueue(study: Study, ticket: int, point: Point) -> None:
    study.enqueue_trial(point, user_attrs={TICKET: ticket, POINT: point})


# Working


class Worker:
    """Takes tickets until the study is done, and waits where those of others may come back."""

    def __init__(
        self, study: Study, storage: RDBStorage, train: Callable[[optuna.Trial], float]
    ) -> None:
        self.study, self.storage, self.train = study, storage, train
        heartbeat_seconds = storage.get_heartbeat_interval() or 0
        self.count = 0  # of the trials that have run here
        self._pause = min(PAUSE_SECONDS, heartbeat_seconds)
        self._grace = GRACE * heartbeat_seconds
        self._unborn: dict[int, float] = {}  # since when trials have been seen that never began
        self._is_deprived = False  # of its trial: without heartbeats, others took it for lost
        self._is_interrupted = False

    def work(self, most: int | None) -> None:
        """Run trials until none is left, or so many have run."""
        is_waiting = False
        try:
            while most is None or self.count < most:
                states = self._put_right()
                if TrialState.WAITING in states:
                    self._take()
                    is_waiting = False
                elif TrialState.RUNNING in states:
                    if not is_waiting:
                        print("waiting: a trial of another worker may come back", flush=True)
                    is_waiting = True
                    time.sleep(self._pause)
                else:
                    break
        finally:
            put_back(self.study, self._read())  # what was broken off here waits again

    def _read(self) -> Trials:
        return self.study.get_trials(deepcopy=False)

    def _put_right(self) -> set[TrialState]:
        """Put back what vanished workers had taken; return the states of all trials."""
        with _without_warnings():
            fail_stale_trials(self.study)
        # Once: each reading costs the more, the more trials there are.
        now, trials = time.monotonic(), self._read()
        self._unborn = {number: self._unborn.get(number, now) for number in list_unborn(trials)}
        for number, since in self._unborn.items():
            if now - since > self._grace:
                self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        count = put_back(self.study, trials)
        return {it.state for it in trials} | ({TrialState.WAITING} if count else set())

    def _take(self) -> None:
        self._is_deprived = False
        try:
            with _without_warnings():
                self.study.optimize(self._run, n_trials=1, catch=(TrialEndError,))
        except Exception:  # Optuna's, of various kinds
            if self._is_interrupted:
                raise KeyboardInterrupt from None
            if not self._is_deprived:
                raise
            print("the trial had been taken for lost, and is another worker's now", flush=True)

    def _run(self, trial: optuna.Trial) -> float:
        trials = group_by_ticket(self._read())
        ticket = trial.user_attrs.get(TICKET)
        if ticket is None or not may_run(trial.number, trials[ticket]):
            trial.set_user_attr(RETURNED, value=True)
            raise TrialEndError("another worker has its ticket")
        self.count += 1
        number = self._begin(trial)
        try:
            return self.train(trial)
        except KeyboardInterrupt:
            self._is_interrupted = True
            trial.set_user_attr(RETURNED, value=True)
            raise
        finally:
            state = self.storage.get_trial(number).state
            self._is_deprived = state is not TrialState.RUNNING

    def _begin(self, trial: optuna.Trial) -> int:
        """Write the first heartbeat, which Optuna's thread may not have, and then who sends it.

        Return the number that the trial has in the database.
        """
        study = self.storage.get_study_id_from_name(self.study.study_name)
        number = self.storage.get_trial_id_from_study_id_trial_number(study, trial.number)
        self.storage.record_heartbeat(number)
        trial.set_user_attr(BEGUN, f"{socket.gethostname()}, process {os.getpid()}")
        return number


def list_unborn(trials: Trials) -> list[int]:
    """List trials that were taken and not begun: no heartbeat says that their workers live."""
    running = (it for it in trials if it.state is TrialState.RUNNING)
    return [it.number for it in running if BEGUN not in it.user_attrs]
