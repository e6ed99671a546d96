"""A stage as a process: one line for a failure, and no orphan."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT

from digits import stage
from digits.errors import DigitsError


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


def test_mistake_of_ours_keeps_its_traceback() -> None:
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stage.run(main)


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


@pytest.mark.parametrize("new_session", [False, True])
def test_stage_with_a_parent_runs(new_session: bool, tmp_path: Path) -> None:  # noqa: FBT001
    script = tmp_path / "stage.py"
    script.write_text("from digits.stage import run\nrun(lambda: print('done'))\n")
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        start_new_session=new_session,
        check=True,
    )
    assert done.stdout == "done\n"


def test_ctrl_c_while_tensorflow_is_imported_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [sys.executable, "-c", "import digits.model.backend"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "ERROR: interrupted\n")
