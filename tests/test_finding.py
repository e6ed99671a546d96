"""What people bring: its content decides, under any name and wrapping, in folders and archives."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import layouts
import pytest
from layouts import BROUGHT, LAYOUTS, NAMES, Contents, drop_digests, make_zip, rename, write

from digits.data import raw_store
from digits.data.datasets import load_dataset
from digits.data.finding import UnreachableError, find_files
from digits.paths import ORIGINALS_DIR, RAW_DIR

pytestmark = pytest.mark.usefixtures("bare_project")


def find() -> Contents:
    return find_files(load_dataset("mnist"), 1, 60)


def find_nothing() -> str:
    with pytest.raises(UnreachableError) as raised:
        find()
    return str(raised.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same_files(
    layout: str, contents: Contents, capsys: pytest.CaptureFixture[str]
) -> None:
    place = RAW_DIR if layout == "clutter" else BROUGHT
    write(LAYOUTS[layout](contents), place)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert find() == contents
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before
    said = capsys.readouterr()
    assert said.err == ""
    for name in NAMES:  # which of them was taken
        assert f"{name}: {place}/" in said.out


@pytest.mark.parametrize("layout", ["published", "kaggle-nested", "clutter", "tar-gz"])
def test_without_a_digest_the_name_decides(layout: str, contents: Contents) -> None:
    others = rename(contents, "emnist-{}".format) | {"notes.txt": b"train-images-idx3-ubyte"}
    write(LAYOUTS[layout](contents) | {name: raw[::-1] for name, raw in others.items()}, BROUGHT)
    drop_digests()
    assert find() == contents


def test_without_a_digest_two_that_differ_are_both_left(contents: Contents) -> None:
    other = contents[NAMES[0]][:-1] + b"\1"
    write(layouts.pack(contents) | {f"older/{NAMES[0]}": other}, BROUGHT)
    drop_digests()
    first, second = BROUGHT / "older" / NAMES[0], BROUGHT / f"{NAMES[0]}.gz"
    assert f"{NAMES[0]}: {second} and {first} differ" in find_nothing()


@pytest.mark.parametrize("name", ["{}.GZ", "{} - Copy.gz", "{} copy 2.gz", "{}.gz.1", "{}(2)"])
def test_without_a_digest_copies_have_the_name(name: str, contents: Contents) -> None:
    raw = contents.pop(NAMES[0])
    write(contents | {name.format(NAMES[0]): raw}, BROUGHT)
    drop_digests()
    assert find()[NAMES[0]] == raw


@pytest.mark.parametrize("name", ["{}.gz.part", "my-{}", "{}-of-mine", ".{}"])
def test_without_a_digest_others_do_not(name: str, contents: Contents) -> None:
    raw = contents.pop(NAMES[0])
    write(contents | {name.format(NAMES[0]): raw, NAMES[1]: b"<html>"}, BROUGHT)
    drop_digests()
    said = find_nothing()
    assert f"no mirror gave {NAMES[0]}" in said
    assert f"{BROUGHT / NAMES[1]}: {NAMES[1]}: IDX header" in said  # content is looked at


def test_without_a_digest_another_run_s_files_are_not_taken(
    contents: Contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All datasets may use MNIST's names; their own folder says which files are meant."""
    monkeypatch.setattr(raw_store, "find_cache_dir", lambda: tmp_path / "cache")
    drop_digests()
    others = {name: raw[:-1] + b"\1" for name, raw in contents.items()}
    write(others, RAW_DIR)
    write(layouts.pack(others), ORIGINALS_DIR)
    layouts.cache_all(tmp_path / "cache", others)
    find_nothing()
    write(contents, BROUGHT)
    assert find() == contents


def test_cache_gives_back_what_another_run_has_left(
    contents: Contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(raw_store, "find_cache_dir", lambda: tmp_path / "cache")
    layouts.cache_all(tmp_path / "cache", contents | {"of the same size": contents[NAMES[1]][::-1]})
    assert find() == contents


def test_archive_is_a_mirror_and_home_is_expanded(
    contents: Contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write(make_zip(rename(contents, layouts.dot)), tmp_path / "home/Downloads")
    layouts.change_facts(mirrors=["~/Downloads/archive.zip"])
    assert find() == contents


def test_wrong_content_under_a_right_name_is_passed_over_and_said(
    contents: Contents, capsys: pytest.CaptureFixture[str]
) -> None:
    write({f"a/{name}.gz": gzip.compress(raw[::-1]) for name, raw in contents.items()}, BROUGHT)
    write(rename(contents, layouts.dot), BROUGHT / "b")
    assert find() == contents
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith(f"WARNING: {BROUGHT}/a/t10k-images-idx3-ubyte.gz: {NAMES[2]}: expected")
    assert len(others) == 3


def test_three_of_four_files_name_the_fourth(contents: Contents) -> None:
    write({name: contents[name] for name in NAMES[:3]}, RAW_DIR)
    assert find_nothing() == f"no mirror gave {NAMES[3]}\n  {BROUGHT}: no such folder"
    write({NAMES[3]: contents[NAMES[3]]}, BROUGHT)
    assert find() == contents


# Damage


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def damage(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(50) + data[middle + 50 :]


@pytest.mark.parametrize("spoil", [cut, damage])
@pytest.mark.parametrize("layout", ["published", "gunzipped", "zip", "tar-gz", "zip-in-a-zip"])
def test_damage_is_a_line_that_names_the_file(
    layout: str, spoil: Callable[[bytes], bytes], contents: Contents
) -> None:
    write({name: spoil(data) for name, data in LAYOUTS[layout](contents).items()}, BROUGHT)
    first, *reasons = find_nothing().splitlines()
    assert first.startswith("no mirror gave ")
    assert reasons
    assert all(reason.startswith(f"  {BROUGHT}/") for reason in reasons)


@pytest.mark.parametrize("wrap", [
    lambda bomb: {f"{NAMES[0]}.gz": gzip.compress(bomb)},
    lambda bomb: make_zip(make_zip({"x": bomb, f"{NAMES[0]}.gz": gzip.compress(bomb)})),
    lambda bomb: layouts.make_tar({"x": bomb, NAMES[0]: bomb}, "mnist.tar.gz", "w:gz"),
], ids=["gz", "zip-in-a-zip", "tar-gz"])  # fmt: skip
def test_bomb_is_a_line_and_costs_no_memory(wrap: Callable[[bytes], Contents]) -> None:
    write(wrap(bytes(50_000_000)), BROUGHT)
    tracemalloc.start()
    try:
        said = find_nothing()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"{NAMES[0]}: expected " in said
    assert peak < 5_000_000


def test_archive_in_archives_ends(contents: Contents) -> None:
    files = make_zip(contents)
    for _ in range(6):
        files = make_zip(files)
    write(files, BROUGHT)
    find_nothing()


# Links and special files


def test_links_are_followed_and_circles_end(contents: Contents, tmp_path: Path) -> None:
    write(contents, tmp_path / "elsewhere")
    BROUGHT.mkdir()
    for name in ("one", "two"):
        (BROUGHT / name).symlink_to(BROUGHT.absolute())
        (tmp_path / "elsewhere" / name).symlink_to(BROUGHT.absolute())
    (BROUGHT / "three").symlink_to(tmp_path / "elsewhere")
    (BROUGHT / "nowhere").symlink_to("gone")
    assert find() == contents
