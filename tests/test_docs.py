"""`make docs`: numbers of the committed run between markers, and only they."""

import re
from argparse import Namespace
from pathlib import Path

import pytest
from imports import ROOT

from digits.commands import docs
from digits.commands.docs import DocsError, render
from digits.files.artifacts import write_json
from digits.paths import EVALUATE_METRICS_PATH, TRAIN_METRICS_PATH

MODEL, OTHER = "a" * 32, "b" * 32
BLOCKS = {"result": "99 %", "sizes": "1 MB"}
METRICS = {"accuracy": 0.98, "error_count": 20, "image_count": 1000}
RELIABILITY = """\
low,count,confidence,accuracy,accuracy_low,accuracy_high
0.5,250,0.75,0.71,0,1
0.9,750,0.99,0.995,0,1
"""
REJECTION = "rejected,accuracy\n0,0.98\n0.02,0.9952\n0.9,1\n"
LOCK = """\
stages:
  train:
    params: {{params.yaml: {{train: {{recipe: tiny}}}}}}
    outs:
    - {{path: models/model.keras, md5: {md5}, size: 600000}}
    - {{path: metrics/train.json, md5: {md5}, size: 100}}
  evaluate:
    deps:
    - {{path: models/model.keras, md5: {md5}, size: 600000}}
  fetch:
    params: {{params.yaml: {{dataset: mnist}}}}
    outs:
    - {{path: data/raw, md5: {md5}.dir, size: 11500000}}
"""
LEADERBOARD = """\
# Leaderboard

| recipe | published | ours | 95 % interval | corrupted | parameters | CPU seconds | made on |
|---|---|---|---|---|---|---|---|
| `tiny` | none | 98.00 % (1 seed) | 97 to 99 % | 90.00 % | 7,850 | 5.0 | a |
"""


@pytest.mark.parametrize("md5", ["", f" {OTHER}", f" {MODEL}"])
def test_what_is_between_the_markers_is_replaced(md5: str) -> None:
    page = f"a\n<!-- result{md5} -->\nold\n<!-- /result -->\nb\n<!-- a comment of ours -->\n"
    wanted = (
        f"a\n<!-- result {MODEL} -->\n\n99 %\n\n<!-- /result -->\nb\n<!-- a comment of ours -->\n"
    )
    assert render(page, BLOCKS, MODEL) == wanted
    assert render(wanted, BLOCKS, MODEL) == wanted


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (
            "<!-- reslut -->\n<!-- /reslut -->",
            "a marker of result, sizes, received <!-- reslut -->",
        ),
        ("<!-- result -->\n", "expected <!-- /result --> after <!-- result -->, received none"),
        ("text\n<!-- /result -->", "a marker of result, sizes, received <!-- /result -->"),
        (
            "<!-- result -->\n<!-- sizes -->\n<!-- /sizes -->\n<!-- /result -->",
            "expected <!-- /result --> after <!-- result -->",
        ),
    ],
)
def test_refused_markers(page: str, message: str) -> None:
    with pytest.raises(DocsError, match=re.escape(message)):
        render(page, BLOCKS, MODEL)


@pytest.fixture
def project(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 (the files of `dataset: mnist`)
    """Return the current folder: the results of a run, and pages with markers."""
    monkeypatch.chdir(tmp_path)
    write_json(EVALUATE_METRICS_PATH, METRICS)
    write_json(TRAIN_METRICS_PATH, {"val_accuracy": 0.98, "val_loss": 0.05})
    Path("plots").mkdir()
    Path("plots/reliability.csv").write_text(RELIABILITY)
    Path("plots/rejection.csv").write_text(REJECTION)
    Path("dvc.lock").write_text(LOCK.format(md5=MODEL))
    Path("LEADERBOARD.md").write_text(LEADERBOARD)
    Path("docs").mkdir()
    Path("docs/sharing.md").write_text("<!-- sizes -->\n<!-- /sizes -->\n")
    names = ("result", "confidence", "leaderboard")
    Path("README.md").write_text("".join(f"<!-- {it} -->\n<!-- /{it} -->\n" for it in names))
    return tmp_path


def test_pages_are_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs.main(Namespace())
    page = (project / "README.md").read_text()
    assert f"<!-- result {MODEL} -->" in page
    assert "The expected calibration error of `tiny` on the test images is 1.38 %." in page
    assert "Of the 98 % of them that it is most sure of, it reads 99.52 % right." in page
    assert "Synthetic, recipe tiny: test accuracy 98.00% (95 % interval 96.93% to 98.70%)" in page
    assert re.search(
        r"\| `tiny` +\| none +\| 98.00 % \(1 seed\) \| 90.00 % +\| 5.0 +\| 7,850 +\|\n", page
    )
    sizes = dict(re.findall(r"\| (.*?) +\| (.*?) +\|", (project / "docs/sharing.md").read_text()))
    assert sizes["`data/raw`"] == "11.5 MB"
    assert sizes["`models/model.keras`"] == "0.6 MB"
    assert sizes["`data/decoded`"] == "below 0.1 MB"
    assert sizes["the first push"] == "12.1 MB"
    assert capsys.readouterr().out == "README.md: written\ndocs/sharing.md: written\n"
    docs.main(Namespace())
    assert capsys.readouterr().out.count("nothing to change") == 2


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("docs/new.md", "<!-- resultat -->", r"\Adocs/new\.md: expected a marker of "),
        ("LEADERBOARD.md", "# Leaderboard\n", r"\ALEADERBOARD\.md: expected a table"),
        ("dvc.lock", "stages: {}\n", r"\Advc\.lock: expected models/model\.keras, received none"),
    ],
)
def test_refusals(path: str, text: str, message: str, project: Path) -> None:
    (project / path).write_text(text)
    with pytest.raises(DocsError, match=message):
        docs.main(Namespace())


OF_RUN = r"<!-- (result|confidence|sizes) ([0-9a-f]{32}) -->\n\n(.*?)\n\n<!-- /\1 -->"


@pytest.mark.checkout
def test_numbers_are_of_the_committed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only while dvc.lock has the model that they were written for: a user's run has another.
    monkeypatch.chdir(ROOT)
    lock = Path("dvc.lock").read_text()
    if not EVALUATE_METRICS_PATH.exists():
        pytest.skip("no results in the workspace: a stage failed, or is running")
    for page in (Path("README.md"), *Path("docs").glob("*.md")):
        for name, model, text in re.findall(OF_RUN, page.read_text(), re.DOTALL):
            if f"md5: {model}\n" in lock:
                assert docs.load_blocks()[0][name] == text, f"{page}: make docs"
