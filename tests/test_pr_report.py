"""`digits pr-report`: the page is written whatever is wrong, and says no more than is known."""

import json
import re
from pathlib import Path

import pytest
from projects import Project

from digits.commands import pr_report
from digits.errors import DigitsError
from digits.markdown import escape

PAGE = Path("report/pull-request.md")


@pytest.fixture
def fork(retrained: Project, tmp_path: Path) -> Project:
    """Return a checkout without data, as that of a fork's pull request."""
    return retrained.clone(tmp_path / "fork")


def report(project: Project, base: str = "HEAD~1", status: int = 0) -> tuple[str, str]:
    """Write the report; return what was printed, and the page, without escapes."""
    said = project.digits("pr-report", base, status=status)
    page = (project.folder / PAGE).read_text()
    assert page in said
    return said, page.replace("\\", "")


def test_report_holds_everything(two_runs: Project) -> None:
    _, page = report(two_runs)
    assert "digests in `dvc.lock` are those of this code" in page
    assert "`metrics/evaluate.json` follows from the predictions; not checked: " in page
    assert "recipes/cnn_optdigits.yaml | epochs | 2 | 3" in " ".join(page.split())
    assert "error_count" in page
    assert "On the 144 validation images of" in page
    assert re.search(r" fixed, \d+ new, p", page)
    assert re.search(r"\| workspace +\| [\d.]+ % +\| [\d.]+ to [\d.]+ % +\| \d+ +\|", page)
    assert " test images" not in page  # nothing is decided by them
    pictures = re.findall(r"`(report/[^`]+)`", page)
    assert len(pictures) == 2
    assert all((two_runs.folder / path).is_file() for path in pictures)


def test_stale_lock_is_said_without_data(fork: Project) -> None:
    fork.change("  seed: 0\n  # CPU threads", "  seed: 5\n  # CPU threads")
    module = fork.folder / "digits/evaluation/metrics.py"
    module.write_text(module.read_text() + "# changed\n")
    said, page = report(fork, status=1)
    for change in ("train: train modified", "evaluate: digits/evaluation/metrics.py modified"):
        assert change in page
    assert "ERROR: report/pull-request.md: expected dvc.lock and the metrics to be" in said
    assert "not verified: the predictions are not here" in page
    assert "No comparison: " in page
    assert "`report/errors.png`" not in page  # nothing to draw it from
    assert "## Metrics\n\n| Path " in page


@pytest.mark.parametrize(
    ("stage", "name", "split"),
    [("evaluate", "accuracy", "test"), ("train", "val_accuracy", "validation")],
)
def test_edited_metrics_are_seen_through(
    stage: str, name: str, split: str, two_runs: Project
) -> None:
    file = f"metrics/{stage}.json"
    (two_runs.folder / file).write_text(json.dumps(two_runs.load(file) | {name: 0.9999}))
    expected = rf"{file}: expected {name} 0\.\d+, computed from data/predictions/{split}, received"
    for words in (["docs"], ["report"], ["pr-report", "HEAD~1"]):
        said = two_runs.digits(*words, status=1)
        assert re.search(expected, said.replace("\\", ""))
    two_runs.call("git", "restore", "metrics")


def test_base_that_is_unknown(fork: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fork.folder)
    orphan = fork.call("git", "commit-tree", "-m", "alone", "HEAD^{tree}").strip()
    for base in ("upstream/main", orphan, "--xyzzy"):
        with pytest.raises(DigitsError, match=f"^{base}: .* received none: `git fetch` .*shallow"):
            pr_report.find_merge_base(base)
    assert pr_report.find_merge_base("origin/main") == pr_report.find_merge_base("HEAD")


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


def test_parameters_of_others_are_only_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"loss": {"old": 0.1, "new": "a | b @team"}, "name": {"old": None, "new": "![](c)"}}
    monkeypatch.setattr(pr_report, "read_dvc", lambda *_: json.dumps({"recipes/a.yaml": changes}))
    *_, first, second = pr_report.describe_diff("params", "0123456789").splitlines()
    assert " ".join(first.split()) == r"| recipes/a.yaml | loss | 0.1 | a \| b &\#64;team |"
    assert " ".join(second.split()) == r"| recipes/a.yaml | name | - | !\[\](c) |"
    monkeypatch.setattr(pr_report, "read_dvc", lambda *_: "{}")
    assert pr_report.describe_diff("metrics", "0123456789") == "No change."
