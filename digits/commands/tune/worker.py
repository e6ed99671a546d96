"""A worker: runs the trials of a study, one after another, until none is left.

By Optuna's `ask` and `tell`. Its `optimize` counts a trial that is interrupted, or meets a full
disk, as failed; its worker crashes if the trial was taken for lost; and its heartbeats end with the
first that a restarting server does not take.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import fail_stale_trials
from optuna.study import Study
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from digits.commands.tune.study import ERROR, WANTED, WORKER, Storage, list_trials, read_search

PAUSE_SECONDS = 5  # between two looks at what the others do


class TrialFailedError(Exception):
    """A trial has no result because of its parameters; its worker goes on."""


class Worker:
    """Takes trials that wait, and stays while those of others may come back."""

    def __init__(
        self, study: Study, storage: Storage, objective: Callable[[optuna.Trial], float]
    ) -> None:
        self.study, self.storage, self.objective = study, storage, objective
        space = read_search(study).space.items()
        self.distributions: dict[str, Any] = {key: own.build() for key, own in space}
        self.heartbeat_seconds = storage.get_heartbeat_interval() or PAUSE_SECONDS

    def work(self, most: int | None) -> int:
        """Run trials until none is left, or so many have run; return how many have."""
        count, is_idle = 0, False
        while most is None or count < most:
            try:
                states = self._look()
            except StorageInternalError:  # a server that restarts during a query; the next waits
                states = self._look()
            if TrialState.WAITING in states:
                is_idle = False
                count += self._run_next()
            elif TrialState.RUNNING in states:
                if not is_idle:
                    print("waiting: a trial of another worker may come back", flush=True)
                is_idle = True
                time.sleep(min(PAUSE_SECONDS, self.heartbeat_seconds))
            else:
                break
        return count

    def _look(self) -> set[TrialState]:
        """Let lost trials wait again; return the states of all."""
        fail_stale_trials(self.study)
        return {trial.state for trial in list_trials(self.study)}

    def _run_next(self) -> bool:
        """Take a trial and run it; return whether there was one left."""
        trial = self.study.ask(self.distributions)
        if WANTED not in trial.user_attrs:  # another worker took the last one
            self.study.tell(trial, state=TrialState.FAIL)
            return False
        study_id = self.storage.get_study_id_from_name(self.study.study_name)
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        try:
            with self._beating(trial_id):
                trial.set_user_attr(WORKER, f"{socket.gethostname()}, process {os.getpid()}")
                self._run(trial)
        except UpdateFinishedTrialError:
            print("the trial was taken for lost, and belongs to another worker now", flush=True)
        except BaseException:  # Ctrl-C, a full disk, the database: it waits for a worker again
            with suppress(UpdateFinishedTrialError):
                self.storage.set_trial_state_values(trial_id, TrialState.WAITING)
            raise
        return True

    def _run(self, trial: optuna.Trial) -> None:
        value, state = None, TrialState.COMPLETE
        try:
            value = self.objective(trial)
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except TrialFailedError as error:
            trial.set_user_attr(ERROR, str(error))
            state = TrialState.FAIL
        if self.study.tell(trial, value, state, skip_if_finished=True).state is not state:
            raise UpdateFinishedTrialError

    @contextmanager
    def _beating(self, trial_id: int) -> Iterator[None]:
        """Send heartbeats; one that the database does not take is followed by the next."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self.heartbeat_seconds):
                with suppress(SQLAlchemyError, StorageInternalError):
                    self.storage.record_heartbeat(trial_id)

        thread = threading.Thread(target=beat)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
