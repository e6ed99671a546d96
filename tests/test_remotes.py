"""The way of results from one colleague to another and back, through every kind of remote.

The commands are those of docs/sharing.md; a server's own values stand in for the page's examples.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import remotes
from projects import UP_TO_DATE, Project, retrain
from remotes import Remote
from sharing import MODEL, cache_path, configure, damage, output_oid


@pytest.fixture(
    params=[
        pytest.param(remotes.moto, marks=pytest.mark.slow),
        *(
            pytest.param(server, marks=pytest.mark.nightly)
            for server in (remotes.http_server, remotes.wsgidav, remotes.sshd)
        ),
    ],
    ids=lambda server: server.__name__,
)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    with request.param(tmp_path / "server") as remote:
        yield remote


def test_round_trip(remote: Remote, trained: Project, tmp_path: Path) -> None:
    first = trained.copy(tmp_path / "first")
    configure(first, remote, once=True)
    assert "verify = true" in (first.folder / ".dvc/config").read_text()
    first.commit("remote")
    first.call("dvc", "push")

    second = first.clone(tmp_path / "second")
    configure(second, remote)
    second.call("dvc", "pull")
    assert UP_TO_DATE in second.call("dvc", "repro")

    author, reader = (first, second) if remote.read_only else (second, first)
    retrain(author)
    author.call("dvc", "push")
    reader.call("git", "pull", "--quiet", str(author.folder), "main")
    reader.call("dvc", "pull")
    assert UP_TO_DATE in reader.call("dvc", "repro")
    model = (reader.folder / MODEL).read_bytes()
    assert model == (author.folder / MODEL).read_bytes()

    # One byte changes in the store: nobody gets the object any more.
    oid = output_oid(author, MODEL)
    damage(author, oid)
    third = author.clone(tmp_path / "third")
    configure(third, remote)
    output = third.call("dvc", "pull", status=1)
    assert MODEL in output
    assert not (third.folder / MODEL).exists()
    assert not cache_path(third, oid).exists()

    if remote.secret:
        for project in (first, second, third):
            history = project.call("git", "log", "--all", "--patch")
            assert remote.secret.strip() not in history
