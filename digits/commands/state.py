"""DVC's state, in a folder that nobody else may write.

By default it lies below /var/tmp/dvc, where everybody may, and DVC unpickles what it finds there
(diskcache, CVE-2025-69872, without a fix): another local user's code would run.
"""

import os
import pwd
import stat
import tempfile
from pathlib import Path

from digits.errors import DigitsError

VARIABLE = "DVC_SITE_CACHE_DIR"  # core.site_cache_dir would be relative to the working directory
NAME = "digits-dvc"


class StateError(DigitsError):
    """The folder is somebody else's, or others may write there."""


def keep_private() -> None:
    """Have DVC, in this process and in those it starts, keep its state there.

    Whoever has set the variable has chosen. A folder that is not there yet is made here: DVC would
    make it for everybody to write.

    Raises:
        StateError: another could put something there.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        Path(chosen).mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        os.environ[VARIABLE] = str(make_folder())


def name_user() -> None:
    """Give a user whom the system knows by number only, as in a container, a name.

    DVC asks for one, and would end in a traceback.
    """
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ.setdefault("LOGNAME", f"user-{os.getuid()}")


def make_folder() -> Path:
    """Return the private folder, below the user's caches or, without a home, temporary files.

    Each command finds what the one before has left: hashing everything anew takes time.
    """
    try:
        folder = find_caches() / NAME
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except (OSError, RuntimeError):  # no home, or one that cannot be written
        usable = False
    if not usable:
        folder = Path(tempfile.gettempdir()) / f"{NAME}-{os.geteuid()}"
        if not folder.is_symlink():
            folder.mkdir(mode=0o700, exist_ok=True)
    check_private(folder)
    return folder


def find_caches() -> Path:
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return chosen if chosen.is_absolute() else Path.home() / ".cache"


def check_private(folder: Path) -> None:
    """Refuse a folder in which others may have put something.

    Raises:
        StateError: says what it is.
    """
    found = folder.lstat()
    received = None
    if not stat.S_ISDIR(found.st_mode):
        received = "a link or a file"
    elif found.st_uid != os.geteuid():
        received = f"one of user {found.st_uid}"
    elif found.st_mode & 0o022:
        received = f"mode {stat.S_IMODE(found.st_mode):04o}"
    if received:
        raise StateError(
            f"{folder}: expected a folder that only you may write, for DVC's state, received "
            f"{received}: remove it, or name another in {VARIABLE}"
        )
