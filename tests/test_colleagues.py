"""Several clones of one project: on one cache, on two branches, and cleaning up behind them.

The commands are those of docs/sharing.md.
"""

import re
from pathlib import Path

import pytest
from projects import UP_TO_DATE, Project, list_runs
from sharing import MODEL, follow, read_commands

# All are commands of a page, run one after the other in whole projects.
pytestmark = pytest.mark.nightly


def test_second_clone_on_a_shared_cache_trains_nothing(trained: Project, tmp_path: Path) -> None:
    title, lab = "One cache for a lab machine", {"/srv/digits-cache": str(tmp_path / "lab")}
    first = trained.copy(tmp_path / "first")
    (first.folder / ".dvc/cache").rename(tmp_path / "lab")
    follow(first, title, lab)
    assert UP_TO_DATE in first.call("dvc", "repro")

    second = first.clone(tmp_path / "second")
    second.call("git", "reset", "--quiet", "--hard", "HEAD~1")  # not even the lock has come
    follow(second, title, lab)
    assert not (second.folder / "dvc.lock").exists()
    # Only what a person may have put into data/raw is looked at: the files are in the cache.
    assert list_runs(second.call("dvc", "repro")) == ["fetch"]
    assert (second.folder / MODEL).read_bytes() == (first.folder / MODEL).read_bytes()


def test_two_branches_that_trained_are_merged(retrained: Project, tmp_path: Path) -> None:
    project = retrained.copy(tmp_path / "project")
    project.call("git", "switch", "--quiet", "--create", "seed", "HEAD~1")
    project.call("dvc", "exp", "run", "-S", "train.seed=1")
    project.commit("seed 1")
    project.call("git", "switch", "--quiet", "main")
    project.call("dvc", "checkout")

    for command in read_commands("Two branches that both trained", {"colleague": "seed"}):
        # A conflict is what the recipe is for; Git resolves params.yaml by itself here.
        project.call(*command, status=1 if command[:2] == ["git", "merge"] else 0)
        if command[:2] == ["git", "merge"]:
            said = project.call("python", "-m", "digits", "verify", "cache", status=1)
            assert said == "ERROR: dvc.lock: expected YAML, received the conflict of a merge\n"
            for words in (["report"], ["docs"], ["pr-report", "seed"]):  # whose page comes, too
                said = project.call("python", "-m", "digits", *words, status=1)
                assert "metrics/evaluate.json: expected JSON, received " in said
                assert "Traceback" not in said
    assert UP_TO_DATE in project.call("dvc", "repro")
    assert project.call("git", "status", "--porcelain") == ""
    params = (project.folder / "params.yaml").read_text()
    assert "  seed: 1\n" in params
    assert "\nepochs: 3\n" in (project.folder / "recipes/cnn_optdigits.yaml").read_text()
    assert len(project.call("git", "log", "-1", "--format=%P").split()) == 2


def test_cleaning_up_keeps_what_colleagues_pushed_and_experiments_that_nobody_did(
    trained: Project, retrained: Project, tmp_path: Path
) -> None:
    first = trained.copy(tmp_path / "first")
    first.call("dvc", "push")
    second = retrained.copy(tmp_path / "second")
    second.call("git", "switch", "--quiet", "--create", "theirs")
    second.call("git", "branch", "--force", "main", "theirs~1")
    second.call("dvc", "push")
    second.change("robustness_count: 50", "robustness_count: 40")
    second.call("dvc", "repro")
    second.call("dvc", "push")  # never committed: nobody's
    second.call("git", "restore", ".")

    first.call("git", "remote", "add", "origin", str(second.folder))
    remote = {"/srv/digits": str(tmp_path / "digits-remote")}
    *before, clean = read_commands("Cleaning up", remote, 1)
    for command in before:
        first.call(*command)
    output = first.call(*clean, "--force")
    assert re.search(r"Removed [1-9]\d* objects from remote", output), output

    third = second.clone(tmp_path / "third")
    for branch in ("main", "theirs"):
        third.call("git", "switch", "--quiet", branch)
        third.call("dvc", "pull")
        follow(third, "Cleaning up", {}, 0, "--force")  # it asks otherwise
        assert UP_TO_DATE in third.call("dvc", "repro")
    third.call("dvc", "exp", "run", "--name", "mine", "-S", "train.seed=5", "train")
    third.call("git", "restore", ".")
    third.call("dvc", "checkout")
    follow(third, "Cleaning up", {}, 0, "--force")
    third.call("dvc", "exp", "apply", "mine")
    assert UP_TO_DATE in third.call("dvc", "repro", "train")


def test_model_is_had_by_name(trained: Project, tmp_path: Path) -> None:
    project, user = trained.copy(tmp_path / "team/digits"), Project(tmp_path / "user/app")
    project.call("dvc", "push")
    address = str(tmp_path / "digits.git")
    project.call("git", "clone", "--quiet", "--bare", ".", address)
    project.call("git", "remote", "add", "origin", address)
    user.folder.mkdir(parents=True)
    # What the page warns of; without it, its first block would be needless.
    said = user.call("dvc", "get", address, MODEL, "-o", "x", status=255)
    assert "No storage files available" in said

    title = "The model by name"
    follow(project, title, {"/srv/digits": str(tmp_path / "store")})
    follow(project, title, {}, 1)
    model = (project.folder / MODEL).read_bytes()
    project.folder.rename(tmp_path / "away")  # nobody needs what is on the author's disk
    follow(user, title, {"/srv/git/digits.git": address}, 2)
    received = {path.name: path.read_bytes() for path in user.folder.glob("*.keras")}
    assert received == dict.fromkeys(("digits.keras", "production.keras", "main.keras"), model)
