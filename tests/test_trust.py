"""What datasets, ledgers and branches say is shown as text, never obeyed."""

import json
from pathlib import Path

import pytest
from imports import ROOT
from ruamel.yaml import YAML
from runs import MACHINE, make_published, make_run

from digits.commands.leaderboard.jobs import Board, Job
from digits.commands.leaderboard.page import rank_recipes, write_page
from digits.config import ConfigError
from digits.data import datasets
from digits.markdown import escape

EVIL = "a|b`<img src=x>`[c](http://d)@e\\"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202eb"])
def test_text_that_a_terminal_obeys_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = YAML(typ="safe").load(ROOT / "datasets/fashion-mnist.yaml")
    monkeypatch.setattr(datasets, "DATASETS_DIR", tmp_path)
    for change in ({"title": text}, {"class_names": [text, *facts["class_names"][1:]]}):
        (tmp_path / "own.yaml").write_text(json.dumps(facts | change))
        with pytest.raises(ConfigError, match="control character") as raised:
            datasets.load_dataset("own")
        assert str(raised.value).isprintable()


def test_leaderboard_shows_names_and_no_more() -> None:
    others = [make_published(name=EVIL, protocol=EVIL)]
    board = Board(dataset="x", recipes={EVIL: [0, 1]}, published=others)
    machine = MACHINE | {"processor": EVIL, "tensorflow": EVIL}
    ranking = rank_recipes([make_run(recipe=EVIL, machine=machine)])
    page = write_page(ranking, [Job(EVIL, 1)], board, EVIL, 1)
    assert page.count(escape(EVIL)) > 5
    assert EVIL not in page
    assert "<img" not in page
