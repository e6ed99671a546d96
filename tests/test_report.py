"""The page of `make report`: the metrics' own numbers, every figure, nothing from elsewhere."""

import base64
import json
import re
from argparse import Namespace
from pathlib import Path

import pytest
from test_stages import STAGES, make_project

from digits.commands import report
from digits.files.artifacts import ArtifactError


@pytest.fixture
def project(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: a project whose stages have run."""
    folder = make_project(tmp_path / "project", synthetic)
    monkeypatch.chdir(folder)
    for stage in STAGES:
        stage.main()
    return folder


def test_page_holds_the_metrics_the_figures_and_nothing_from_elsewhere(project: Path) -> None:
    report.main(Namespace())
    page = (project / "report/index.html").read_text()
    for path in (project / "metrics").glob("*.json"):
        for key, value in json.loads(path.read_bytes()).items():
            assert re.search(rf"^{key} +{re.escape(str(value))}$", page, re.MULTILINE), key
    for path in (project / "plots").glob("*.png"):
        assert base64.b64encode(path.read_bytes()).decode() in page, path
    assert "://" not in page
    assert "learning_rate: 0.01" in page
    assert "Total params: 7,850" in page
    assert re.findall(r'href="(?!#)', page) == []
    targets = set(re.findall(r'href="#([\w-]+)"', page))
    assert targets <= set(re.findall(r'id="([\w-]+)"', page))


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
