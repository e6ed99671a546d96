"""The study: a database of trials, from which any number of workers take theirs.

The queue is Optuna's: `create` enqueues as many trials as are wanted, and a trial whose worker has
sent no heartbeat for some time is failed and enqueued again. Added here is what Optuna 5 lacks:
SQLite gives no trial to two workers, a server that restarts is waited for, and no trial runs
without a heartbeat.
"""

import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.pruners import NopPruner, PercentilePruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from digits.commands.tune.search import Point, Search
from digits.errors import DigitsError

STORAGE_VARIABLE = "DIGITS_TUNE_STORAGE"  # an address with a password is no option for all to see
MOST_RETRIES = 2  # of a lost trial: what has ended three workers would end others, too
GRACE = 3  # heartbeats that may be missed before a trial is lost
KEPT = {"median": 50, "quartile": 75}  # per cent of the trials that a pruner lets go on
WRITERS_SECONDS = 60  # to wait for another writer of a SQLite file
TOKEN, COMMIT, SEARCH = "token", "commit", "search"  # noted with a study
# Noted with a trial: its number among those of `create`, which its retries share; its worker; its
# experiments; and why it failed.
WANTED, WORKER, EXPERIMENTS, ERROR = "wanted", "worker", "experiments", "error"


# The database


@contextmanager
def explaining(url: str) -> Iterator[None]:
    """Turn a database's error into one line, without a password."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, ImportError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise DigitsError(f"{url}: expected a database that answers, received: {reason}") from error


class Storage(RDBStorage):
    """Optuna's database, in which a trial that runs has a heartbeat from the first moment.

    Optuna waits forever for a trial whose worker was killed before its first heartbeat.
    """

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        if state is TrialState.RUNNING:
            self.record_heartbeat(trial_id)
        return super().set_trial_state_values(trial_id, state, values)


def open_storage(url: str, heartbeat_seconds: int | None = None) -> Storage:
    """Open a database, and create it if it is missing; with heartbeats for workers."""
    local = url.startswith("sqlite:")
    options: dict[str, Any] = {"connect_args": {"timeout": WRITERS_SECONDS}} if local else {}
    storage = Storage(
        url,
        engine_kwargs={"pool_pre_ping": True, **options},
        heartbeat_interval=heartbeat_seconds,
        grace_period=heartbeat_seconds and GRACE * heartbeat_seconds,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(MOST_RETRIES),
    )
    if local:
        _lock_early(storage.engine)
    elif heartbeat_seconds:
        _be_patient(storage.engine, GRACE * heartbeat_seconds)
    return storage


def _lock_early(engine: Engine) -> None:
    """Let SQLite lock as a transaction begins: two workers would read the same trial first.

    As SQLAlchemy's documentation has it; Python's driver would lock at the first write.
    """
    event.listen(engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    engine.dispose()


def _be_patient(engine: Engine, seconds: float) -> None:
    """Wait for a server that restarts."""

    @event.listens_for(engine, "do_connect")
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
    return f"{search.name}-{commit[:12]}"


def create_study(storage: Storage, search: Search, commit: str, points: Sequence[Point]) -> int:
    """Make the study, or go on with it, and enqueue a trial for each point; return how many.

    A point is what is known of a trial's parameters; the sampler chooses the others. One whose
    trials have all been lost is enqueued again.
    """
    name = name_study(search, commit)
    study = optuna.create_study(
        storage=storage, study_name=name, direction=search.direction, load_if_exists=True
    )
    if TOKEN not in study.user_attrs:
        study.set_user_attr(COMMIT, commit)
        study.set_user_attr(SEARCH, search.model_dump())
        # Names of experiments: a study that is made again needs other ones.
        study.set_user_attr(TOKEN, f"{search.name}-{secrets.token_hex(2)}")
    known = {trial.user_attrs[WANTED] for trial in list_trials(study) if not is_lost(trial)}
    new = [number for number in range(len(points)) if number not in known]
    for number in new:
        study.enqueue_trial(points[number], user_attrs={WANTED: number})
    return len(new)


def open_study(storage: Storage, name: str) -> Study:
    """Open a study, to look at it or to work on it."""
    # Without a seed: all workers would begin with the same draws.
    sampler = TPESampler(constant_liar=True)
    try:
        study = optuna.load_study(study_name=name, storage=storage, sampler=sampler)
    except KeyError as error:
        known = sorted(optuna.get_all_study_names(storage))
        raise DigitsError(
            f"study: expected one of {known}, received {name!r}: `digits tune create` makes one of "
            "this commit, `--study` names another"
        ) from error
    search = read_search(study)
    study.pruner = NopPruner()
    if search.pruner in KEPT:
        warmup = search.warmup_epochs + 1
        study.pruner = PercentilePruner(KEPT[search.pruner], n_warmup_steps=warmup)
    return study


def read_search(study: Study) -> Search:
    """Return what `tune.yaml` said when the study was made."""
    return Search.model_validate(study.user_attrs[SEARCH])


# Its trials


def list_trials(study: Study) -> list[FrozenTrial]:
    """List the trials that `create` wanted: two workers may ask at once for the last one."""
    return [trial for trial in study.get_trials(deepcopy=False) if WANTED in trial.user_attrs]


def is_lost(trial: FrozenTrial) -> bool:
    """Tell whether a trial was failed because its worker was gone."""
    return trial.state is TrialState.FAIL and ERROR not in trial.user_attrs


def describe_state(trial: FrozenTrial) -> str:
    """Say how a trial stands, where it runs or why it failed, and what it retries."""
    state, facts = trial.state.name.lower(), trial.user_attrs
    if trial.state is TrialState.RUNNING:
        state = f"running: {facts.get(WORKER)}"
    elif trial.state is TrialState.FAIL:
        state = "lost" if is_lost(trial) else f"failed: {facts[ERROR]}"
    retried = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
    return state if retried is None else f"{state} (retry of {retried})"


def count_states(trials: Sequence[FrozenTrial]) -> str:
    """Count trials by their state, such as `3 complete, 1 lost`."""
    counts = Counter(re.split(r"\W", describe_state(trial))[0] for trial in trials)
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
