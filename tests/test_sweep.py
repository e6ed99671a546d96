"""A sweep through DVC's real queue, and what it refuses."""

import pytest
from projects import Project, make_project

from digits import sweep
from digits.files.params import ParamsError


def test_names_of_runs_tell_their_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "load_params", lambda *_: None)
    grid = sweep.parse_grid(["recipes.quick.epochs=2,4", "train.seed=0"])
    assert grid == {"recipes.quick.epochs": ["2", "4"], "train.seed": ["0"]}
    assert sweep.name_runs(grid) == {
        "sweep-epochs-2-seed-0": {"recipes.quick.epochs": "2", "train.seed": "0"},
        "sweep-epochs-4-seed-0": {"recipes.quick.epochs": "4", "train.seed": "0"},
    }


@pytest.mark.parametrize("setting", ["epochs", "epochs=", "a=1,,2", "=1", "a b=1"])
def test_refused_settings(setting: str) -> None:
    with pytest.raises(sweep.SweepError, match="expected KEY=VALUE,VALUE"):
        sweep.parse_grid([setting])


def test_unknown_key_is_refused() -> None:
    with pytest.raises(ParamsError, match="did you mean 'epochs'"):
        sweep.parse_grid(["recipes.quick.epoch=1,2"])


def test_sweep_runs_the_grid_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    project: Project = make_project(
        tmp_path_factory.mktemp("sweep") / "project", "optdigits", "cnn_optdigits"
    )
    command = (
        *("python", "-m", "digits.sweep", "recipes.cnn_optdigits.epochs=1,2"),
        *("recipes.cnn_optdigits.batch_size=32,64", "--jobs", "2"),
    )
    output = project.call(*command)
    assert "4 of 4 runs to do, 2 at a time" in output
    assert (project.folder / "report/sweep.png").is_file()
    assert "sweep-epochs-1-batch-size-32" in project.call("dvc", "exp", "list")
    assert project.call("git", "status", "--porcelain", "params.yaml") == ""
    assert "0 of 4 runs to do" in project.call(*command)
