"""Fetching over a real TLS connection from mirrors that fail in every way seen in the wild.

The numbers in the names are those of the list of bad inputs that the data path must survive.
"""

import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import certifi
import pytest
from faults import unprivileged
from servers import (
    Answer,
    Authority,
    MirrorServer,
    after,
    chunk_cut,
    chunked,
    damaged,
    drip_body,
    drip_headers,
    drip_redirect,
    encoded,
    endless,
    exchanged,
    half,
    last_chunk_missing,
    length_off_by,
    misnamed,
    page,
    raw,
    redirect,
    reset,
    serving,
    silent,
    stall,
    status,
    tunnel,
    whole,
)

from digits.config import ConfigError
from digits.data import datasets, download, kept
from digits.data.datasets import load_dataset
from digits.data.kept import ForeignFilesError
from digits.data.mirrors import UnreachableError
from digits.paths import RAW_DIR
from pipeline import fetch

ROOT = Path(__file__).parent.parent
NAMES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]
FIRST = NAMES[0]
RAW_NAMES = [name.removesuffix(".gz") for name in NAMES]
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
    synthetic: Path, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return a folder without data, now the current one; only the tests' authority is trusted."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "stage.py").write_text(STAGE.format(folder=str(datasets.DATASETS_DIR)))
    monkeypatch.chdir(folder)
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert sorted(NAMES) == sorted(path.name for path in synthetic.iterdir())
    return folder


@pytest.fixture
def server(synthetic: Path, authority: Authority) -> Iterator[MirrorServer]:
    with serving(MirrorServer(read_files(synthetic), authority.context())) as running:
        yield running


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note the seconds that would be slept, and don't."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_params(*mirrors: str, timeout: float = 20.0, deadline: float = 30.0) -> None:
    write_facts(mirrors=mirrors)
    section = {"timeout_seconds": timeout, "deadline_seconds": deadline}
    Path("params.yaml").write_text(json.dumps({"dataset": "mnist", "fetch": section}))


def write_facts(**changes: object) -> None:
    """Change the dataset's file."""
    path = datasets.DATASETS_DIR / "mnist.yaml"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def fetch_from(*mirrors: str, timeout: float = 20.0, deadline: float = 30.0) -> None:
    write_params(*mirrors, timeout=timeout, deadline=deadline)
    fetch.main()


def start_stage(*arguments: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "stage.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_stage(*arguments: str, before: Sequence[str] = ()) -> tuple[int, str]:
    """Run the stage as a process; return its exit status and what it says on stderr."""
    with start_stage(*arguments, before=before) as process:
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

FAILURES = [
    pytest.param(status(404), "HTTP 404 Not Found", 1, id="44-not-found"),
    pytest.param(status(403), "HTTP 403 Forbidden", 1, id="44-forbidden"),
    pytest.param(status(429, Retry_After="3600"), "HTTP 429 Too Many", 1, id="44-in-an-hour"),
    pytest.param(status(429, Retry_After="0"), "HTTP 429 Too Many", 2, id="44-too-many"),
    pytest.param(status(500, Retry_After="0"), "HTTP 500 Internal", 2, id="44-server-error"),
    pytest.param(status(503, Retry_After="0"), "HTTP 503 Service", 2, id="44-unavailable"),
    pytest.param(status(204), "HTTP 204 No Content", 1, id="44-no-content"),
    pytest.param(page, r"expected \d+ bytes, received \d+: this is an HTML", 1, id="45-html-page"),
    pytest.param(length_off_by(+9), "IncompleteRead", 2, id="46-length-too-large"),
    pytest.param(
        length_off_by(-9), "a whole gzip file, received one cut short", 1, id="46-length-too-small"
    ),
    pytest.param(half, "a whole gzip file, received one cut short", 1, id="47-early-close"),
    pytest.param(reset, BROKEN_OFF, 2, id="48-reset"),
    pytest.param(chunk_cut, "IncompleteRead", 2, id="49-chunk-cut"),
    pytest.param(last_chunk_missing, "IncompleteRead", 2, id="49-last-chunk-missing"),
    pytest.param(drip_redirect, "more than 5 redirects", 6, id="50-redirect-drips"),
    pytest.param(redirect("ftp://127.0.0.1:9/"), "redirected away from https", 1, id="53-to-ftp"),
    pytest.param(redirect("data:,"), "redirected away from https", 1, id="53-to-data"),
    pytest.param(redirect("https://["), "redirected to a malformed URL", 1, id="53-to-nonsense"),
    pytest.param(redirect("https://127.0.0.1:x/"), "malformed", 1, id="53-to-no-port"),
    pytest.param(redirect(""), "more than 5 redirects", 6, id="53-loop"),
    pytest.param(damaged, "expected gzip, received damaged data", 1, id="56-damaged"),
    pytest.param(exchanged, "expected SHA-256", 1, id="56-wrong-digest"),
    pytest.param(misnamed, r"expected \d+ bytes, received", 1, id="56-another-file"),
]


@pytest.mark.parametrize(("answer", "reason", "asked"), FAILURES)
def test_next_mirror(
    server: MirrorServer,
    capsys: pytest.CaptureFixture[str],
    answer: Answer,
    reason: str,
    asked: int,
) -> None:
    bad, good = server.mirror(answer), server.mirror(whole)
    fetch_from(bad, good)
    assert_fetched()
    assert re.search(f"WARNING: {re.escape(bad)}: .*{reason}", capsys.readouterr().err)
    # Asked again at once or not at all, and never for the other files: the next mirror had them.
    assert [request.path.rpartition("/")[2] for request in server.asked(bad)] == [FIRST] * asked


@pytest.mark.parametrize("answer", [drip_body, drip_headers], ids=["50-body", "50-headers"])
def test_dripping_mirror(
    server: MirrorServer, synthetic: Path, capsys: pytest.CaptureFixture[str], answer: Answer
) -> None:
    bad = server.mirror(answer)
    fetch_from(bad, str(synthetic), deadline=0.6)
    assert_fetched()
    assert f"WARNING: {bad}: no whole answer within 0.6 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer", [silent, stall(threading.Event())], ids=["51-never-answers", "51-falls-silent"]
)
def test_silent_mirror(
    server: MirrorServer, synthetic: Path, capsys: pytest.CaptureFixture[str], answer: Answer
) -> None:
    bad = server.mirror(answer)
    fetch_from(bad, str(synthetic), timeout=0.5)
    assert_fetched()
    assert f"WARNING: {bad}: silent for 0.5 s" in capsys.readouterr().err
    assert len(server.asked(bad)) == 2


@pytest.mark.parametrize(
    ("timeout", "deadline", "reason"),
    [
        pytest.param(0.2, 20.0, "silent for 0.2 s", id="51-timeout"),
        pytest.param(
            20.0,
            0.6,
            "no whole answer within 0.6 s",
            id="51-deadline",
            # Python leaves the socket of a handshake broken off to the garbage collector.
            marks=pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning"),
        ),
    ],
)
def test_mute_port(
    synthetic: Path,
    capsys: pytest.CaptureFixture[str],
    timeout: float,
    deadline: float,
    reason: str,
) -> None:
    """A port that takes connections and never says a word, not even to agree on encryption."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        bad = f"https://127.0.0.1:{mute.getsockname()[1]}/"
        fetch_from(bad, str(synthetic), timeout=timeout, deadline=deadline)
    assert_fetched()
    assert f"WARNING: {bad}: {reason}" in capsys.readouterr().err


def test_closed_port(synthetic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        bad = f"https://127.0.0.1:{closed.getsockname()[1]}/"
    fetch_from(bad, str(synthetic))
    assert_fetched()
    assert re.search(f"WARNING: {bad}: .*Connection refused", capsys.readouterr().err)


def test_52_endless_body(server: MirrorServer, capsys: pytest.CaptureFixture[str]) -> None:
    bad = server.mirror(endless)
    fetch_from(bad, server.mirror(whole))
    assert_fetched()
    file = load_dataset("mnist").train_images
    expected = f"expected {file.raw_size} bytes unpacked, at most {file.largest_size} packed"
    assert f"WARNING: {bad}: {FIRST[:-3]}: {expected}, received more" in capsys.readouterr().err


# Asked again


def test_44_passing_failure(server: MirrorServer, capsys: pytest.CaptureFixture[str]) -> None:
    mirror = server.mirror(status(503, Retry_After="0"), whole)
    fetch_from(mirror)
    assert_fetched()
    assert len(server.asked(mirror)) == 5
    assert "WARNING" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wish", "slept"),
    [("3", [3.0]), ("11", []), ("Fri, 31 Dec 1999 23:59:59 GMT", [1.0]), ("-5", [1.0])],
    ids=["44-seconds", "44-too-long", "44-date", "44-nonsense"],
)
def test_retry_after(
    server: MirrorServer, synthetic: Path, naps: list[float], wish: str, slept: list[float]
) -> None:
    fetch_from(server.mirror(status(429, Retry_After=wish), whole), str(synthetic))
    assert_fetched()
    assert naps == slept


def test_44_no_wait_beyond_the_deadline(
    server: MirrorServer, synthetic: Path, naps: list[float]
) -> None:
    fetch_from(server.mirror(status(503, Retry_After="3")), str(synthetic), deadline=2.0)
    assert_fetched()
    assert naps == []


def test_44_reason_is_the_second_failure(
    server: MirrorServer, synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = server.mirror(status(503, Retry_After="0"), reset)
    fetch_from(bad, str(synthetic))
    assert re.search(f"WARNING: {bad}: .*{BROKEN_OFF}", capsys.readouterr().err)


# Encodings and redirects


@pytest.mark.parametrize("answer", [encoded, chunked], ids=["54-content-encoding", "49-chunked"])
def test_good_transfer(server: MirrorServer, answer: Answer) -> None:
    mirror = server.mirror(answer)
    fetch_from(mirror)
    assert_fetched()
    assert {request.headers["Accept-Encoding"] for request in server.requests} == {"identity"}
    assert [request.path for request in server.requests] == [
        mirror.removeprefix(server.url) + name for name in NAMES
    ]


def test_23_unpacked_on_the_way(server: MirrorServer) -> None:
    fetch_from(server.mirror(raw))
    assert_fetched()


@pytest.mark.parametrize(("hops", "arrives"), [(5, True), (6, False)], ids=["53-five", "53-six"])
def test_redirects_within_https(
    server: MirrorServer, synthetic: Path, *, hops: int, arrives: bool
) -> None:
    good = mirror = server.mirror(whole)
    for _ in range(hops):
        mirror = server.mirror(redirect(mirror))
    fetch_from(mirror, str(synthetic))
    assert_fetched()
    assert bool(server.asked(good)) == arrives


def test_53_endless_body_of_a_redirect(server: MirrorServer) -> None:
    fetch_from(server.mirror(redirect(server.mirror(whole), endlessly=True)))
    assert_fetched()


def test_53_redirect_to_plain_http(
    server: MirrorServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(MirrorServer(server.files)) as plain:
        bad = server.mirror(redirect(plain.mirror(whole)))
        fetch_from(bad, server.mirror(whole))
        assert plain.requests == []
    assert_fetched()
    assert f"WARNING: {bad}: redirected away from https" in capsys.readouterr().err


def test_53_redirect_to_a_file(
    server: MirrorServer, synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = server.mirror(redirect(f"{synthetic.as_uri()}/"))
    with pytest.raises(UnreachableError):
        fetch_from(bad)
    assert f"WARNING: {bad}: redirected away from https" in capsys.readouterr().err


# Certificates


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        pytest.param({"self_signed": True}, "self-signed certificate", id="55-self-signed"),
        pytest.param({"days": -1}, "certificate has expired", id="55-expired"),
        pytest.param({"host": "127.0.0.2"}, "certificate is not valid for", id="55-another-host"),
    ],
)
def test_untrusted_certificate(
    server: MirrorServer,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
    certificate: dict[str, Any],
    reason: str,
) -> None:
    context = authority.context(**certificate)
    with serving(MirrorServer(server.files, context)) as untrusted:
        bad = untrusted.mirror(whole)
        fetch_from(bad, server.mirror(whole))
        assert untrusted.requests == []
    assert_fetched()
    assert re.search(f"WARNING: {bad}: no trusted TLS .*{reason}", capsys.readouterr().err)


def test_55_no_encryption_at_all(server: MirrorServer, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(MirrorServer(server.files)) as plain:
        bad = plain.mirror(whole).replace("http:", "https:")
        fetch_from(bad, server.mirror(whole))
        assert plain.requests == []
    assert_fetched()
    assert f"WARNING: {bad}: no trusted TLS connection" in capsys.readouterr().err


@pytest.fixture
def only_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the system's certificates and certifi's only, not the tests' authority."""
    for name in download.CERTIFICATE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("only_system")
def test_unknown_authority_names_the_way_out(server: MirrorServer) -> None:
    with pytest.raises(UnreachableError, match=r"set SSL_CERT_FILE to .*docs/troubleshooting\.md"):
        fetch_from(server.mirror(whole))
    assert server.requests == []


def test_bundle_without_the_authority_is_named(
    server: MirrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is all that is trusted: SSL_CERT_FILE, which has the authority, does not count then."""
    monkeypatch.setenv("SSL_CERT_FILE", os.environ["REQUESTS_CA_BUNDLE"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    with pytest.raises(UnreachableError, match="set REQUESTS_CA_BUNDLE to "):
        fetch_from(server.mirror(whole))


@pytest.mark.usefixtures("only_system")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificate_file(
    server: MirrorServer, authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(authority.bundle))
    fetch_from(server.mirror(whole))
    assert_fetched()


@pytest.mark.usefixtures("only_system")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"])
def test_certificate_folder(
    server: MirrorServer,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(authority.bundle)]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    shutil.copy(authority.bundle, folder / f"{name}.0")
    monkeypatch.setenv(variable, str(folder))
    fetch_from(server.mirror(whole))
    assert_fetched()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("REQUESTS_CA_BUNDLE", "absent.pem", id="requests-absent"),
        pytest.param("CURL_CA_BUNDLE", "params.yaml", id="curl-no-certificate"),
        pytest.param("SSL_CERT_FILE", "absent.pem", id="file-absent"),
        pytest.param("SSL_CERT_FILE", "params.yaml", id="file-no-certificate"),
        pytest.param("SSL_CERT_FILE", ".", id="file-a-folder"),
        pytest.param("SSL_CERT_DIR", "absent", id="folder-absent"),
        pytest.param("SSL_CERT_DIR", ".", id="folder-not-hashed"),
    ],
)
@pytest.mark.usefixtures("only_system")
def test_bad_certificate_variable(
    server: MirrorServer, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    write_params(server.mirror(whole))
    exit_status, said = run_stage()
    assert exit_status == 1
    assert re.fullmatch(rf"ERROR: {variable}: expected a .*received {re.escape(value)}.*\n", said)
    assert server.requests == []


# No mirror is left


def test_56_all_mirrors_wrong(server: MirrorServer, synthetic: Path) -> None:
    for name in NAMES:
        (synthetic / name).write_bytes(b"junk")
    lost, wrong = server.mirror(status(404)), server.mirror(damaged)
    with pytest.raises(UnreachableError) as raised:
        fetch_from("absent", str(synthetic), lost, wrong)
    first, *reasons, way, other_way = str(raised.value).splitlines()
    assert first == f"mnist: no mirror gave {RAW_NAMES[0]}"
    assert reasons[0] == "  absent: no such folder"
    assert reasons[1].startswith(f"  {synthetic}: {FIRST}: {RAW_NAMES[0]}: expected")
    assert reasons[2] == f"  {lost}: HTTP 404 Not Found"
    assert reasons[3].startswith(f"  {wrong}: {RAW_NAMES[0]}: expected ")
    assert len(reasons) == 4
    assert way.startswith(f"Put its four files into data/raw ({RAW_NAMES[0]}, {RAW_NAMES[1]}, ")
    assert "dvc exp run -S dataset=optdigits" in other_way
    assert_nothing_fetched()


def test_56_last_file_missing(server: MirrorServer) -> None:
    mirror = server.mirror(whole, whole, whole, status(404))
    with pytest.raises(
        UnreachableError, match=f"no mirror gave {RAW_NAMES[3]}\n  {mirror}: HTTP 404"
    ):
        fetch_from(mirror)
    assert_nothing_fetched()


def test_56_no_mirror_listed() -> None:
    with pytest.raises(UnreachableError, match=r"\n  none is listed\nPut its four"):
        fetch_from()


def test_56_exit_status(server: MirrorServer) -> None:
    write_params("absent", server.mirror(status(404)))
    exit_status, said = run_stage()
    assert exit_status == 69
    assert said.count("ERROR: mnist: no mirror gave") == 1
    assert "Traceback" not in said
    assert_nothing_fetched()


# Files in place


def unpack_all(packed: Path, folder: Path) -> None:
    """Put the four files into a folder as they are stored."""
    folder.mkdir(parents=True)
    for path in packed.iterdir():
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))


def test_58_good_files_need_no_mirror(
    server: MirrorServer, synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unpack_all(synthetic, RAW_DIR)
    before = {path: path.stat().st_ino for path in RAW_DIR.iterdir()}
    fetch_from(server.mirror(whole))
    assert_fetched()
    assert server.requests == []
    assert {path: path.stat().st_ino for path in RAW_DIR.iterdir()} == before
    assert capsys.readouterr().out.count(": data/raw/") == 4


def test_missing_file_alone_is_fetched(server: MirrorServer, synthetic: Path) -> None:
    unpack_all(synthetic, RAW_DIR)
    (RAW_DIR / RAW_NAMES[1]).unlink()
    fetch_from(server.mirror(whole))
    assert_fetched()
    assert [request.path.rpartition("/")[2] for request in server.requests] == [NAMES[1]]


def test_57_stale_partial_file(server: MirrorServer) -> None:
    RAW_DIR.mkdir(parents=True)
    stale = RAW_DIR / f".{FIRST}.0123abcd.tmp"
    stale.write_bytes(server.files[FIRST][:100])
    fetch_from(server.mirror(whole))
    assert stale.read_bytes() == server.files[FIRST][:100]
    stale.unlink()
    assert_fetched()


def test_59_two_at_once(server: MirrorServer) -> None:
    both_ask = after(threading.Barrier(2), whole)
    write_params(server.mirror(both_ask, both_ask, whole))
    with start_stage() as one, start_stage() as other:
        said = [process.communicate(timeout=60) for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], said
    # Both asked for the first file; a slower one may then find the others there.
    assert 5 <= len(server.requests) <= 8
    assert_fetched()


def test_62_killed_while_downloading(server: MirrorServer) -> None:
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


# What may stand where the files go


@pytest.mark.parametrize("own", [False, True], ids=["60-other", "60-own"])
def test_link_into_a_cache(
    project: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch, *, own: bool
) -> None:
    packed = (synthetic / FIRST).read_bytes()
    content = gzip.decompress(packed) if own else b"of another dataset"
    name = md5(content, usedforsecurity=False).hexdigest()
    cached = project / "cache" / name[:2] / name[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    monkeypatch.setattr(kept, "find_cache_dir", lambda: project / "cache")
    RAW_DIR.mkdir(parents=True)
    (RAW_DIR / RAW_NAMES[0]).symlink_to(cached)
    fetch_from(str(synthetic))
    assert_fetched()
    assert (RAW_DIR / RAW_NAMES[0]).is_symlink() == own
    assert cached.read_bytes() == content


def test_60_dangling_link(project: Path, synthetic: Path) -> None:
    RAW_DIR.mkdir(parents=True)
    (RAW_DIR / RAW_NAMES[0]).symlink_to(project / "gone")
    with pytest.raises(ForeignFilesError, match=rf"received data/raw/{RAW_NAMES[0]}, which DVC's"):
        fetch_from(str(synthetic))
    assert (RAW_DIR / RAW_NAMES[0]).is_symlink()
    assert not (project / "gone").exists()


def file_for_the_folder() -> None:
    RAW_DIR.parent.mkdir()
    RAW_DIR.write_text("")


def read_only_folder() -> None:
    RAW_DIR.mkdir(parents=True)
    RAW_DIR.chmod(0o555)


@pytest.mark.parametrize(
    ("arrange", "reason"),
    [
        pytest.param(file_for_the_folder, "File exists", id="60-file-for-the-folder"),
        pytest.param(read_only_folder, "Permission denied", id="60-read-only-folder"),
    ],
)
def test_target_in_the_way(synthetic: Path, arrange: Callable[[], None], reason: str) -> None:
    arrange()
    write_params(str(synthetic))
    exit_status, said = run_stage(before=unprivileged())
    assert exit_status == 1
    assert re.fullmatch(rf"ERROR: .*{reason}.*{RAW_DIR}.*\n", said)
    assert not list(RAW_DIR.glob(".*.tmp"))


def test_60_full_disk(synthetic: Path) -> None:
    write_params(str(synthetic))
    exit_status, said = run_stage("1000")  # bytes a file may have
    assert exit_status == 1
    assert re.fullmatch(rf"ERROR: .*File too large: '{RAW_DIR / RAW_NAMES[0]}'\n", said)
    assert_nothing_fetched()
    fetch.main()
    assert_fetched()


# Without digests


def drop_digests() -> None:
    path = datasets.DATASETS_DIR / "mnist.yaml"
    facts = json.loads(path.read_text())
    named = {
        key: {"name": value["name"]} for key, value in facts.items() if isinstance(value, dict)
    }
    write_facts(**named)


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


@pytest.mark.parametrize("answer", [page, damaged, half], ids=["page", "damaged", "half"])
def test_content_without_a_digest_is_looked_at(
    server: MirrorServer, synthetic: Path, capsys: pytest.CaptureFixture[str], answer: Answer
) -> None:
    drop_digests()
    bad = server.mirror(answer)
    fetch_from(bad, str(synthetic))
    assert f"WARNING: {bad}: {FIRST[:-3]}" in capsys.readouterr().err
    assert sorted(path.name for path in RAW_DIR.iterdir()) == sorted(RAW_NAMES)


# Mirror entries


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("http://127.0.0.1:9/", id="61-plain-http"),
        pytest.param("ftp://127.0.0.1:9/", id="61-ftp"),
        pytest.param("file:///srv/mnist/", id="61-file"),
        pytest.param("https:///mnist/", id="61-no-host"),
        pytest.param("https://[/", id="61-half-an-address"),
        pytest.param("https://user@127.0.0.1:9/", id="61-user"),
        pytest.param("https://user:word@127.0.0.1:9/", id="61-user-and-password"),
        pytest.param("https://@127.0.0.1:9/", id="61-empty-user"),
        pytest.param("https://127.0.0.1:9/?file=", id="61-query"),
        pytest.param("https://127.0.0.1:9/?", id="61-empty-query"),
        pytest.param("https://127.0.0.1:9/#top", id="61-fragment"),
        pytest.param("https://127.0.0.1:9/#", id="61-empty-fragment"),
    ],
)
def test_refused_mirror(server: MirrorServer, entry: str) -> None:
    with pytest.raises(ConfigError, match=r"mnist\.yaml: mirrors\.1: expected .*received "):
        fetch_from(server.mirror(whole), entry)
    assert server.requests == []
    assert_nothing_fetched()


@pytest.mark.parametrize("way", ["x/../", "x/%2e%2e/", "../", "/"], ids="61-{}".format)
def test_winding_mirror(server: MirrorServer, project: Path, synthetic: Path, way: str) -> None:
    """However an address winds, files land under our own names in our own folder."""
    fetch_from(f"{server.mirror(status(404))}{way}", str(synthetic))
    assert_fetched()
    assert sorted(path.name for path in project.iterdir()) == ["data", "params.yaml", "stage.py"]


def test_endless_patience_is_refused() -> None:
    with pytest.raises(ConfigError, match="deadline_seconds: expected less than or equal to 86400"):
        fetch_from(deadline=1e30)


# Local folders


def test_63_local_folder(
    server: MirrorServer, synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch_from(f"../{synthetic.name}", server.mirror(whole))
    assert_fetched()
    assert server.requests == []
    assert capsys.readouterr().err == ""


def test_63_absent_folder_is_fine(server: MirrorServer, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_from("../nowhere", server.mirror(whole))
    assert_fetched()
    assert "WARNING" not in capsys.readouterr().err


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(remove, f"no {RAW_NAMES[0]} in this folder, which", id="63-missing"),
        pytest.param(damage, f"{FIRST}: {RAW_NAMES[0]}: expected gzip", id="63-damaged"),
        pytest.param(replace_by_folder, f"no {RAW_NAMES[0]} in this folder", id="63-a-folder"),
        pytest.param(replace_by_pipe, f"no {RAW_NAMES[0]} in this folder", id="63-a-pipe"),
    ],
)
def test_bad_local_folder(
    synthetic: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], reason: str
) -> None:
    shutil.copytree(synthetic, "copy")
    spoil(Path("copy") / FIRST)
    fetch_from("copy", str(synthetic), deadline=0.6)
    assert_fetched()
    assert f"WARNING: copy: {reason}" in capsys.readouterr().err


def test_63_folder_is_a_file(synthetic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_from("params.yaml", str(synthetic))
    assert_fetched()
    assert "WARNING: params.yaml: params.yaml: File is not a zip file" in capsys.readouterr().err


# Proxies


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_64_proxy(
    scheme: str,
    server: MirrorServer,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No server has the mirror's port: the files come through the proxy or not at all."""
    mirror = server.mirror(whole).replace(f":{server.server_port}/", ":9/")
    with serving(MirrorServer({}, authority.context() if scheme == "https" else None)) as proxy:
        address = proxy.proxy(tunnel(server))
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:{SECRET}@{address}")
        fetch_from(mirror)
    assert_fetched()
    asked = {(request.method, request.path) for request in proxy.requests}
    assert asked == {("CONNECT", "127.0.0.1:9")}
    assert all("Proxy-Authorization" in request.headers for request in proxy.requests)
    assert SECRET not in "".join(capsys.readouterr())


@pytest.mark.usefixtures("only_system")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_64_proxy_of_an_organization(
    variable: str, server: MirrorServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate, and that of what it answers for, are signed by the organization itself."""
    mirror = server.mirror(whole)
    with serving(MirrorServer({}, authority.context())) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://{proxy.proxy(tunnel(server))}")
        with pytest.raises(UnreachableError, match=r"verify failed.*set SSL_CERT_FILE"):
            fetch_from(mirror)
        monkeypatch.setenv(variable, str(authority.bundle))
        fetch_from(mirror)
    assert_fetched()


def test_64_no_proxy(server: MirrorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(MirrorServer({})) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        fetch_from(server.mirror(whole))
        assert proxy.requests == []
    assert_fetched()


def test_64_proxy_refuses(
    server: MirrorServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(MirrorServer({})) as proxy:
        address = proxy.proxy(status(407))
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@{address}")
        reason = rf"proxy http://\*\*\*@{address} \(Tunnel connection failed: 407"
        with pytest.raises(UnreachableError, match=reason) as raised:
            fetch_from(server.mirror(whole))
    assert server.requests == []
    assert SECRET not in str(raised.value) + "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        pytest.param(
            "http://user:{}@127.0.0.1:9", r"proxy http://\*\*\*@127.0.0.1:9 .*refused", id="64-down"
        ),
        pytest.param("http://user:{}@127.0.0.1:99999", "proxy is malformed", id="64-port"),
        pytest.param("http://user:{}/word@127.0.0.1:9", "proxy is malformed", id="64-slash"),
        pytest.param("http://user:{}#word@127.0.0.1:9", "proxy is malformed", id="64-hash"),
        pytest.param("user:{}@127.0.0.1:9", "proxy is malformed", id="64-no-scheme"),
        pytest.param("ftp://user:{}@127.0.0.1:9", "proxy is malformed", id="64-scheme"),
        pytest.param(
            "socks5://user:{}@127.0.0.1:9",
            r"proxy socks5://\*\*\*@.*(SOCKS|refused)",
            id="64-socks",
        ),
    ],
)
def test_useless_proxy(
    server: MirrorServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    address: str,
    reason: str,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address.format(SECRET))
    with pytest.raises(UnreachableError, match=reason) as raised:
        fetch_from(server.mirror(whole))
    said = str(raised.value) + "".join(capsys.readouterr())
    assert SECRET not in said
    assert "redirected" not in said
    assert server.requests == []
