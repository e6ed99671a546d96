"""What lies in `data/raw` survives `fetch`, however it ends."""

import json
import os
import shutil
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from layouts import BROUGHT, LAYOUTS, Contents, cache_all, write

from digits.data import raw_store
from digits.data.finding import UnreachableError
from digits.errors import DigitsError
from digits.paths import ORIGINALS_DIR, RAW_DIR
from pipeline import fetch


@pytest.fixture(autouse=True)
def params(bare_project: None) -> None:  # noqa: ARG001 (its folder)
    """Write what `fetch` needs to know."""
    waits = {"timeout_seconds": 1, "deadline_seconds": 60}
    Path("params.yaml").write_text(json.dumps({"dataset": "mnist", "fetch": waits}))


def read_tree(folder: Path) -> Contents:
    """Read every file below a folder, by relative path; DVC passes over temporary ones."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".tmp"
    }


@pytest.mark.parametrize("name", ["mine.csv", "train-images-idx3-ubyte"])
@pytest.mark.parametrize("data", [b"my own digits", b"\x1f\x8b"], ids=["mine", "cut"])
def test_what_belongs_to_no_dataset_is_moved_and_said(
    name: str, data: bytes, contents: Contents, capsys: pytest.CaptureFixture[str]
) -> None:
    write(contents, BROUGHT)
    for number in (1, 2):  # the second does not take the place of the first
        write({name: data + bytes(number)}, RAW_DIR)
        fetch.main()
        assert read_tree(RAW_DIR) == contents
        target = ORIGINALS_DIR / str(number) / name
        assert f"{RAW_DIR / name}: moved to {target}\n" in capsys.readouterr().out
        assert target.read_bytes() == data + bytes(number)


def test_without_a_mirror_all_is_left_as_it_is(contents: Contents) -> None:
    first, *others = contents
    write({name: contents[name] for name in others} | {"a/notes.txt": b"mine"}, RAW_DIR)
    before = read_tree(Path("data"))
    with pytest.raises(DigitsError, match=f"no mirror gave {first}") as raised:
        fetch.main()
    assert raised.value.exit_status == 1  # not the status after which other data takes its place
    assert str(raised.value).splitlines()[-1].startswith(f"Left as they are: {RAW_DIR}/a, ")
    assert read_tree(Path("data")) == before


@pytest.mark.parametrize("own", [True, False], ids=["own", "other"])
@pytest.mark.parametrize("linked", [True, False], ids=["linked", "copied"])
def test_what_is_cached_makes_room(
    contents: Contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, own: bool, linked: bool
) -> None:
    """It is another dataset's that ran before; DVC may have made links to its cache."""
    name, raw = next(iter(contents.items()))
    data = raw if own else b"of another dataset"
    cache_all(tmp_path / "cache", {name: data})
    (cached,) = (tmp_path / "cache").glob("*/*")
    monkeypatch.setattr(raw_store, "find_cache_dir", lambda: tmp_path / "cache")
    RAW_DIR.mkdir(parents=True)
    for path in (RAW_DIR / name, RAW_DIR / "letters"):
        if linked:
            path.symlink_to(cached)
        else:
            path.write_bytes(data)
    with pytest.raises(UnreachableError):  # nobody's only copy is in the way of other data
        fetch.main()
    write(contents, BROUGHT)
    fetch.main()
    assert read_tree(RAW_DIR) == contents
    assert not ORIGINALS_DIR.exists()
    assert (RAW_DIR / name).is_symlink() == (own and linked)
    assert cached.read_bytes() == data


def test_links_pipes_and_large_files_are_moved_and_not_read(contents: Contents) -> None:
    write(contents, BROUGHT)
    RAW_DIR.mkdir(parents=True)
    first, second, third, _ = contents
    (RAW_DIR / first).symlink_to("gone")
    os.mkfifo(RAW_DIR / second)
    for name in ("film.bin", third):
        with (RAW_DIR / name).open("wb") as file:
            file.truncate(1 << 31)
    tracemalloc.start()
    try:
        fetch.main()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read_tree(RAW_DIR) == contents
    assert (ORIGINALS_DIR / "1" / first).is_symlink()
    assert (ORIGINALS_DIR / "1" / second).is_fifo()
    assert peak < 5_000_000


class Breaker:
    """Break this process off before its change of the disk of a given number.

    As Ctrl-C does, once, so that handlers clean up; or as `kill -9`, after which nothing changes.
    """

    CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.move", "shutil.rmtree")

    def __init__(self) -> None:
        self.armed, self.is_final, self.left = False, False, 0
        sys.addaudithook(self._hook)  # for good: Python takes none back

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and arguments[1] != "r"
        if not self.armed or not (event in self.CHANGES or (writes and "b" in arguments[1])):
            return
        self.left -= 1
        if self.left == 0 or (self.is_final and self.left < 0):
            raise KeyboardInterrupt

    def fetch(self, number: int, *, is_final: bool) -> bool:
        """Tell whether there was a change of this number, at which `fetch` was broken off."""
        self.armed, self.is_final, self.left = True, is_final, number
        try:
            fetch.main()
        except KeyboardInterrupt:
            return True
        finally:
            self.armed = False
        return False


@pytest.fixture(scope="module")
def breaker() -> Breaker:
    return Breaker()


@pytest.mark.parametrize("is_final", [False, True], ids=["interrupted", "killed"])
@pytest.mark.parametrize("layout", ["gunzipped", "published", "kaggle-nested", "zip"])
def test_broken_off_at_any_change_of_the_disk(
    layout: str, *, is_final: bool, contents: Contents, breaker: Breaker
) -> None:
    write(LAYOUTS[layout](contents), RAW_DIR)
    shutil.copytree("data", "brought.tmp")
    before = set(read_tree(RAW_DIR).values())
    for number in range(1, 100):
        was_broken_off = breaker.fetch(number, is_final=is_final)
        assert before <= set(read_tree(Path("data")).values())
        fetch.main()
        assert read_tree(RAW_DIR) == contents
        assert before <= set(read_tree(Path("data")).values())
        shutil.rmtree("data")
        shutil.copytree("brought.tmp", "data")
        if not was_broken_off:
            break
    assert number == 1 if layout == "gunzipped" else number > 10  # there, nothing is to be done
