"""The leaderboard: its page against hand-made runs, and its runs through the real `dvc`."""

import argparse
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imports import ROOT
from projects import RECIPES, Project, list_runs, make_project
from ruamel.yaml import YAML
from runs import IMAGE_COUNT, make_machine, make_published, make_run
from scipy.stats import t

from digits.commands.leaderboard import command as leaderboard
from digits.commands.leaderboard import ledger
from digits.commands.leaderboard import page as standings
from digits.commands.leaderboard.command import (
    BOARD_PATH,
    MARKDOWN_PATH,
    PICTURE_PATH,
    LeaderboardError,
)
from digits.commands.leaderboard.ledger import LEDGER_PATH, load_ledger, write_ledger
from digits.commands.leaderboard.page import Entry, Job
from digits.commands.leaderboard.picture import draw_leaderboard
from digits.config import PARAMS_PATH
from digits.dvc.run import Outcome
from digits.errors import DigitsError
from digits.evaluation.figures import write_figure
from digits.model.recipes import RECIPES_DIR

ENTRIES = {
    "big": Entry(published="98 %", note="Its authors count differently.", seeds=[0, 1, 2]),
    "small": Entry(
        recipe="big", settings={"epochs": 20}, published="none given", note=None, seeds=[7]
    ),
}
JOBS = standings.list_jobs(ENTRIES)
UNTIMED = {"training_seconds": None, "training_cpu_seconds": None}
OTHERWISE = dict.fromkeys(("robustness_seen", "robustness_unseen", "other_hands"))  # judged
RUNS = [
    make_run("big", 0, 8, training_seconds=1000.0),
    make_run("big", 1, 10, training_seconds=1020.0),
    make_run("big", 2, 12, training_seconds=2000.0),
    make_run("small", 7, 5, parameter_count=1234, **UNTIMED, **OTHERWISE),
]
CURRENT = {run.inputs for run in RUNS}
OLD = make_run("gone", 3, 20, inputs="f" * 64)

PAGE = f"""\
# Leaderboard: MNIST

| recipe   | published   | ours                     | 95 % interval    | validation   \
| corrupted               | other hands   | parameters   | multiply-adds   \
| training seconds   | CPU seconds   | made on                                     |
|----------|-------------|--------------------------|------------------|--------------\
|-------------------------|---------------|--------------|-----------------\
|--------------------|---------------|---------------------------------------------|
| `small`  | none given  | 95.00 % (1 seed)         | 88.82 to 97.85 % | 98.00 %      \
|                         |               | 1,234        | 1.2e05          \
|                    |               | Abacus, 2 cores, float32, TensorFlow 2.21.0 |
| `big`    | 98 %        | 90.00 ± 2.00 % (3 seeds) | 83.95 to 96.05 % | 98.00 %      \
| 50.00 %, unseen 25.00 % | 87.50 %       | 5,000        | 1.2e05          \
| 1,020.0            | 20.0          | Abacus, 2 cores, float32, TensorFlow 2.21.0 |

{standings.LEGEND}

- `big`: Its authors count differently.

{standings.USE}

| recipe   | models evaluated   | of these by today's code   |
|----------|--------------------|----------------------------|
| `big`    | 3                  | 3                          |
| `small`  | 1                  | 1                          |
| all      | 4                  | 4                          |

{standings.OTHERS}

| network   | test accuracy   | runs   | protocol                 | multiply-adds   \
| source                      |
|-----------|-----------------|--------|--------------------------|-----------------\
|-----------------------------|
| theirs    | 98.5 ± 0.1 %    | 3      | Mean of the last epochs. | 6e06            \
| [page](https://example.org) |
"""


def write_page(runs: list[Any], current: set[str] = CURRENT) -> str:
    return standings.write_markdown(runs, current, ENTRIES, [make_published()], "MNIST")


def bound_by_formula(correct: int, count: int) -> tuple[float, float]:
    """Wilson 1927, as textbooks print it."""
    z, share = 1.959963984540054, correct / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + (z / 2 / count) ** 2)
    return centre - half, centre + half


def test_recipes_are_ranked_by_mean_accuracy() -> None:
    ranking = standings.rank_recipes(RUNS)
    assert ranking["recipe"].tolist() == ["small", "big"]
    small, big = (row for _, row in ranking.iterrows())
    assert big["seed_count"] == 3
    assert big["accuracy"] == pytest.approx(0.9)
    assert big["accuracy_sd"] == pytest.approx(0.02)  # of 0.92, 0.90, 0.88, by n - 1
    assert big["training_seconds"] == 1020
    assert big["cost"] == 200 * 600
    assert math.isnan(small["accuracy_sd"])
    assert math.isnan(small["training_seconds"])
    low, high = bound_by_formula(95, IMAGE_COUNT)
    assert (small["accuracy_low"], small["accuracy_high"]) == pytest.approx((low, high))


def test_interval_is_that_of_seeds_and_images() -> None:
    right = np.array([run.right for run in RUNS[:3]], float)
    of_images = right.mean(axis=0).var(ddof=1) / IMAGE_COUNT
    of_seeds = right.mean(axis=1).var(ddof=1) / 3
    rest = right - right.mean(axis=1)[:, None] - right.mean(axis=0) + right.mean()
    residual = (rest**2).sum() / (2 * (IMAGE_COUNT - 1)) / (3 * IMAGE_COUNT)
    variance = of_images + of_seeds - residual
    freedom = variance**2 / (of_images**2 / (IMAGE_COUNT - 1) + of_seeds**2 / 2)
    reach = t.ppf(0.975, freedom) * math.sqrt(variance)
    (_, big) = (row for _, row in standings.rank_recipes(RUNS).iterrows())
    expected = (0.9 - reach, 0.9 + reach)
    assert (big["accuracy_low"], big["accuracy_high"]) == pytest.approx(expected)


def test_page_is_this_text() -> None:
    assert write_page(RUNS) == PAGE


def test_page_names_missing_runs() -> None:
    page = write_page([RUNS[0], RUNS[2]])
    assert "\n\nNot run yet by today's code: `big` 1, `small` 7.\n\n" in page


def test_rows_of_older_code_are_marked_and_counted() -> None:
    page = write_page([*RUNS, OLD], CURRENT - {RUNS[0].inputs})
    today, older = page.split(standings.OLDER)
    assert "(2 seeds)" in today
    assert "Not run yet by today's code: `big` 0." in today
    assert "92.00 % (1 seed)" in older
    assert "80.00 % (1 seed)" in older
    assert re.search(r"\| `big` +\| 3 +\| 2 +\|\n\| `gone` +\| 1 +\| 0 +\|", older)
    assert re.search(r"\| all +\| 5 +\| 3 +\|", older)
    nothing = write_page([OLD], set())
    assert "80.00 % (1 seed)" in nothing


def test_each_entry_is_run_once_a_seed() -> None:
    assert [job.name for job in JOBS] == [
        "leaderboard-big-0",
        "leaderboard-big-1",
        "leaderboard-big-2",
        "leaderboard-small-7",
    ]


def test_run_sets_all_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def pretend(settings: dict[str, object], *_: str) -> Outcome:
        given.update(settings)
        return Outcome(0, {"train": {"exit_status": 0, "seconds": 12.5}})

    monkeypatch.setattr(leaderboard, "run_experiment", pretend)
    monkeypatch.setattr(leaderboard, "ask_git", lambda *_: "0" * 40)
    monkeypatch.setattr(leaderboard, "is_commit", lambda _: False)
    assert leaderboard.perform(JOBS[3], force=False).stages["train"]["seconds"] == 12.5
    assert given == {
        "train.recipe": "big",
        "train.seed": 7,
        "recipes/big.yaml:epochs": 20,
    }


@pytest.mark.parametrize(
    ("only", "seeds", "expected"),
    [
        (None, None, JOBS),
        (["small"], None, JOBS[3:]),
        (None, [0, 7], [JOBS[0], JOBS[3]]),
    ],
)
def test_a_part_can_be_chosen(only: Any, seeds: Any, expected: list[Job]) -> None:
    arguments = argparse.Namespace(only=only, seeds=seeds)
    assert leaderboard.choose_jobs(JOBS, arguments) == expected


def test_unlisted_seed_is_refused() -> None:
    arguments = argparse.Namespace(only=["small"], seeds=[0, 7])
    with pytest.raises(LeaderboardError, match=r"--seeds: expected some of \[7\].*received \[0\]"):
        leaderboard.choose_jobs(JOBS, arguments)


def test_picture_has_a_dot_a_run_and_the_figures_of_others(tmp_path: Path) -> None:
    unknown = make_published(name="unknown", multiply_adds=None)
    figure = draw_leaderboard(RUNS, [make_published(), unknown], "MNIST")
    (axes,) = figure.axes
    dots, ring, small, *_ = (
        np.asarray(line.get_xydata()).tolist() for line in axes.lines[2:] + axes.lines[:2]
    )
    assert dots == [[120_000, 0.92], [120_000, 0.9], [120_000, 0.88]]
    assert ring == [[120_000, pytest.approx(0.9)]]
    assert small == [[pytest.approx(6e6), 0.985]]
    assert [text.get_text() for text in axes.texts] == ["theirs"]
    write_figure(tmp_path / "picture.png", figure)


@pytest.mark.parametrize(
    ("multiply_adds", "accuracy", "side"),
    [(1100, 98.6, "right"), (1100, 99.5, "left"), (3000, 98.6, "left")],
    ids=["near", "more-accurate", "dearer"],
)
def test_name_makes_room_for_near_marks_only(
    multiply_adds: int, accuracy: float, side: str
) -> None:
    other = make_published(name="other", multiply_adds=multiply_adds, accuracy=accuracy)
    (axes,) = draw_leaderboard(RUNS, [make_published(), other], "MNIST").axes
    assert [text.get_horizontalalignment() for text in axes.texts] == [side, "left"]


BOARD = """\
dataset: optdigits
recipes:
  cnn_optdigits:
    published: none given
    note: null
    seeds: [3]
  short:
    recipe: cnn_optdigits
    settings: {epochs: 1}
    published: none given
    note: null
    seeds: [3]
published: []
"""


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("dataset: mnist", "dataset: expected 'optdigits', which .* received 'mnist'"),
        ("dataset: optdigits", "recipes.cnn_optdigits: expected a file of recipes/, one of none, "),
    ],
)
def test_board_that_params_do_not_fit_is_refused(
    params: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(params)
    BOARD_PATH.parent.mkdir()
    BOARD_PATH.write_text(BOARD)
    with pytest.raises(DigitsError, match=message):
        leaderboard.load_board()


@pytest.mark.checkout
def test_published_name_stands_for_cnn_of_20_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    BOARD_PATH.parent.mkdir()
    shutil.copy(ROOT / BOARD_PATH, BOARD_PATH)
    shutil.copytree(ROOT / "datasets", "datasets")
    entries = YAML(typ="safe").load(BOARD_PATH)["recipes"]
    for name, entry in entries.items():
        RECIPES_DIR.mkdir(exist_ok=True)
        shutil.copy(RECIPES / "cnn.yaml", RECIPES_DIR / f"{entry.get('recipe', name)}.yaml")
    PARAMS_PATH.write_text("dataset: mnist")
    jobs = {job.name: job for job in standings.list_jobs(leaderboard.load_board().entries)}
    assert jobs["leaderboard-cnn_20_epochs-0"].settings == {
        "train.recipe": "cnn",
        "train.seed": 0,
        "recipes/cnn.yaml:epochs": 20,
    }


@pytest.mark.checkout
def test_committed_page_is_that_of_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has changed a recipe has other runs to do, and until then no page to be held to."""
    monkeypatch.chdir(ROOT)
    committed = MARKDOWN_PATH.read_text()
    try:
        board = leaderboard.load_board()
    except DigitsError:  # another dataset is selected
        return
    current = {leaderboard.digest_inputs(job) for job in standings.list_jobs(board.entries)}
    page = leaderboard.render(board, load_ledger(), current)
    if page.splitlines()[0] == committed.splitlines()[0]:
        assert page == committed


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with what the inputs of a job are digested from."""
    for name in ("datasets", "digits", "pipeline"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    text = (ROOT / "tests/params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(re.sub("(?m)^dataset: .*", "dataset: mnist", text))
    shutil.copytree(RECIPES, tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def append(path: str, text: str) -> None:
    Path(path).write_text(Path(path).read_text() + text)


def replace(path: str, pattern: str, text: str) -> None:
    before = Path(path).read_text()
    after = re.sub(pattern, text, before, count=1)
    assert after != before
    Path(path).write_text(after)


JOB = Job("cnn", 1, Entry(published="", note=None, seeds=[1]))


@pytest.mark.usefixtures("sources")
def test_what_makes_a_model_makes_a_run_another() -> None:
    digests = [leaderboard.digest_inputs(JOB)]
    for path in ("pipeline/train.py", "digits/model/networks.py", "digits/data/idx.py"):
        append(path, "\n# changed\n")
        digests.append(leaderboard.digest_inputs(JOB))
    replace("params.yaml", r"validation_fraction: \S+", "validation_fraction: 0.15")
    digests.append(leaderboard.digest_inputs(JOB))
    replace("params.yaml", r"threads: \d+", "threads: 7")
    digests.append(leaderboard.digest_inputs(JOB))
    replace("datasets/mnist.yaml", r"raw_sha256: [0-9a-f]{64}", f"raw_sha256: {'a' * 64}")
    digests.append(leaderboard.digest_inputs(JOB))
    digests.append(leaderboard.digest_inputs(JOB._replace(seed=2)))
    replace("recipes/cnn.yaml", r"filters: 32", "filters: 16")
    digests.append(leaderboard.digest_inputs(JOB))
    replace("recipes/cnn.yaml", r"(?m)(  dense: .*\n)(  dropout: .*\n)", r"\2\1")  # an order
    digests.append(leaderboard.digest_inputs(JOB))
    entry = JOB.entry.model_copy(update={"settings": {"layers.conv1.filters": 8}})
    digests.append(leaderboard.digest_inputs(JOB._replace(entry=entry)))
    assert len(set(digests)) == len(digests)


@pytest.mark.usefixtures("sources")
def test_what_makes_no_model_leaves_a_run_as_it_is() -> None:
    digest = leaderboard.digest_inputs(JOB)
    append("pipeline/evaluate.py", "\n# changed\n")
    append("digits/evaluation/charts.py", "\n# changed\n")
    append("digits/errors.py", "\n# changed\n")
    replace("params.yaml", r"sample_count: \d+", "sample_count: 3")
    replace("params.yaml", r"seed: \d+\n  # CPU", "seed: 9\n  # CPU")  # the job sets its own
    replace("params.yaml", r"recipe: \w+", "recipe: cnn_optdigits")
    append("recipes/quick.yaml", "# changed\n")
    append("recipes/cnn.yaml", "# a comment\n")
    replace("datasets/mnist.yaml", r"title: .*", "title: Other")
    assert leaderboard.digest_inputs(JOB) == digest


def rank(project: Project, *arguments: str, status: int = 0) -> str:
    return project.call("python", "-m", "digits", "leaderboard", *arguments, status=status)


@pytest.fixture
def board(tmp_path: Path) -> Project:
    """Return a project with a leaderboard of its own, and no run yet."""
    project = make_project(tmp_path / "project", "optdigits", "cnn_optdigits")
    path = project.folder / BOARD_PATH
    path.parent.mkdir(exist_ok=True)
    path.write_text(BOARD)
    project.commit("a board")
    return project


def read_files(project: Project) -> list[bytes]:
    return [(project.folder / it).read_bytes() for it in (MARKDOWN_PATH, PICTURE_PATH, LEDGER_PATH)]


@pytest.mark.slow
def test_runs_through_dvc_and_only_once_and_in_a_clone_not_at_all(
    board: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = rank(board, "--only", "cnn_optdigits")
    assert "1 of 1 runs to do" in output
    assert re.findall(r"=== (\S+),", output) == ["leaderboard-cnn_optdigits-3"]
    output = rank(board)
    assert "1 of 2 runs to do" in output
    # fetch has no run-cache, since it looks at what people put into data/raw.
    assert list_runs(output) == ["fetch", "train", "evaluate", "analyze"]
    monkeypatch.chdir(board.folder)
    runs = load_ledger()
    assert [run.recipe for run in runs] == ["cnn_optdigits", "short"]
    for run in runs:
        shown = json.loads(board.call("dvc", "exp", "show", "--json", "--rev", "HEAD"))
        (found,) = (
            it for it in shown[1]["experiments"] if it["name"] == f"leaderboard-{run.recipe}-3"
        )
        data = found["revs"][-1]["data"]
        metrics = {k: v for it in data["metrics"].values() for k, v in it["data"].items()}
        assert run.error_count == metrics["error_count"]
        assert run.accuracy == metrics["accuracy"]
        assert run.val_accuracy == pytest.approx(metrics["val_accuracy"], abs=1e-6)
        assert run.model == data["outs"]["models/model.keras"]["hash"]
        assert run.training_seconds
        assert run.images_seen == 1289 * (2 if run.recipe == "cnn_optdigits" else 1)
    page = (board.folder / MARKDOWN_PATH).read_text()
    assert "Not run yet" not in page
    board.commit("the board changes no run")
    files = read_files(board)
    assert "0 of 2 runs to do" in rank(board)
    assert read_files(board) == files

    clone = board.clone(tmp_path / "clone")  # without data, models, experiments
    for name in (MARKDOWN_PATH, PICTURE_PATH):
        (clone.folder / name).unlink()
    output = rank(clone)
    assert "0 of 2 runs to do" in output
    assert list_runs(output) == []
    assert read_files(clone) == files
    assert clone.call("git", "status", "--porcelain") == ""
    assert not list((clone.folder / "data").rglob("*.npy"))

    clone.change("  threads: 0", "  threads: 1")
    assert "expected everything committed, received changes in params.yaml" in rank(clone, status=1)
    rank(clone, "--no-run")
    assert standings.OLDER in (clone.folder / MARKDOWN_PATH).read_text()

    # A run that was killed before it came into the ledger is taken up: its experiment is there.
    (board.folder / LEDGER_PATH).unlink()
    output = rank(board, "--only", "short")
    assert "1 of 1 runs to do" in output
    assert "train" not in list_runs(output)


def test_ledger_that_was_cut_stops_the_leaderboard_in_one_line(
    tmp_path: Path, trained: Project
) -> None:
    project = trained.copy(tmp_path / "project")
    (project.folder / BOARD_PATH).parent.mkdir(exist_ok=True)
    (project.folder / BOARD_PATH).write_text(BOARD)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        write_ledger(RUNS)
    text = (project.folder / LEDGER_PATH).read_text()
    (project.folder / LEDGER_PATH).write_text(text[: len(text) // 2])
    said = rank(project, status=1)
    assert said.startswith("ERROR: benchmarks/ledger.json: expected a list of runs as JSON")
    assert said.count("\n") == 1
    assert not (project.folder / MARKDOWN_PATH).exists()


def test_machine_is_said_with_its_cores() -> None:
    one = make_run(machine=make_machine(cores=1))
    assert standings.describe_machine(one) == "Abacus, 1 core, float32, TensorFlow 2.21.0"
    assert ledger.describe_machine().cores >= 1
