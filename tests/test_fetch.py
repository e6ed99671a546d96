"""Fetching over a real TLS connection from mirrors that fail in every way seen in the wild."""

import json
import os
import re
import ssl
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import servers
from layouts import NAMES, change_facts, drop_digests
from servers import Answer, MirrorServer, certify, serving

from digits.data.datasets import load_dataset
from digits.data.finding import UnreachableError
from digits.paths import RAW_DIR
from pipeline import fetch

CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
Certified = tuple[ssl.SSLContext, Path]  # a server's context, and what a client is to trust
SECRET = "hunter2"  # noqa: S105


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certify(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def _trusting(bare_project: None, certified: Certified, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 (its folder)
    """Let only the tests' server be trusted, and no proxy be asked."""
    for name in (*os.environ, *CERTIFICATE_VARIABLES):
        if name.lower().endswith("_proxy") or name in CERTIFICATE_VARIABLES:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certified[1]))


@pytest.fixture
def server(synthetic: Path, certified: Certified) -> Iterator[MirrorServer]:
    with serving(MirrorServer(read_files(synthetic), certified[0])) as running:
        yield running


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fetch_from(*mirrors: str, timeout: float = 20.0, deadline: float = 30.0) -> None:
    change_facts(mirrors=mirrors)
    section = {"timeout_seconds": timeout, "deadline_seconds": deadline}
    Path("params.yaml").write_text(json.dumps({"dataset": "mnist", "fetch": section}))
    fetch.main()


def assert_fetched() -> None:
    """Check that the four files are there, and nothing but them."""
    digests = {name: sha256(data).hexdigest() for name, data in read_files(RAW_DIR).items()}
    assert digests == {file.name: file.raw_sha256 for file in load_dataset("mnist").files}


# A mirror fails: why is said, and the next one is asked

BROKEN_OFF = "(IncompleteRead|Connection reset by peer)"  # which, depends on Python and OpenSSL
SIZE = r"expected \d+ bytes, received \d+"

# What a mirror answers, what is said of it, how often it is asked, and the limits of time.
FAILURES: dict[str, tuple[Answer, str, int, dict[str, float]]] = {
    "not-found": (servers.lost, "HTTP 404 Not Found", 1, {}),
    "html-page": (servers.page, f"{SIZE}: this is an HTML", 1, {}),
    "reset": (servers.reset, BROKEN_OFF, 2, {}),
    "endless-body": (servers.send_without_end, SIZE, 1, {}),
    "silent": (servers.stall, "timed out", 2, {"timeout": 0.6}),
    "dripping": (servers.drip, "not done within 1.2 s", 1, {"deadline": 1.2}),
}


@pytest.mark.parametrize("case", FAILURES)
def test_next_mirror(case: str, server: MirrorServer, capsys: pytest.CaptureFixture[str]) -> None:
    answer, reason, count, limits = FAILURES[case]
    bad = server.mirror(answer)
    fetch_from(bad, server.mirror(servers.whole), **limits)
    assert_fetched()
    assert re.search(f"WARNING: {re.escape(bad)}: .*{reason}", capsys.readouterr().err)
    # Asked again at once or not at all, and never for the other files: the next mirror had them.
    assert server.asked(bad) == [f"{NAMES[0]}.gz"] * count


def test_passing_failure_is_asked_again(
    server: MirrorServer, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = server.mirror(servers.reset, servers.whole)
    fetch_from(mirror)
    assert_fetched()
    assert len(server.asked(mirror)) == 5
    assert "WARNING" not in capsys.readouterr().err


# Encodings and redirects


@pytest.mark.parametrize("answer", [servers.encoded, servers.raw])
def test_gzip_is_not_the_transfer_s(server: MirrorServer, answer: Answer) -> None:
    mirror = server.mirror(answer)
    fetch_from(mirror)
    assert_fetched()
    assert {request.headers["Accept-Encoding"] for request in server.requests} == {"identity"}


def test_redirect_within_https(server: MirrorServer) -> None:
    fetch_from(server.mirror(servers.redirect(server.mirror(servers.whole))))
    assert_fetched()


def test_redirect_to_plain_http_is_not_asked(server: MirrorServer) -> None:
    with serving(MirrorServer(server.files)) as plain:
        with pytest.raises(UnreachableError, match="redirected away from https"):
            fetch_from(server.mirror(servers.redirect(plain.mirror(servers.whole))))
        assert plain.requests == []


@pytest.mark.parametrize("variable", CERTIFICATE_VARIABLES)
def test_certificates_of_an_organization(
    variable: str, server: MirrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = os.environ["REQUESTS_CA_BUNDLE"]
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_from(server.mirror(servers.whole))
    assert server.requests == []
    monkeypatch.setenv(variable, trusted)
    fetch_from(server.mirror(servers.whole))
    assert_fetched()


# No mirror is left


def test_last_file_missing(server: MirrorServer) -> None:
    Path("wrong").mkdir()
    Path("wrong", NAMES[2]).write_bytes(b"junk")
    lost = server.mirror(*[servers.whole] * 3, servers.lost)
    wrong = server.mirror(servers.page)
    with pytest.raises(UnreachableError) as raised:
        fetch_from("absent", "wrong", lost, wrong)
    said = str(raised.value)
    for reason in (
        f"mnist: no mirror gave {NAMES[3]}\n",
        "  absent: no such folder\n",
        f"  wrong/{NAMES[2]}: {NAMES[2]}: expected",
        f"  {lost}: HTTP 404 Not Found\n",
        f"  {wrong}: {NAMES[3]}: expected",
        f"Put its four files into data/raw ({NAMES[0]}, {NAMES[1]}, ",
        "dvc exp run -S dataset=optdigits",
    ):
        assert reason in said
    assert raised.value.exit_status == 69
    assert not RAW_DIR.exists() or list(RAW_DIR.iterdir()) == []


def test_content_without_a_digest_is_taken_and_described(
    synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = load_dataset("mnist").files
    drop_digests()
    fetch_from(str(synthetic))
    said = capsys.readouterr().err
    for file in files:
        assert f"WARNING: {file.name}: no digest" in said
        assert f"received raw_size: {file.raw_size}, raw_sha256: {file.raw_sha256}\n" in said
    assert {path.name for path in RAW_DIR.iterdir()} == {file.name for file in files}


def test_local_folders(
    server: MirrorServer, synthetic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They come before addresses, and may be absent."""
    fetch_from(server.mirror(servers.whole), "../nowhere", f"../{synthetic.name}")
    assert_fetched()
    assert server.requests == []
    assert capsys.readouterr().err == ""


def test_useless_proxy_tells_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}/word@127.0.0.1:9")
    with pytest.raises(UnreachableError, match="malformed") as raised:
        fetch_from("https://127.0.0.1:9/")
    assert SECRET not in str(raised.value) + "".join(capsys.readouterr())
