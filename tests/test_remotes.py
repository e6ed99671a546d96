"""The way of results from one colleague to another and back, through every kind of remote.

The commands are those of docs/sharing.md; a server's own values stand in for the page's examples.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import remotes
from projects import UP_TO_DATE, Project, list_runs
from remotes import Remote
from sharing import MODEL, cache_path, configure, damage, output_oid


@pytest.fixture(
    params=[
        pytest.param(remotes.moto, marks=pytest.mark.slow),
        pytest.param(remotes.wsgidav, marks=pytest.mark.nightly),
        pytest.param(remotes.sshd, marks=pytest.mark.nightly),
    ],
    ids=lambda server: server.__name__,
)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    folder = tmp_path / "server"
    folder.mkdir()
    with request.param(folder) as remote:
        yield remote


def test_round_trip(remote: Remote, trained: Project, retrained: Project, tmp_path: Path) -> None:
    first = trained.copy(tmp_path / "first")
    configure(first, remote, once=True)
    assert "verify = true" in (first.folder / ".dvc/config").read_text()
    first.commit("remote")
    first.call("dvc", "push")

    second = first.clone(tmp_path / "second")
    configure(second, remote)
    second.call("dvc", "pull")
    assert UP_TO_DATE in second.call("dvc", "repro")

    second.change("epochs: 2\n", "epochs: 3\n", "recipes/cnn_optdigits.yaml")
    second.borrow(retrained)
    assert list_runs(second.call("dvc", "repro")) == []  # another model, out of the cache
    second.commit("three epochs")
    second.call("dvc", "push")
    first.call("git", "pull", "--quiet", str(second.folder), "main")
    first.call("dvc", "pull")
    assert UP_TO_DATE in first.call("dvc", "repro")
    model = (first.folder / MODEL).read_bytes()
    assert model == (second.folder / MODEL).read_bytes()

    # One byte changes in the store: nobody gets the object any more.
    oid = output_oid(second, MODEL)
    damage(second, oid)
    third = second.clone(tmp_path / "third")
    configure(third, remote)
    output = third.call("dvc", "pull", status=1)
    assert MODEL in output
    assert not (third.folder / MODEL).exists()
    assert not cache_path(third, oid).exists()

    for project in (first, second, third):
        assert remote.secret.strip() not in project.call("git", "log", "--all", "--patch")
