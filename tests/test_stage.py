"""A stage as a process: one line for a failure, and no orphan."""

import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from imports import ROOT

from digits import stage
from digits.errors import DigitsError, run_main


class BadInputError(DigitsError):
    exit_status = 7


@pytest.mark.parametrize(
    ("failure", "status", "line"),
    [
        (BadInputError("expected a, received b"), 7, "ERROR: expected a, received b\n"),
        (OSError(28, "No space left on device"), 74, "ERROR: [Errno 28] No space left on device\n"),
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


def fail() -> None:
    raise ValueError("one\n  two " + "x" * 1000)


def test_unexpected_is_one_line_and_its_traceback_is_kept(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(fail) == os.EX_SOFTWARE
    (path,) = temporary.iterdir()
    said = capsys.readouterr().err
    assert said.startswith("ERROR: unexpected ValueError: one two xxx")
    assert said.endswith(f"x; the traceback is in {path}\n")
    assert said.count("\n") == 1
    assert len(said) < 500
    kept = path.read_text()
    assert kept.startswith("Traceback (most recent call last):\n")
    assert "in fail" in kept
    assert path.stat().st_mode & 0o777 == 0o600
    for ignores in (".gitignore", ".dvcignore"):  # a temporary folder may be that of the project
        assert f"*{path.suffix}" in (ROOT / ignores).read_text().splitlines()


def test_traceback_that_cannot_be_kept_is_shown(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    temporary.rmdir()
    assert run_main(fail) == os.EX_SOFTWARE
    line, *shown = capsys.readouterr().err.splitlines()
    assert line.startswith("ERROR: unexpected ValueError: one two")
    assert shown[0] == "Traceback (most recent call last):"


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
