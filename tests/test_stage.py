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
from digits.errors import DigitsError, mask_urls


class BadInputError(DigitsError):
    exit_status = 7


@pytest.mark.parametrize(
    ("failure", "status", "said"),
    [
        (BadInputError("expected a, received b"), 7, "ERROR: expected a, received b\n"),
        (OSError(28, "No space left on device"), 74, "ERROR: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "ERROR: interrupted\n"),
        (ValueError("ours"), os.EX_SOFTWARE, "Traceback (most recent call last):\n"),
    ],
    ids=["ours", "system", "Ctrl-C", "mistake"],
)
def test_failure_is_one_line_and_a_mistake_of_ours_a_traceback(
    failure: BaseException,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main() -> None:
        raise failure

    monkeypatch.setattr(stage, "_end_with_parent", lambda: None)  # the tests may be an orphan
    with pytest.raises(SystemExit) as leaving:
        stage.run(main)
    assert leaving.value.code == status
    assert capsys.readouterr().err.startswith(said)


MASKED = {
    "https://user:pa/secret@host/path": "https://***@host/path",
    "https://host/path?X-Amz-Signature=secret": "https://host/path?***",
    "the proxy user:secret@host:80, which": "the proxy ***@host:80, which",
    "remote (webdav://user:secret@host:80/x): none": "remote (webdav://***@host:80/x): none",
    "exceeded with url: /a?sig=secret (Caused by X)": "exceeded with url: /a?*** (Caused by X)",
}
PLAIN = ("https://[::1]:8443/path", "/home/a@b/mnist", "maria@lab.org:/srv/digits", "what? a = b")
PLAIN += ("HEAD:data@2.csv", "dvc.yaml:train@mnist")


@pytest.mark.parametrize(("text", "masked"), [*MASKED.items(), *zip(PLAIN, PLAIN, strict=True)])
def test_failure_shows_no_password(text: str, masked: str) -> None:
    assert str(DigitsError(text)) == masked
    assert mask_urls(masked) == masked


def write_script(folder: Path, code: str) -> str:
    path = folder / "stage.py"
    path.write_text(f"import os, signal, sys\nfrom digits.stage import run\n{code}\n")
    return str(path)


# When its parent dies: while it runs, or before, while it still imports its modules.
SAY = "print(os.getpid(), flush=True)"
ORPHANS = {
    "while-running": f"run(lambda: ({SAY}, signal.pause()))",
    "while-importing": f"{SAY}; sys.stdin.read(); run(signal.pause)",
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a child with its parent")
@pytest.mark.parametrize("code", ORPHANS.values(), ids=ORPHANS)
def test_stage_ends_with_its_parent(code: str, tmp_path: Path) -> None:
    script = write_script(tmp_path, code)
    parent_code = (
        "import subprocess, sys; "
        f"subprocess.Popen([sys.executable, {script!r}], stdin=subprocess.PIPE).wait()"
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
    done = subprocess.run(
        [sys.executable, write_script(tmp_path, "run(lambda: print('ran'))")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        start_new_session=new_session,
        check=True,
    )
    assert done.stdout == "ran\n"
