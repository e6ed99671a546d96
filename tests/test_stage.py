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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a child with its parent")
def test_stage_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "stage.py"
    script.write_text(
        "import os, signal\n"
        "from digits.stage import run\n"
        "run(lambda: (print(os.getpid(), flush=True), signal.pause()))\n"
    )
    parent_code = f"import subprocess, sys; subprocess.run([sys.executable, {str(script)!r}])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", parent_code], env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        ended, _, _ = select.select([child], [], [], 30)
        os.close(child)
    assert ended
