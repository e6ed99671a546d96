"""The clones in which trials are trained, and the folders of the workers that made them."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from digits.dvc.cache import lend_cache
from digits.dvc.git import ask_git

TRIALS_DIR = Path(".dvc/tmp/tune")  # DVC and Git ignore it
LOCK_NAME = "lock"


def make_clone(folder: Path, commit: str) -> Path:
    """Clone this repository at a commit, in place of what is there; return the project in it."""
    shutil.rmtree(folder, ignore_errors=True)
    top, prefix = (ask_git("rev-parse", f"--show-{part}") for part in ("toplevel", "prefix"))
    ask_git("clone", "--quiet", "--shared", "--no-checkout", top, str(folder))
    ask_git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    lend_cache(folder / prefix)
    return folder / prefix


@contextmanager
def opening_folder() -> Iterator[Path]:
    """Open a folder for a worker's clones; those that dead workers have left are removed.

    A worker holds a lock for as long as it lives, by whatever it ends, on shared disks, too.
    """
    with ExitStack() as held:
        with locking():
            for left in filter(Path.is_dir, TRIALS_DIR.iterdir()):
                with suppress(BlockingIOError), _locking(left / LOCK_NAME, fcntl.LOCK_NB):
                    shutil.rmtree(left, ignore_errors=True)
            made = tempfile.TemporaryDirectory(dir=TRIALS_DIR, ignore_cleanup_errors=True)
            folder = Path(held.enter_context(made)).resolve()
            held.enter_context(_locking(folder / LOCK_NAME))
        yield folder


@contextmanager
def locking() -> Iterator[None]:
    """Hold the lock of all workers of this clone: for what one of them does at a time."""
    TRIALS_DIR.mkdir(parents=True, exist_ok=True)
    with _locking(TRIALS_DIR / LOCK_NAME):
        yield


@contextmanager
def _locking(path: Path, options: int = 0) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | options)
        yield
