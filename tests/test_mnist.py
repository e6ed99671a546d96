"""The real thing, where a copy of MNIST lies beside the checkout.

No test image is evaluated: that is for models that were chosen, and these are nobody's choice.
"""

import json
import re
from pathlib import Path

import pytest
from imports import ROOT
from projects import make_project

from pipeline import decode, fetch, train

MIRROR = ROOT.parent / "shared/mnist"


@pytest.mark.slow
@pytest.mark.skipif(not MIRROR.is_dir(), reason="no copy of MNIST beside the checkout")
def test_one_epoch_on_mnist_reaches_98_percent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project", "mnist", "cnn")
    # Half the batch is twice the steps: one epoch then clears the bar with room to spare.
    for key, value in {"epochs": 1, "batch_size": 64}.items():
        path = project.folder / "recipes/cnn.yaml"
        path.write_text(re.sub(rf"(?m)^{key}: .*", f"{key}: {value}", path.read_text()))
    project.change("../shared/mnist", str(MIRROR), "datasets/mnist.yaml")
    monkeypatch.chdir(project.folder)
    for stage in (fetch, decode, train):
        stage.main()
    metrics = json.loads(Path("metrics/train.json").read_bytes())
    # A perfect score would mean that the labels leaked.
    assert 0.98 < metrics["val_accuracy"] < 1
    card = json.loads(Path("data/decoded/dataset.json").read_bytes())
    assert card["image_counts"] == {"train": 54_000, "validation": 6_000, "test": 10_000}
