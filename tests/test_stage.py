"""A stage as a process: one line for a failure, and no orphan."""

import os
import select
import signal
import subprocess
import sys

import pytest
from imports import ENVIRONMENT

from digits.data.finding import UnreachableError
from digits.errors import DigitsError, mask_urls, run_main

IMPORT = "import os, signal, sys; from digits.stage import run; "


@pytest.mark.parametrize(
    ("failure", "status", "said"),
    [
        (UnreachableError("expected a, received b"), 69, "ERROR: expected a, received b\n"),
        (OSError(28, "No space left on device"), 74, "ERROR: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "ERROR: interrupted\n"),
        (ValueError("ours"), os.EX_SOFTWARE, "Traceback (most recent call last):\n"),
    ],
    ids=["ours", "system", "Ctrl-C", "mistake"],
)
def test_failure_is_one_line_and_a_mistake_of_ours_a_traceback(
    failure: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise failure

    assert run_main(main) == status
    assert capsys.readouterr().err.startswith(said)


MASKED = {
    "https://user:pa/secret@host/path": "https://***@host/path",
    "https://host/path?X-Amz-Signature=secret": "https://host/path?***",
    "the proxy user:secret@host:80, which": "the proxy ***@host:80, which",
    "remote (webdav://user:secret@host:80/x): none": "remote (webdav://***@host:80/x): none",
    "exceeded with url: /a?sig=secret (Caused by X)": "exceeded with url: /a?*** (Caused by X)",
}
PLAIN = (
    *("https://[::1]:8443/path", "/home/a@b/mnist", "maria@lab.org:/srv/digits", "what? a = b"),
    *("HEAD:data@2.csv", "dvc.yaml:train@mnist"),
)


@pytest.mark.parametrize(("text", "masked"), [*MASKED.items(), *zip(PLAIN, PLAIN, strict=True)])
def test_failure_shows_no_password(text: str, masked: str) -> None:
    assert str(DigitsError(text)) == masked
    assert mask_urls(masked) == masked


# When its parent dies: while it runs, or before, while it still imports its modules.
SAY = "print(os.getpid(), flush=True)"
ORPHANS = {
    "while-running": f"{IMPORT}run(lambda: ({SAY}, signal.pause()))",
    "while-importing": f"{IMPORT}{SAY}; sys.stdin.read(); run(signal.pause)",
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a child with its parent")
@pytest.mark.parametrize("code", ORPHANS.values(), ids=ORPHANS)
def test_stage_ends_with_its_parent(code: str) -> None:
    parent_code = (
        "import subprocess, sys; "
        f"subprocess.Popen([sys.executable, '-c', {code!r}], stdin=subprocess.PIPE).wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent_code],
        env=ENVIRONMENT,
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


def test_stage_in_a_session_of_its_own_runs() -> None:
    command = [sys.executable, "-c", f"{IMPORT}run(lambda: print('ran'))"]
    said = subprocess.check_output(command, env=ENVIRONMENT, start_new_session=True)
    assert said == b"ran\n"
