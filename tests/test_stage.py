"""A stage as a process: one line for a failure, and no orphan."""

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import weakref
from pathlib import Path

import numpy as np
import pytest
from imports import ROOT

from digits import stage
from digits.errors import MESSAGE_LENGTH, DigitsError, run_main
from digits.files.artifacts import write_text


class BadInputError(DigitsError):
    exit_status = 7


@pytest.mark.parametrize(
    ("failure", "status", "line"),
    [
        (BadInputError("expected a, received b"), 7, "ERROR: expected a, received b\n"),
        (OSError(28, "No space left on device"), 1, "ERROR: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "ERROR: interrupted\n"),
    ],
    ids=["ours", "system", "Ctrl-C"],
)
def test_failure_is_one_line(
    failure: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise failure

    with pytest.raises(SystemExit) as leaving:
        stage.run(main)
    assert leaving.value.code == status
    assert capsys.readouterr().err == line


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that takes the place of /tmp."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def fail_in_ours(failure: Exception) -> None:
    """Let our code call what fails."""

    class Text(str):
        __slots__ = ()

        def encode(self, *_: str) -> bytes:
            raise failure

    write_text(Path("never-written"), Text())


SIGNED = "https://user:password@host.org/file?token=abc"
UNEXPECTED = {
    "memory": (MemoryError(), "MemoryError", ""),
    "without-words": (ZeroDivisionError(), "ZeroDivisionError", ""),
    "of-many-lines": (ValueError("one\n  two"), "ValueError", ": one two"),
    "long": (ValueError("x" * 10_000), "ValueError", f": {'x' * MESSAGE_LENGTH}..."),
    "secret": (ValueError(SIGNED), "ValueError", ": https://***@host.org/file?***"),
}


@pytest.mark.parametrize(("failure", "kind", "words"), UNEXPECTED.values(), ids=UNEXPECTED)
def test_unexpected_is_one_line_and_its_traceback_is_kept(
    failure: Exception,
    kind: str,
    words: str,
    temporary: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as leaving:
        stage.run(lambda: fail_in_ours(failure))
    (path,) = temporary.iterdir()
    said = capsys.readouterr().err
    place = rf"digits/files/artifacts\.py:\d+ \(write_text\){re.escape(words)}"
    end = rf"; the traceback is in {re.escape(str(path))}\n"
    assert re.fullmatch(f"ERROR: unexpected {kind} in {place}{end}", said)
    assert leaving.value.code == os.EX_SOFTWARE
    kept = path.read_text()
    assert kept.startswith("Traceback (most recent call last):\n")
    assert "fail_in_ours" in kept
    assert "password" not in kept
    assert path.stat().st_mode & 0o777 == 0o600
    for ignores in (".gitignore", ".dvcignore"):  # a temporary folder may be that of the project
        assert f"*{path.suffix}" in (ROOT / ignores).read_text().splitlines()


def test_unexpected_of_a_library_alone(temporary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        json.loads("{")

    assert run_main(main) == os.EX_SOFTWARE
    assert "ERROR: unexpected JSONDecodeError in code that is not ours: " in capsys.readouterr().err
    assert len(list(temporary.iterdir())) == 1


def test_traceback_that_cannot_be_kept_is_shown(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    temporary.rmdir()
    assert run_main(lambda: fail_in_ours(ValueError(SIGNED))) == os.EX_SOFTWARE
    line, *shown = capsys.readouterr().err.splitlines()
    assert "; no file for the traceback: [Errno 2] No such file or directory: " in line
    assert shown[0] == "Traceback (most recent call last):"
    assert shown[-1] == "ValueError: https://***@host.org/file?***"


def test_full_disk_leaves_no_half_a_traceback(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class FullDisk(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", lambda *_, **__: FullDisk())
    assert run_main(lambda: fail_in_ours(ValueError())) == os.EX_SOFTWARE
    assert "no file for the traceback: [Errno 28] No space left" in capsys.readouterr().err
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("temporary")
def test_endless_recursion(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        main()

    assert run_main(main) == os.EX_SOFTWARE
    assert "ERROR: unexpected RecursionError in " in capsys.readouterr().err


def test_memory_is_freed_before_the_traceback_is_written(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = []

    def main() -> None:
        array = np.zeros(10)
        alive.append(weakref.ref(array))
        raise MemoryError

    monkeypatch.setattr(
        traceback, "format_exception", lambda *_: [f"held: {alive[0]() is not None}"]
    )
    assert run_main(main) == os.EX_SOFTWARE
    (path,) = temporary.iterdir()
    assert path.read_text() == "held: False"


def test_no_memory_for_the_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(traceback, "format_exception", fail)
    assert run_main(lambda: fail_in_ours(MemoryError())) == os.EX_SOFTWARE
    said = capsys.readouterr().err
    assert said == "ERROR: unexpected MemoryError, of which nothing more can be said\n"


LIMITED = """
import resource, sys
import numpy as np
from digits.errors import run_main
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))

def main():
    kept = []
    while True:
        kept.append(bytearray(2**12))

sys.exit(run_main(main))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory")
def test_real_lack_of_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    (path,) = tmp_path.iterdir()
    assert done.returncode == os.EX_SOFTWARE
    assert done.stderr == (
        f"ERROR: unexpected MemoryError in code that is not ours; the traceback is in {path}\n"
    )


# When its parent dies: while it runs, or before, while it still imports its modules.
SAY = "print(os.getpid(), flush=True)"
ORPHANS = {
    "while-running": f"run(lambda: ({SAY}, signal.pause()))",
    "while-importing": f"{SAY}; sys.stdin.read(); run(signal.pause)",
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a child with its parent")
@pytest.mark.parametrize("stage_code", ORPHANS.values(), ids=ORPHANS)
def test_stage_ends_with_its_parent(stage_code: str, tmp_path: Path) -> None:
    script = tmp_path / "stage.py"
    script.write_text(f"import os, signal, sys\nfrom digits.stage import run\n{stage_code}\n")
    parent_code = (
        "import subprocess, sys; "
        f"subprocess.Popen([sys.executable, {str(script)!r}], stdin=subprocess.PIPE).wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent_code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as a terminal does; who adopts the orphan is of another
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        child = os.pidfd_open(pid)
        parent.send_signal(signal.SIGKILL)
        ended, _, _ = select.select([child], [], [], 30)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        os.close(child)
    assert ended


def run_script(folder: Path, code: str, *, new_session: bool = False) -> str:
    """Run code in a process of its own, which must end well; return what it prints."""
    script = folder / "stage.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        start_new_session=new_session,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("new_session", [False, True])
def test_stage_with_a_parent_runs(new_session: bool, tmp_path: Path) -> None:  # noqa: FBT001
    code = "from digits.stage import run\nrun(lambda: print('done'))\n"
    assert run_script(tmp_path, code, new_session=new_session) == "done\n"


def test_garbage_is_not_looked_for_in_what_has_been_imported(tmp_path: Path) -> None:
    ask = "print(gc.get_freeze_count() > 10 * len(gc.get_objects()))"
    code = f"import gc, numpy\nfrom digits.stage import run\nrun(lambda: {ask})\n"
    assert run_script(tmp_path, code) == "True\n"


# While a stage's modules are imported


BROKEN = {
    "interrupted": ("keras", "raise KeyboardInterrupt", 130, "interrupted"),
    "memory": (
        "keras",
        "raise MemoryError",
        os.EX_SOFTWARE,
        r"unexpected MemoryError in digits/model/backend\.py:\d+ \(<module>\)",
    ),
    "broken-installation": (
        "tensorflow",
        "raise ImportError('libcuda.so: no such file')",
        os.EX_SOFTWARE,
        r"unexpected ImportError in digits/model/backend\.py:.*: libcuda\.so: no such file",
    ),
    "full-disk": (
        "keras",
        "raise OSError(28, 'No space left on device')",
        os.EX_SOFTWARE,
        r"unexpected OSError in digits/model/backend\.py:.*No space left on device",
    ),
}


@pytest.mark.parametrize(("library", "code", "status", "words"), BROKEN.values(), ids=BROKEN)
def test_failing_import_is_one_line(
    library: str, code: str, status: int, words: str, tmp_path: Path
) -> None:
    (tmp_path / "keras.py").write_text("")  # in place of the real one, which takes seconds
    (tmp_path / f"{library}.py").write_text(code)
    (tmp_path / "kept").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.train"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
            "TMPDIR": str(tmp_path / "kept"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    kept = list((tmp_path / "kept").iterdir())
    end = "".join(f"; the traceback is in {re.escape(str(path))}" for path in kept)
    assert re.fullmatch(f"ERROR: {words}{end}\n", done.stderr), done.stderr
    assert done.returncode == status
    assert len(kept) == (status == os.EX_SOFTWARE)
    assert all(code in path.read_text() for path in kept)


def test_imported_library_leaves_the_failures_of_others_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import digits; raise ValueError('of whoever imports')"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith("ValueError: of whoever imports\n")
