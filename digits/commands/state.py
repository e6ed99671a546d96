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
# Variables that lead DVC to the user's settings, and to the system's; the strongest first.
USERS = ("DVC_GLOBAL_CONFIG_DIR", "XDG_CONFIG_HOME", "HOME")
SYSTEMS = ("DVC_SYSTEM_CONFIG_DIR", "XDG_CONFIG_DIRS")


class StateError(DigitsError):
    """The folder is somebody else's, or others may write there."""


def keep_private() -> None:
    """Have DVC, in this process and in those it starts, keep its state there.

    Whoever has set the variable has chosen. A folder that is not there yet is made here: DVC would
    make it for everybody to write.

    Raises:
        StateError: another could put something there, or settings cannot be opened.
    """
    check_settings()
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


def check_settings() -> None:
    """Refuse settings of the user's or the system's that DVC would find, and fail to open.

    A home that is another user's, as `sudo -E` leaves it, is such a place.

    Raises:
        StateError: names the variable that leads there.
    """
    # Imported here: a Python without DVC is told so elsewhere.
    from dvc.dirs import global_config_dir, system_config_dir  # noqa: PLC0415

    for folder, variables in ((global_config_dir(), USERS), (system_config_dir(), SYSTEMS)):
        path = Path(folder, "config")
        try:
            path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            variable = next((it for it in variables if os.environ.get(it)), variables[-1])
            raise StateError(
                f"{variable}: expected a folder in which DVC may look for {path}, received "
                f"{error.strerror!r}: `export {variable}=$(mktemp -d)`, or one of your own"
            ) from error


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
