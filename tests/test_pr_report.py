"""`digits pr-report`: the page is written whatever is wrong, and says no more than is known."""

import json
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from projects import Project
from ruamel.yaml import YAML

from digits.commands import pr_report
from digits.errors import DigitsError
from digits.evaluation.results import load_metrics
from digits.markdown import escape, render_table

PAGE = Path("report/pull-request.md")
METRICS = Path("metrics/evaluate.json")


@pytest.fixture(scope="module")
def original(retrained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with two commits that trained for different times."""
    return retrained.copy(tmp_path_factory.mktemp("report") / "project")


@pytest.fixture
def project(original: Project, tmp_path: Path) -> Project:
    return original.copy(tmp_path / "project")


@pytest.fixture
def fork(original: Project, tmp_path: Path) -> Project:
    """Return a checkout without data, as that of a fork's pull request."""
    return original.clone(tmp_path / "fork")


def report(project: Project, base: str = "HEAD~1", status: int = 0) -> tuple[str, str]:
    """Write the report; return what was printed, and the page."""
    said = project.call("python", "-m", "digits", "pr-report", base, status=status)
    page = project.folder / PAGE
    return said, page.read_text() if page.exists() else ""


def test_report_holds_everything(project: Project) -> None:
    said, page = report(project)
    assert page in said
    assert "digests in `dvc.lock` are those of this code" in page
    untold = r"robustness, robustness\_unseen, of which they say nothing"
    told = f"`metrics/evaluate.json` is what the predictions come to, but for {untold}"
    assert told in page
    assert "recipes/cnn\\_optdigits.yaml | epochs | 2 | 3" in " ".join(page.split())
    assert "error\\_count" in page
    validation, test = page.split("## For the record: the test images")
    assert "On the 144 validation images of" in validation
    assert re.search(r" fixed, \d+ new, p", validation)
    assert re.search(r"\| workspace +\| [\d.]+ % +\| [\d.]+ to [\d.]+ % +\| \d+ +\|", test)
    assert " fixed, " not in test  # nothing is decided there
    for path in re.findall(r"`(report/[^`]+)`", page):
        assert (project.folder / path).is_file()
    assert page.count("`report/") == 2


@pytest.mark.nightly
def test_checkout_without_data_has_its_report(fork: Project) -> None:
    said, page = report(fork)
    assert page in said
    assert "not verified: the predictions are not here" in page
    assert "No comparison: HEAD" not in page
    assert "No comparison: " in page
    assert "`report/errors.png`" not in page  # nothing to draw it from
    assert "error\\_count" in page


def test_stale_lock_is_said_without_data(fork: Project) -> None:
    fork.change("  seed: 0\n  # CPU threads", "  seed: 5\n  # CPU threads")
    scores = fork.folder / "digits/evaluation/metrics.py"
    scores.write_text(scores.read_text() + "# changed\n")
    (fork.folder / "plots/curves.png").unlink()
    said, page = report(fork, status=1)
    changes = (
        "train: train modified",
        "evaluate: digits/evaluation/metrics.py modified",
        "evaluate: plots/curves.png deleted",
    )
    for change in changes:
        assert change in page.replace("\\", "")
    assert "ERROR: report/pull-request.md: expected dvc.lock and the metrics to be" in said
    assert "## Metrics\n\n|" in page
    assert "not verified: the predictions are not here" in page


def test_report_comes_where_dvc_cannot_read(fork: Project) -> None:
    """As in the middle of a merge."""
    lock = fork.folder / "dvc.lock"
    lock.write_text(f"<<<<<<< HEAD\n{lock.read_text()}")
    said, page = report(fork, status=1)
    assert page in said
    assert "received the conflict of a merge" in page.replace("\\", "")


def test_base_without_a_run_is_called_that(fork: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fork.folder)
    said = pr_report.judge_errors("HEAD~2")  # sources alone
    assert "HEAD\\~2: expected dvc.lock in Git" in said


def forge(project: Project, **changes: Any) -> None:
    """Write other metrics, and their digest into `dvc.lock`, as one who would deceive does."""
    path = project.folder / METRICS
    before, lock = path.read_bytes(), project.folder / "dvc.lock"
    path.write_text(json.dumps(json.loads(before) | changes))
    stages = YAML(typ="safe").load(lock)
    (out,) = (it for it in stages["stages"]["evaluate"]["outs"] if it["path"] == str(METRICS))
    after = project.call("python", "-c", MD5, str(METRICS)).strip()
    text = lock.read_text().replace(out["md5"], after)
    lock.write_text(text.replace(f"size: {len(before)}", f"size: {path.stat().st_size}"))
    project.call("git", "commit", "--all", "--quiet", "--message", "better")


MD5 = "import hashlib, sys; print(hashlib.md5(open(sys.argv[1], 'rb').read()).hexdigest())"


@pytest.mark.nightly
def test_forged_metrics_are_seen_through(project: Project) -> None:
    forge(project, accuracy=0.9999)
    said, page = report(project, "HEAD~2", status=1)
    assert "computed from data/predictions/test, received 0.9999" in page.replace("\\", "")
    assert "digests in `dvc.lock` are those" in page  # which is all that they are
    for command in ("report", "docs", "repro"):
        said = project.call("python", "-m", "digits", command, status=1)
        assert "ERROR: metrics/evaluate.json: expected accuracy 0.9" in said
        assert "computed from data/predictions/test, received 0.9999" in said
        assert "Traceback" not in said
    project.call("dvc", "repro", "--single-item", "--force", "evaluate")  # the advice
    assert "test accuracy" in project.call("python", "-m", "digits", "repro")


@pytest.mark.nightly
def test_forged_validation_is_seen_through(project: Project) -> None:
    path = project.folder / "metrics/train.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"val_accuracy": 0.9999}))
    for command in ("docs", "report"):
        said = project.call("python", "-m", "digits", command, status=1)
        assert "ERROR: metrics/train.json: expected val_accuracy 0." in said
        assert "computed from data/predictions/validation, received 0.9999" in said
    project.call("dvc", "repro", "--single-item", "--force", "train")  # the advice
    assert "0.9999" not in path.read_text()


@pytest.mark.nightly
def test_forged_metrics_without_predictions_are_not_called_verified(fork: Project) -> None:
    forge(fork, accuracy=0.9999)
    _, page = report(fork, "HEAD~2")
    assert "not verified: the predictions are not here" in page
    assert "agree" not in page


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"accuracy": NaN}', '{"accuracy": "a"}'])
def test_damaged_metrics_are_one_line_everywhere(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    METRICS.parent.mkdir()
    METRICS.write_text(text)
    with pytest.raises(DigitsError) as raised:
        load_metrics()
    assert str(raised.value).startswith("metrics/evaluate.json: ")
    assert str(raised.value).isprintable()


# Which base


@pytest.mark.nightly
def test_shallow_checkout_names_the_way_out(original: Project, tmp_path: Path) -> None:
    url = f"file://{original.folder}"
    original.call("git", "clone", "--quiet", "--depth=1", url, str(tmp_path / "shallow"))
    shallow = Project(tmp_path / "shallow").identify()
    said, page = report(shallow, "HEAD~1", status=1)
    assert "BASE: expected a commit, received 'HEAD~1'" in said
    assert "`git fetch --unshallow` brings" in said
    assert page == ""
    shallow.call("git", "fetch", "--quiet", "--unshallow")  # the advice works
    assert report(shallow, "HEAD~1")[1]


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("origin/trunk", "the default branch is origin/main: BASE=origin/main"),
        ("upstream/main", "`git fetch upstream main`, if that is its name, brings it"),
        ("orphan", "expected a commit in common with HEAD, received 'orphan', which has none"),
        ("--xyzzy", "BASE: expected a commit, received '--xyzzy'"),
    ],
)
def test_base_that_is_none_names_another(
    base: str, reason: str, fork: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fork.folder)
    fork.call("git", "branch", "orphan", fork.call(*ORPHAN).strip())
    with pytest.raises(pr_report.PullRequestError) as raised:
        pr_report.find_merge_base(base)
    assert reason in str(raised.value)
    assert pr_report.find_merge_base("origin/main") == pr_report.find_merge_base("HEAD")


ORPHAN = ("git", "commit-tree", "-m", "alone", "HEAD^{tree}")


# Texts of others


@pytest.mark.parametrize(
    "text",
    [
        "@team", "<img src=x>", "![a](http://b)", "[a](b)", "a | b", "`c`", "*d*", "_e_", "# f",
        "https://evil.example/x", "www.evil.example", "a\nb", "&lt;", "~~g~~", "\\|",
    ],
)  # fmt: skip
def test_texts_of_others_are_only_shown(text: str) -> None:
    written = escape(text)
    assert "\n" not in written
    assert not re.search(r"(?<!\\)[`*_|\[\]#~<@]", written.replace("&#", ""))
    assert not re.search(r"https?:|www\.", written)
    (_, _, row) = render_table(("a", "b"), [(text, "x")]).splitlines()
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


def test_page_is_no_longer_than_github_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pr_report, "find_merge_base", lambda base: base)
    monkeypatch.setattr(pr_report, "read_dvc", lambda *_: "{}")
    monkeypatch.setattr(pr_report, "judge_errors", lambda _: "ü" * 50_000)  # two bytes each
    with pytest.raises(pr_report.PullRequestError):  # there are no metrics
        pr_report.main(Namespace(base="HEAD~1"))
    page = PAGE.read_text()
    assert 60_000 < len(page.encode()) < 65_536
    assert "Cut here" in page
