"""What datasets, ledgers and branches say is shown as text, never obeyed."""

import json
import re
from pathlib import Path

import pytest
from imports import ROOT
from pydantic import ValidationError
from ruamel.yaml import YAML
from runs import make_machine, make_published, make_run

from digits.commands import docs, pr_report
from digits.commands.leaderboard.page import Entry, write_markdown
from digits.commands.markdown import escape
from digits.config import ConfigError
from digits.data import datasets
from digits.data.splits import Card

CARD = {"name": "x", "title": "x", "class_names": ["a", "b"], "image_counts": {}}
EVIL = "a|b`<img src=x>`[c](http://d)@e\\"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "a\nb", "\u202eb", "\x9b2J"])
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
        with pytest.raises(ValidationError, match="control characters"):
            Card.model_validate(CARD | change)


def test_leaderboard_shows_names_and_no_more() -> None:
    entry = Entry(published=EVIL, note=None, seeds=[0, 1])
    run = make_run(recipe=EVIL, machine=make_machine(processor=EVIL, tensorflow=EVIL))
    older = run.model_copy(update={"inputs": "f" * 64})
    others = [make_published(name=EVIL, protocol=EVIL)]
    page = write_markdown([run, older], [run.inputs], {EVIL: entry}, others, EVIL)
    # Title, twice name, published, processor and library; what is missing; use; name and protocol.
    assert page.count(escape(EVIL)) == 1 + 2 * 4 + 1 + 1 + 2
    assert EVIL not in page
    assert "<img" not in page
    row = docs.shorten_leaderboard(page).splitlines()[2]
    assert [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:3]] == [escape(EVIL)] * 2


def test_comment_is_cut_by_bytes() -> None:
    page = pr_report.cut("a" + "é" * 50_000)
    assert len(page.encode()) <= 65_536
    assert page.endswith(f"é{pr_report.CUT}")
    assert pr_report.cut("é" * 30_000) == "é" * 30_000
