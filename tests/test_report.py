"""The page of `digits report`: the metrics' own numbers, every figure, nothing from elsewhere."""

import base64
import html
import json
import re
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
from conftest import forge_mnist
from matplotlib.figure import Figure
from matplotlib.text import Text
from test_stages import STAGES, make_project

from digits.commands.report import command as report
from digits.files import ArtifactError
from digits.paths import VALIDATION_PREDICTIONS_DIR
from pipeline import analyze, evaluate


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose stages have run: to be copied, never changed."""
    base = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        forge_mnist(base, patch)
        patch.chdir(make_project(base / "project"))
        for stage in STAGES:
            stage.main()
    return base / "project"


@pytest.fixture
def project(reproduced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: a project whose stages have run."""
    monkeypatch.chdir(shutil.copytree(reproduced, tmp_path / "project"))
    return tmp_path / "project"


def test_page_holds_the_metrics_the_figures_and_nothing_from_elsewhere(project: Path) -> None:
    report.main(Namespace())
    page = (project / "report/index.html").read_text()
    for path in report.NUMBERS:
        for key, value in json.loads((project / path).read_bytes()).items():
            assert re.search(rf"^{key} +{re.escape(str(value))}$", page, re.MULTILINE), key
    for picture in report.PICTURES:
        path = project / f"plots/{picture.name}.png"
        assert base64.b64encode(path.read_bytes()).decode() in page, path
    assert "://" not in page
    assert "learning_rate: 0.01" in page
    assert "Total params: 7,850" in page
    assert re.findall(r'href="(?!#)', page) == []
    targets = set(re.findall(r'href="#([\w-]+)"', page))
    assert targets <= set(re.findall(r'id="([\w-]+)"', page))


def test_page_needs_no_sideways_scrolling(project: Path) -> None:
    report.main(Namespace())
    page = (project / "report/index.html").read_text()
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    rules = dict(re.findall(r"^([\w., ]+) \{(.*?)\}", style, re.DOTALL | re.MULTILINE))
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "max-width: 100%; height: auto" in rules["img"]
    assert "white-space: pre-wrap" in rules["pre"]
    assert "overflow-wrap: anywhere" in rules["body"]
    assert not re.search(r"overflow-x|min-width|nowrap|\b(?<!-)width:", style)
    assert not re.search(r"<(img|pre|div)[^>]* (style|width)=", page)
    # A table made of letters must not be broken: its letters are as small as the screen demands.
    (table,) = re.findall(r'<pre class="table">(.*?)</pre>', page, re.DOTALL)
    assert max(map(len, html.unescape(table).splitlines())) <= report.SUMMARY_WIDTH
    assert f"100vw - 3.5rem) / {report.SUMMARY_WIDTH}" in rules[".table"]


def test_no_heading_repeats_what_its_figure_says(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[str, str] = {}

    def note(path: Path, figure: Figure) -> None:
        texts = [text.get_text() for text in figure.findobj(Text)]
        written[path.stem] = "\n".join(texts).lower()

    monkeypatch.setattr(evaluate, "write_figure", note)
    monkeypatch.setattr(analyze, "write_figure", note)
    evaluate.main()
    analyze.main()
    report.main(Namespace())
    page = (project / "report/index.html").read_text()
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert len(set(headings)) == len(headings)
    assert set(written) >= {picture.name for picture in report.PICTURES}
    for picture in report.PICTURES:
        assert picture.title in headings
        assert "synthetic, tiny" in written[picture.name]
        assert picture.title.lower() not in written[picture.name]


def test_page_is_the_same_twice(project: Path) -> None:
    report.main(Namespace())
    first = (project / "report/index.html").read_bytes()
    report.main(Namespace())
    assert (project / "report/index.html").read_bytes() == first


def test_missing_figure_and_other_recipe_are_refused(project: Path) -> None:
    (project / "plots/curves.png").unlink()
    with pytest.raises(ArtifactError, match=r"plots/curves\.png: expected a figure"):
        report.main(Namespace())
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("recipe: tiny", "recipe: other"))
    with pytest.raises(report.ReportError, match="expected results of recipe 'other'"):
        report.main(Namespace())
    assert not (project / "report").exists()


def test_numbers_that_cannot_be_verified_are_refused(project: Path) -> None:
    shutil.rmtree(project / VALIDATION_PREDICTIONS_DIR)
    with pytest.raises(report.ReportError, match="the predictions are not here, `dvc pull`"):
        report.main(Namespace())
    assert not Path("report").exists()
