"""Fetching over a real TLS connection from mirrors that fail in every way seen in the wild."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from layouts import NAMES, change_facts, drop_digests, unpack_all
from servers import (
    Answer,
    Authority,
    MirrorServer,
    after,
    chunk_cut,
    chunked,
    damaged,
    drip_body,
    encoded,
    endless,
    exchanged,
    half,
    length_off_by,
    page,
    raw,
    redirect,
    reset,
    serving,
    stall,
    status,
    tunnel,
    whole,
)

from digits.data import datasets
from digits.data.datasets import load_dataset
from digits.data.finding import UnreachableError
from digits.paths import RAW_DIR
from pipeline import fetch

CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
PassedOver = Callable[..., None]
SECRET = "hunter2"  # noqa: S105

# A process of its own that knows the small dataset; the real one has other digests.
STAGE = """
import resource, sys
from pathlib import Path
from digits.data import datasets
from digits.stage import run
from pipeline import fetch

if len(sys.argv) > 1:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
datasets.DATASETS_DIR = Path({folder!r})
run(fetch.main)
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def project(
    synthetic: Path,  # noqa: ARG001 (the files of `dataset: mnist`)
    tmp_path: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Return a folder without data, now the current one; only the tests' authority is trusted."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "stage.py").write_text(STAGE.format(folder=str(datasets.DATASETS_DIR)))
    monkeypatch.chdir(folder)
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in CERTIFICATE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder


@pytest.fixture
def server(synthetic: Path, authority: Authority) -> Iterator[MirrorServer]:
    with serving(MirrorServer(read_files(synthetic), authority.context())) as running:
        yield running


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_params(*mirrors: str, timeout: float = 20.0, deadline: float = 30.0) -> None:
    change_facts(mirrors=mirrors)
    section = {"timeout_seconds": timeout, "deadline_seconds": deadline}
    Path("params.yaml").write_text(json.dumps({"dataset": "mnist", "fetch": section}))


def fetch_from(*mirrors: str, timeout: float = 20.0, deadline: float = 30.0) -> None:
    write_params(*mirrors, timeout=timeout, deadline=deadline)
    fetch.main()


def start_stage(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "stage.py", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def run_stage(*arguments: str) -> tuple[int, str]:
    """Run the stage as a process; return its exit status and what it says on stderr."""
    with start_stage(*arguments) as process:
        _, said = process.communicate(timeout=60)
    return process.returncode, said


def assert_fetched() -> None:
    """Check that the four files are there, and nothing but them."""
    digests = {name: sha256(data).hexdigest() for name, data in read_files(RAW_DIR).items()}
    assert digests == {file.name: file.raw_sha256 for file in load_dataset("mnist").files}


def assert_nothing_fetched() -> None:
    assert not RAW_DIR.exists() or list(RAW_DIR.iterdir()) == []


# A mirror fails: why is said, and the next one is asked

BROKEN_OFF = "(IncompleteRead|Connection reset by peer)"  # which, depends on Python and OpenSSL

# What a mirror answers, what is said of it, and how often it is asked.
FAILURES: dict[str, tuple[Answer, str, int]] = {
    "not-found": (status(404), "HTTP 404 Not Found", 1),
    "unavailable": (status(503), "HTTP 503 Service", 2),
    "html-page": (page, r"expected \d+ bytes, received \d+: this is an HTML", 1),
    "length-too-small": (length_off_by(-9), "damaged gzip .*ended before", 1),
    "reset": (reset, BROKEN_OFF, 2),
    "chunk-cut": (chunk_cut, "IncompleteRead", 2),
    "endless-body": (endless, r"expected \d+ bytes, received \d+", 1),
    "to-http": (redirect("http://127.0.0.1:9/"), "redirected away from https", 1),
    "to-nonsense": (redirect("https://["), "malformed address", 1),
    "damaged": (damaged, "damaged gzip", 1),
    "wrong-digest": (exchanged, "expected SHA-256", 1),
}


@pytest.fixture
def passed_over(server: MirrorServer, capsys: pytest.CaptureFixture[str]) -> PassedOver:
    """Return a check that a mirror's failure is a warning, and that the next one is asked."""

    def check(bad: str, reason: str, timeout: float = 20.0, deadline: float = 30.0) -> None:
        fetch_from(bad, server.mirror(whole), timeout=timeout, deadline=deadline)
        assert_fetched()
        assert re.search(f"WARNING: {re.escape(bad)}: .*{reason}", capsys.readouterr().err)

    return check


@pytest.mark.parametrize(("answer", "reason", "asked"), FAILURES.values(), ids=FAILURES)
def test_next_mirror(
    server: MirrorServer, passed_over: PassedOver, answer: Answer, reason: str, asked: int
) -> None:
    bad = server.mirror(answer)
    passed_over(bad, reason)
    # Asked again at once or not at all, and never for the other files: the next mirror had them.
    assert [it.path.rpartition("/")[2] for it in server.asked(bad)] == [f"{NAMES[0]}.gz"] * asked


def test_dripping_mirror(server: MirrorServer, passed_over: PassedOver) -> None:
    passed_over(server.mirror(drip_body), "not done within 0.6 s", deadline=0.6)


def test_mirror_that_falls_silent_or_is_closed(
    server: MirrorServer, passed_over: PassedOver
) -> None:
    passed_over(server.mirror(stall(threading.Event())), "timed out", timeout=0.3)
    shutil.rmtree(RAW_DIR)
    passed_over("https://127.0.0.1:9/", "Connection refused")


def test_passing_failure_is_asked_again(
    server: MirrorServer, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = server.mirror(reset, whole)
    fetch_from(mirror)
    assert_fetched()
    assert len(server.asked(mirror)) == 5
    assert "WARNING" not in capsys.readouterr().err


# Encodings and redirects


@pytest.mark.parametrize(
    "answer", [encoded, chunked, raw], ids=["content-encoding", "chunked", "unpacked"]
)
def test_good_transfer(server: MirrorServer, answer: Answer) -> None:
    mirror = server.mirror(answer)
    fetch_from(mirror)
    assert_fetched()
    assert {request.headers["Accept-Encoding"] for request in server.requests} == {"identity"}
    folder = mirror.removeprefix(server.url)
    assert [it.path for it in server.requests] == [f"{folder}{name}.gz" for name in NAMES]


@pytest.mark.parametrize(("hops", "arrives"), [(5, True), (6, False)], ids=["five", "six"])
def test_redirects_within_https(server: MirrorServer, *, hops: int, arrives: bool) -> None:
    good = mirror = server.mirror(whole)
    for _ in range(hops):
        mirror = server.mirror(redirect(mirror))
    fetch_from(mirror, server.mirror(whole))
    assert_fetched()
    assert bool(server.asked(good)) == arrives


def test_redirect_to_plain_http_is_not_asked(server: MirrorServer, passed_over: PassedOver) -> None:
    with serving(MirrorServer(server.files)) as plain:
        passed_over(server.mirror(redirect(plain.mirror(whole))), "redirected away from https")
        assert plain.requests == []


# Certificates


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"self_signed": True}, "self-signed certificate"),
        ({"host": "127.0.0.2"}, "certificate is not valid for"),
    ],
)
def test_untrusted_certificate(
    server: MirrorServer,
    authority: Authority,
    passed_over: PassedOver,
    facts: dict[str, Any],
    reason: str,
) -> None:
    with serving(MirrorServer(server.files, authority.context(**facts))) as untrusted:
        passed_over(untrusted.mirror(whole), reason)
        assert untrusted.requests == []


@pytest.mark.parametrize("variable", CERTIFICATE_VARIABLES)
def test_certificates_of_an_organization(
    server: MirrorServer, authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_from(server.mirror(whole))
    assert server.requests == []
    monkeypatch.setenv(variable, str(authority.bundle))
    fetch_from(server.mirror(whole))
    assert_fetched()


# No mirror is left


def test_all_mirrors_wrong(server: MirrorServer) -> None:
    Path("wrong").mkdir()
    Path("wrong", NAMES[2]).write_bytes(b"junk")
    lost, wrong = server.mirror(status(404)), server.mirror(damaged)
    with pytest.raises(UnreachableError) as raised:
        fetch_from("absent", "wrong", lost, wrong)
    first, *reasons, way, other_way = str(raised.value).splitlines()
    assert first == f"mnist: no mirror gave {NAMES[0]}"
    absent, local, *others = reasons
    assert absent == "  absent: no such folder"
    assert local.startswith(f"  wrong/{NAMES[2]}: {NAMES[2]}: expected")
    assert others[0] == f"  {lost}: HTTP 404 Not Found"
    assert others[1].startswith(f"  {wrong}: {NAMES[0]}: damaged gzip")
    assert way.startswith(f"Put its four files into data/raw ({NAMES[0]}, {NAMES[1]}, ")
    assert "dvc exp run -S dataset=optdigits" in other_way
    assert_nothing_fetched()


def test_last_file_missing(server: MirrorServer) -> None:
    mirror = server.mirror(whole, whole, whole, status(404))
    write_params(mirror)
    exit_status, said = run_stage()
    assert exit_status == 69
    lines = f"ERROR: mnist: no mirror gave {NAMES[3]}\n  {mirror}: HTTP 404 Not Found\nPut its four"
    assert said.count(lines) == 1
    assert "Traceback" not in said
    assert_nothing_fetched()


# Files in place


def test_good_files_need_no_mirror(server: MirrorServer) -> None:
    mirror = server.mirror(whole)
    fetch_from(mirror)
    before = {path: path.stat().st_ino for path in RAW_DIR.iterdir()}
    fetch_from(mirror)
    assert len(server.requests) == 4
    assert {path: path.stat().st_ino for path in RAW_DIR.iterdir()} == before


def test_two_at_once(server: MirrorServer) -> None:
    both_ask = after(threading.Barrier(2), whole)
    write_params(server.mirror(both_ask, both_ask, whole))
    with start_stage() as one, start_stage() as other:
        said = [process.communicate(timeout=60) for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], said
    # Both asked for the first file; a slower one may then find the others there.
    assert 5 <= len(server.requests) <= 8
    assert_fetched()


def test_killed_while_downloading(server: MirrorServer) -> None:
    begun = threading.Event()
    mirror = server.mirror(whole, stall(begun), whole)
    write_params(mirror)
    with start_stage() as process:
        assert begun.wait(60)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert_nothing_fetched()
    fetch.main()
    assert_fetched()


def test_folder_that_is_a_file(synthetic: Path) -> None:
    RAW_DIR.parent.mkdir()
    RAW_DIR.touch()
    write_params(str(synthetic))
    exit_status, said = run_stage()
    assert exit_status == os.EX_IOERR
    assert re.fullmatch(rf"ERROR: .*File exists.*{RAW_DIR}.*\n", said)


def test_full_disk(synthetic: Path) -> None:
    write_params(str(synthetic))
    exit_status, said = run_stage("1000")  # bytes a file may have
    assert exit_status == os.EX_IOERR
    assert re.fullmatch(rf"ERROR: .*File too large: '{RAW_DIR / NAMES[0]}'\n", said)
    assert_nothing_fetched()
    fetch.main()
    assert_fetched()


# Without digests


def test_content_without_a_digest_is_taken_and_described(
    synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = load_dataset("mnist").files
    drop_digests()
    fetch_from(str(synthetic))
    said = capsys.readouterr().err
    for file in files:
        assert (
            f"WARNING: {file.name}: no digest in datasets/ says what must be in it; "
            f"received raw_size: {file.raw_size}, raw_sha256: {file.raw_sha256}\n"
        ) in said
    assert {path.name for path in RAW_DIR.iterdir()} == {file.name for file in files}


def test_content_without_a_digest_is_looked_at(server: MirrorServer, synthetic: Path) -> None:
    drop_digests()
    fetch_from(server.mirror(page), server.mirror(half), server.mirror(whole))
    assert read_files(RAW_DIR) == unpack_all(synthetic)


# Local folders


def test_local_folders(
    server: MirrorServer, synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They come before addresses, and may be absent."""
    fetch_from(server.mirror(whole), "../nowhere", f"../{synthetic.name}")
    assert_fetched()
    assert server.requests == []
    assert capsys.readouterr().err == ""


# Proxies


def test_proxy(
    server: MirrorServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No server has the mirror's port: the files come through the proxy or not at all."""
    mirror = server.mirror(whole).replace(f":{server.server_port}/", ":9/")
    with serving(MirrorServer({})) as proxy:
        address = proxy.proxy(tunnel(server))
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@{address}")
        fetch_from(mirror)
    assert_fetched()
    assert {(it.method, it.path) for it in proxy.requests} == {("CONNECT", "127.0.0.1:9")}
    assert all("Proxy-Authorization" in request.headers for request in proxy.requests)
    assert SECRET not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://user:{}@127.0.0.1:9", "refused"),
        ("http://user:{}/word@127.0.0.1:9", "malformed"),
    ],
)
def test_useless_proxy_tells_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str, reason: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address.format(SECRET))
    with pytest.raises(UnreachableError, match=reason) as raised:
        fetch_from("https://127.0.0.1:9/")
    assert SECRET not in str(raised.value) + "".join(capsys.readouterr())
