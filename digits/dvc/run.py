"""The one way to run DVC: as a process of its own, and with a journal of the stages it ran."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digits.commands.masked_dvc import LEASH
from digits.commands.recover import recover_loudly
from digits.commands.state import VARIABLE as STATE_VARIABLE
from digits.dvc.git import describe_task, try_git
from digits.errors import DigitsError
from digits.stage import JOURNAL_VARIABLE

ELSEWHERE = {"--temp", "--queue"}  # options of `dvc exp run` for a folder of the run's own
WATCH_SECONDS = 0.5  # between two looks at an experiment: few epochs are that short
# DVC makes addresses of such folders. It cannot encode the first of these; # and ? end a path.
UNUSABLE = re.compile(r"[^\x00-\x7f]|[#?]")


class DvcError(DigitsError):
    """A command of DVC failed; it has said why."""


class CheckoutError(DigitsError):
    """The checkout lies where DVC cannot do what was asked for."""


@dataclass(frozen=True)
class Outcome:
    """DVC's exit status, and of each stage that it ran the exit status and the seconds."""

    status: int
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)


def run_dvc(*arguments: str) -> Outcome:
    """Run `dvc` with these arguments, its output shown as it comes.

    Before outputs are removed, they are checked: `digits/commands/outputs.py`.
    """
    recover_loudly()
    with _keeping_journal() as journal:
        environment = _build_environment() | {JOURNAL_VARIABLE: str(journal)}
        return Outcome(_call(arguments, environment), _read_journal(journal))


def read_dvc(*arguments: str) -> str:
    """Return what `dvc` prints, without the last line's end.

    Raises:
        DvcError: it failed; its own last line says why.
    """
    recover_loudly()
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no reason given"]
        raise DvcError(f"dvc {' '.join(arguments)}: {lines[-1].removeprefix('ERROR: ')}")
    return done.stdout.strip()


def run_experiment(settings: Mapping[str, object], *options: str) -> Outcome:
    """Run an experiment with changed parameters; None is DVC's `null`, an empty value.

    Raises:
        CheckoutError: it is to run in a folder of its own, and the checkout's path forbids that; or
            Git is amid a merge or the like, which DVC would have it forget.
    """
    task = describe_task()
    if task:
        raise CheckoutError(f"{task}; a run of DVC would have Git forget it")
    if ELSEWHERE & set(options):
        check_path(Path.cwd())
        warn_of_untracked()
    return run_dvc("exp", "run", *list_changes(settings), *options)


def list_changes(settings: Mapping[str, object]) -> list[str]:
    """Write changed parameters as options of `dvc exp run`."""
    values = {key: "null" if value is None else value for key, value in settings.items()}
    return [part for key, value in values.items() for part in ("-S", f"{key}={value}")]


def run_experiment_in(
    clone: Path, settings: Mapping[str, object], watch: Callable[[], None], *options: str
) -> Outcome:
    """Run an experiment in a clone that is there for it; `watch` is called again and again.

    If that raises, or this process ends in whatever way, DVC and its stage are killed.
    """
    command = [sys.executable, "-m", "digits.commands.masked_dvc", LEASH, str(os.getpid())]
    command += ["exp", "run", *list_changes(settings), *options]
    with _keeping_journal() as journal:
        environment = _build_environment() | {JOURNAL_VARIABLE: str(journal)}
        environment[STATE_VARIABLE] = str(clone / ".dvc/tmp/state")  # gone with the clone
        with subprocess.Popen(
            command, cwd=clone, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                while not _has_ended(process):
                    watch()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return Outcome(process.returncode, _read_journal(journal))


def lend_cache(clone: Path) -> None:
    """Have a clone use the cache and the local settings of this one, as DVC's temporary runs do."""
    # Imported here: most commands have DVC in other processes only, and it takes its time.
    from dvc.config import Config  # noqa: PLC0415

    from digits.dvc.cache import open_stores  # noqa: PLC0415

    repo = open_stores().repo
    with Config(str(clone / ".dvc")).edit("local") as settings:
        settings.update(repo.config.read("local"))
        # Relative, and so written: in an absolute path DVC takes no letters but ASCII.
        settings.setdefault("cache", {})["dir"] = os.path.relpath(repo.cache.local_cache_dir)


def check_path(folder: Path) -> None:
    """Refuse a path on which temporary runs of DVC die, and queued ones are waited for for ever.

    Raises:
        CheckoutError: it has such a character.
    """
    found = UNUSABLE.search(str(folder))
    if found:
        raise CheckoutError(
            f"{folder}: expected a path in ASCII without '#' and '?', for DVC's temporary and "
            f"queued runs, received {found[0]!r}; move the checkout"
        )


def warn_of_untracked() -> None:
    """Name the modules that a run in a folder of its own does not see."""
    patterns = ("digits/*.py", "pipeline/*.py")
    names = try_git("ls-files", "--others", "--exclude-standard", *patterns).splitlines()
    if names:
        print(
            f"WARNING: {', '.join(names)}: not in Git, so not in this run; "
            f"bring it there: git add {' '.join(names)}",
            file=sys.stderr,
        )


def show_experiments() -> list[dict[str, Any]]:
    """Return commits and their experiments, with parameters and metrics: `dvc exp show --json`.

    Raises:
        DvcError: this is no repository of Git and DVC.
    """
    shown: list[dict[str, Any]] = json.loads(read_dvc("exp", "show", "--json"))
    return shown


def fetch_data() -> None:
    """Bring the dataset into DVC's cache: mirrors beside the checkout are not beside a run.

    Raises:
        DvcError: DVC failed.
    """
    status = run_dvc("repro", "decode").status
    if status != 0:
        raise DvcError(f"dvc repro decode: exit status {status}, reasons above")


@contextmanager
def _keeping_journal() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "journal.jsonl"


def _read_journal(path: Path) -> dict[str, dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    return {record.pop("stage"): record for record in records}


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Wait a while; tell whether a process has ended."""
    try:
        process.wait(WATCH_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _call(arguments: tuple[str, ...], environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "digits.commands.masked_dvc", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def _build_environment() -> dict[str, str]:
    """Return the environment in which DVC runs stages and commits experiments."""
    # The stages' `python` is this one, whether an environment is activated or not.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    # An experiment is a commit, and needs an identity.
    identity = {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", "digits-pipeline"), ("EMAIL", "digits@localhost"))
    }
    known = try_git("config", "user.email")
    # A service's account may have a shell that runs nothing.
    given = {**os.environ, "PATH": path, "SHELL": "/bin/sh"}
    return given if known else {**identity, **given}
