"""The page of promises: every test that it names exists, and every bad input has one."""

import re

from imports import ROOT

PAGE = (ROOT / "docs/reliability.md").read_text()
TESTS = {path.name: path.read_text() for path in (ROOT / "tests").glob("test_*.py")}
BAD_INPUT_COUNT = 67


def test_named_tests_exist() -> None:
    name = ""
    for file, test in re.findall(r"`(test_\w+\.py)?(?:::(test_\w+))?`", PAGE):
        name = file or name
        assert f"def {test}" in TESTS.get(name, ""), f"{name}::{test}"


def test_every_bad_input_has_a_test() -> None:
    _, listed = PAGE.split("## The 67 bad inputs")
    numbers = [int(found) for found in re.findall(r"(?:\*\*|·)\s(\d+)\s", listed)]
    assert sorted(numbers) == list(range(1, BAD_INPUT_COUNT + 1))
    # "07-..." in an id, or test_07_...
    held = {
        int(found)
        for text in TESTS.values()
        for found in re.findall(r'(?:def test_|"|\[")(\d\d)[-_]', text)
    }
    assert set(numbers) <= held
