"""`digits docs`: numbers of the committed run between markers, and only they."""

import re
from argparse import Namespace
from pathlib import Path

import pytest
from imports import ROOT
from runs import make_run

from digits.commands import docs
from digits.errors import DigitsError
from digits.evaluation.ledger import write_ledger
from digits.files import write_json, write_text
from digits.paths import EVALUATE_METRICS_PATH, TRAIN_METRICS_PATH

MODEL, OTHER = "a" * 32, "b" * 32
METRICS = {"accuracy": 0.98, "error_count": 20, "image_count": 1000}
PLOTS = {
    "reliability": "low,count,confidence,accuracy,accuracy_low,accuracy_high\n"
    "0.5,250,0.75,0.71,0,1\n0.9,750,0.99,0.995,0,1\n",
    "rejection": "rejected,accuracy\n0,0.98\n0.02,0.9952\n0.9,1\n",
    "robustness": "corruption,group,accuracy\n"
    "none,apart,0.98\nfog,seen,0.9\nstripe,unseen,0.5\ninversion,apart,0.1\n",
}
LOCK = """\
stages:
  train:
    params: {{params.yaml: {{train: {{recipe: tiny, seed: 3}}}}}}
    outs:
    - {{path: models/model.keras, md5: {md5}, size: 600000}}
    - {{path: metrics/train.json, md5: {md5}, size: 100}}
  evaluate:
    deps:
    - {{path: models/model.keras, md5: {md5}, size: 600000}}
  decode:
    params: {{params.yaml: {{decode: {{validation_fraction: 0.125, seed: 4}}}}}}
  fetch:
    params: {{params.yaml: {{dataset: mnist}}}}
    outs:
    - {{path: data/raw, md5: {md5}.dir, size: 11500000}}
"""
LEADERBOARD = """\
| recipe | seeds | accuracy, % | corrupted, % | CPU seconds |
|--------|-------|-------------|--------------|-------------|
| `tiny` | 1     | 98.00       | -            | 1,020.0     |

Accuracy: on the test images.
"""
PAGES = {  # and the blocks between the markers of each
    "README.md": ("accuracy", "confidence", "leaderboard"),
    "docs/sharing.md": ("sizes",),
    "MODEL_CARD.md": ("model", "measures", "worst", "data", "file"),
}


@pytest.fixture
def project(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 (the files of `dataset: mnist`)
    """Return the current folder: the results of a run, and pages with markers."""
    monkeypatch.chdir(tmp_path)
    write_json(EVALUATE_METRICS_PATH, METRICS)
    write_json(TRAIN_METRICS_PATH, {"val_accuracy": 0.98, "val_loss": 0.05})
    for name, text in PLOTS.items():
        write_text(Path(f"plots/{name}.csv"), text)
    for page, blocks in PAGES.items():
        write_text(Path(page), "".join(map("<!-- {0} -->\n<!-- /{0} -->\n".format, blocks)))
    with Path("README.md").open("a") as file:
        file.write(f"a\n<!-- result {OTHER} -->\nold\n<!-- /result -->\n<!-- b -->\n")
    Path("dvc.lock").write_text(LOCK.format(md5=MODEL))
    Path("LEADERBOARD.md").write_text(LEADERBOARD)
    return tmp_path


def test_pages_are_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs.main(Namespace())
    page = (project / "README.md").read_text()
    assert "The recipe `tiny`, trained with seed 3, has a test accuracy of **98.00 %**." in page
    assert re.search(
        rf"a\n<!-- result {MODEL} -->\n\n```(.|\n)*\n```\n\n<!-- /result -->\n<!-- b -->", page
    )
    assert "old" not in page
    assert "The expected calibration error of `tiny` on the test images is 1.38 %." in page
    assert "On the 98 % most confident predictions, accuracy is 99.52 %." in page
    assert "Synthetic, recipe tiny: test accuracy 98.00% (95 % interval 96.93% to 98.70%)" in page
    assert re.search(r"\| `tiny` +\| 98.00 +\| - +\| 1,020.0 +\|\n\n<!-- /leaderboard -->", page)
    sizes = "The first push is 12.1 MB; each further training adds at most 0.6 MB\nto the remote"
    assert sizes in (project / "docs/sharing.md").read_text()
    written = "".join(f"{page}: written\n" for page in PAGES)
    assert capsys.readouterr().out.startswith(written)
    docs.main(Namespace())
    assert capsys.readouterr().out == f"3 pages have the numbers of the model {MODEL}\n"


@pytest.mark.parametrize("marker", ["<!-- /acuracy -->", f"<!-- acuracy {MODEL} -->"])
@pytest.mark.usefixtures("project")
def test_marker_of_an_unknown_name_is_refused(marker: str) -> None:
    Path("docs/sharing.md").write_text(marker)
    with pytest.raises(DigitsError, match=rf"sharing.md: expected .* received {marker} alone"):
        docs.main(Namespace())


@pytest.mark.usefixtures("project")
def test_card_says_what_the_run_has_left_and_the_ledger_knows() -> None:
    docs.main(Namespace())
    card = " ".join(Path("MODEL_CARD.md").read_text().split())
    assert "# Model card: Synthetic, recipe `tiny`" in card
    assert "(recipes/tiny.yaml) with seed 3." in card
    assert "Synthetic: none. Files and SHA-256: [datasets/mnist.yaml]" in card
    assert "12.5 % of the training images, stratified by label with seed 4, are held out" in card
    assert re.search(r"accuracy on test images +\| 98.00% +\|", card)
    assert re.search(r"95 % confidence interval \(Wilson\) +\| 96.93% to 98.70% \|", card)
    assert "worst under stripe (50.00%, unseen), fog (90.00%, seen) (" in card
    assert f"MD5 `{MODEL}`, 600,000 bytes" in card
    for unknown in ("images seen", "other writers"):  # without such a run, unmeasured
        assert unknown not in card
    run = make_run(model=MODEL, parameter_count=7850, images_seen=54_000)
    write_ledger([make_run(recipe="other"), run])
    write_json(EVALUATE_METRICS_PATH, METRICS | {"optdigits_accuracy": 0.9})
    docs.main(Namespace())
    card = " ".join(Path("MODEL_CARD.md").read_text().split())
    assert "7,850 parameters, float32, 54,000 images seen," in card
    assert re.search(r"accuracy on other writers +\| 90.00% +\|", card)


# Those that the model alone decides; of the others, the leaderboard's runs.
OF_RUN = ("result", "accuracy", "confidence", "sizes", "measures", "worst", "data", "file")


@pytest.mark.checkout
def test_committed_numbers_are_of_the_committed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where a page says that it is of these results: a user's run has others."""
    monkeypatch.chdir(ROOT)
    if not EVALUATE_METRICS_PATH.exists():
        pytest.skip("no results in the workspace: a stage failed, or is running")
    lock, blocks = Path("dvc.lock").read_text(), docs.write_blocks(docs.load_facts())
    between = rf"<!-- ({'|'.join(OF_RUN)}) ([0-9a-f]{{32}}) -->\n\n(.*?)\n\n<!-- /\1 -->"
    for page in (Path("README.md"), docs.MODEL_CARD_PATH, *Path("docs").glob("*.md")):
        for name, model, text in re.findall(between, page.read_text(), re.DOTALL):
            if f"md5: {model}\n" in lock:
                assert blocks[name] == text, f"{page}: digits docs"
