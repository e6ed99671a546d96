"""A training that was broken off goes on where it stood, and ends in the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from conftest import draw_images
from ruamel.yaml import YAML

from digits.data.splits import Split, write_split
from digits.model.checkpoint import Checkpoint, identify_run, load_checkpoint, write_checkpoint
from pipeline import decode, train

PARAMS = {
    "train": {"recipe": "tiny", "seed": 3, "threads": 0, "precision": "float32"},
    "recipes": {
        "tiny": {
            "layers": [
                {"Conv2D": {"filters": 4, "kernel_size": 3, "strides": 3}},
                {"BatchNormalization": {}},
                {"ReLU": {}},
                {"Flatten": {}},
                {"Dropout": {"rate": 0.5}},
                {"Dense": {"units": 10, "activation": "softmax"}},
            ],
            "loss": "categorical_crossentropy",
            "label_smoothing": 0.1,
            "optimizer": {"AdamW": {"learning_rate": 0.01, "weight_decay": 0.01}},
            "schedule": "one_cycle",
            "warmup_fraction": 0.2,
            "augmentation": {"shift": 1.0, "angle": 5.0, "scale": 0.1, "shear": 0.1},
            "epochs": 3,
            "batch_size": 16,
            "member_count": 2,
            "prediction_shift": 1,
            "train_on_validation": True,
            "temperature_scaling": True,
        }
    },
}
RESULTS = ("models/model.keras", "metrics/train.json", "plots/history.csv")


class KilledError(Exception):
    """Stands for a crash: nothing in the stage expects it."""


def make_folder(folder: Path) -> Path:
    images, labels = draw_images(100, seed=0)
    scaled = decode.scale_pixels(images)
    write_split(folder / "data/decoded/train", Split(scaled[:80], labels[:80]))
    write_split(folder / "data/decoded/validation", Split(scaled[80:], labels[80:]))
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(PARAMS, file)
    return folder


def break_off_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stage until it has written so many checkpoints."""

    def write_then_die(path: Path, checkpoint: Checkpoint) -> None:
        write_checkpoint(path, checkpoint)
        if len(checkpoint.rows) == epochs:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(train, "write_checkpoint", write_then_die)
        with pytest.raises(KilledError):
            train.main()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the results of a training that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(make_folder(tmp_path_factory.mktemp("undisturbed")))
        train.main()
        return {name: Path(name).read_bytes() for name in RESULTS}


# Within the first member, at its last epoch, within the second, at the very end.
@pytest.mark.parametrize("epochs", [1, 3, 5, 6])
def test_resumed_training_gives_the_same_bytes(
    epochs: int,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(make_folder(tmp_path))
    break_off_after(epochs, monkeypatch)
    assert not Path("models/model.keras").exists()
    Path("plots/history.csv").unlink(missing_ok=True)  # as DVC does before it runs the stage
    capfd.readouterr()
    train.main()
    shown = capfd.readouterr().out
    assert f"resuming after epoch {(epochs - 1) % 3 + 1}\n" in shown
    assert shown.count(": epoch ") == 6 - epochs
    assert "trained on" not in shown  # the time of a part would pass for the whole's
    assert {name: Path(name).read_bytes() for name in RESULTS} == undisturbed
    assert not Path("models/checkpoint.npz").exists()


def test_other_parameters_start_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_folder(tmp_path))
    break_off_after(2, monkeypatch)
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("seed: 3", "seed: 4"))
    train.main()
    resumed = Path("models/model.keras").read_bytes()
    train.main()
    assert Path("models/model.keras").read_bytes() == resumed


@pytest.mark.parametrize("damage", [b"", b"not an archive", None])
def test_damaged_checkpoint_starts_anew(
    damage: bytes | None,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(make_folder(tmp_path))
    break_off_after(2, monkeypatch)
    path = Path("models/checkpoint.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    train.main()
    assert {name: Path(name).read_bytes() for name in RESULTS} == undisturbed


def test_checkpoint_survives_the_disk(tmp_path: Path) -> None:
    weights = [np.arange(3.0), np.ones((2, 2), np.float32)]
    state = [np.array(n, np.int64) for n in range(12)]  # more than ten: their order counts
    path = tmp_path / "checkpoint.npz"
    write_checkpoint(path, Checkpoint("run", [(1, 0.5, 1.0, 0.25, 2.0)], [weights, weights], state))
    loaded = load_checkpoint(path, "run")
    assert loaded.rows == [(1, 0.5, 1.0, 0.25, 2.0)]
    assert [int(value) for value in loaded.state] == list(range(12))
    for member in loaded.finished:
        for mine, other in zip(member, weights, strict=True):
            np.testing.assert_array_equal(mine, other)
    assert load_checkpoint(path, "another") == Checkpoint("another")
    assert load_checkpoint(tmp_path / "none.npz", "run") == Checkpoint("run")


def test_identity_depends_on_settings_data_and_code(tmp_path: Path) -> None:
    array, code = np.zeros(3), tmp_path / "stage.py"
    code.write_text("one")
    first = identify_run("a", [array], code)
    assert identify_run("a", [array], code) == first
    assert identify_run("b", [array], code) != first
    assert identify_run("a", [array + 1], code) != first
    code.write_text("two")
    assert identify_run("a", [array], code) != first
