"""The page of `digits report`: the metrics' own numbers, every figure, nothing from elsewhere."""

import base64
import re
import shutil
from pathlib import Path

import pytest
from chromium import find_browser, open_browser
from projects import Project

from digits.commands.report.command import NUMBERS
from digits.paths import VALIDATION_PREDICTIONS_DIR


@pytest.fixture(scope="module")
def reported(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with its report, and one figure more than the stages write."""
    project = trained.copy(tmp_path_factory.mktemp("report") / "project")
    shutil.copy(project.folder / "plots/curves.png", project.folder / "plots/mine.png")
    first = "    - plots/prototypes.png:\n"
    project.change(first, f"    - plots/mine.png:\n        cache: false\n{first}", "dvc.yaml")
    project.digits("report")
    return project


def test_page_holds_the_metrics_the_figures_and_nothing_from_elsewhere(reported: Project) -> None:
    path = reported.folder / "report/index.html"
    page = path.read_text()
    for metrics in NUMBERS:
        for key, value in reported.load(str(metrics)).items():
            assert re.search(rf"^{key} +{re.escape(str(value))}$", page, re.MULTILINE), key
    figures = sorted(reported.folder.glob("plots/*.png"))
    assert len(figures) == 12  # with the new one, which no list but dvc.yaml has
    for figure in figures:
        assert base64.b64encode(figure.read_bytes()).decode() in page, figure
    assert "://" not in page
    assert "Total params: " in page
    assert re.findall(r'href="(?!#)', page) == []
    targets = set(re.findall(r'href="#([\w-]+)"', page))
    assert targets <= set(re.findall(r'id="([\w-]+)"', page))
    reported.digits("report")
    assert path.read_text() == page


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [320, 1200])
def test_pages_need_no_sideways_scrolling(width: int, reported: Project, tmp_path: Path) -> None:
    reported.call("dvc", "plots", "diff", "--out", "report/plots")
    with open_browser(str(find_browser()), tmp_path) as browser:
        for path in ("report/index.html", "report/plots/index.html"):
            browser.show((reported.folder / path).as_uri(), width, 800)
            browser.wait("document.querySelectorAll('canvas, img').length > 10")
            assert browser.evaluate("document.documentElement.scrollWidth") <= width, path
        heading = browser.evaluate("document.querySelector('h1').textContent")
        assert heading == "Plots of HEAD and workspace"


def test_other_recipe_and_numbers_without_predictions_are_refused(
    reported: Project, tmp_path: Path
) -> None:
    project = reported.copy(tmp_path / "project")
    project.change("  recipe: cnn_optdigits\n", "  recipe: other\n")
    assert "expected results of recipe 'other'" in project.digits("report", status=1)
    shutil.rmtree(project.folder / VALIDATION_PREDICTIONS_DIR)
    assert "the predictions are not here, `dvc pull`" in project.digits("report", status=1)
