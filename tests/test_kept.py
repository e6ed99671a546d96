"""What people bring: its content decides, under any name and wrapping, and nothing is lost."""

import gzip
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from ruamel.yaml import YAML

from digits.data import datasets, kept
from digits.data.datasets import load_dataset
from digits.data.folders import list_names
from digits.data.kept import ForeignFilesError
from digits.data.mirrors import UnreachableError
from digits.paths import ORIGINALS_DIR, RAW_DIR
from pipeline import fetch

STEMS = (
    ("train-images", "idx3-ubyte"),
    ("train-labels", "idx1-ubyte"),
    ("t10k-images", "idx3-ubyte"),
    ("t10k-labels", "idx1-ubyte"),
)
NAMES = ["-".join(stem) for stem in STEMS]
Contents = dict[str, bytes]  # raw IDX by published name


@pytest.fixture
def contents(synthetic: Path) -> Contents:
    return {name: gzip.decompress((synthetic / f"{name}.gz").read_bytes()) for name in NAMES}


@pytest.fixture(autouse=True)
def project(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 (the files of `dataset: mnist`)
    """Return a folder without data, now the current one, whose dataset has no mirror left."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    set_mirrors("brought")
    section = {"timeout_seconds": 1, "deadline_seconds": 5}
    Path("params.yaml").write_text(json.dumps({"dataset": "mnist", "fetch": section}))
    return folder


def set_mirrors(*mirrors: str) -> None:
    change_facts(mirrors=list(mirrors))


def change_facts(**changes: object) -> None:
    path = datasets.DATASETS_DIR / "mnist.yaml"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_all(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def pack_all(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def dot(name: str) -> str:
    return name.replace("-idx", ".idx")


def repack(raw: bytes) -> bytes:
    """Pack as `gzip -1` does, with a name and a time in the header."""
    stored = gzip.compress(raw, 1, mtime=1504176606)
    return stored[:3] + b"\x08" + stored[4:10] + b"any.name\0" + stored[10:]


# How others have the four files: a function of their folder and of the contents.
Layout = Callable[[Path, Contents], None]
LAYOUTS: dict[str, Layout] = {
    "published": lambda to, it: write_all(to, {f"{n}.gz": gzip.compress(it[n]) for n in it}),
    "repacked": lambda to, it: write_all(to, {f"{n}.gz": repack(it[n]) for n in it}),
    "gunzipped": write_all,
    "unpacked-by-a-browser": lambda to, it: write_all(to, {f"{n}.gz": it[n] for n in it}),
    "packed-without-suffix": lambda to, it: write_all(to, {n: gzip.compress(it[n]) for n in it}),
    "kaggle": lambda to, it: write_all(to, {dot(n): it[n] for n in it}),
    "kaggle-nested": lambda to, it: write_all(to, {f"{n}/{n}": it[n] for n in it}),
    "kaggle-nested-dots": lambda to, it: write_all(to, {f"{dot(n)}/{dot(n)}": it[n] for n in it}),
    "kaggle-folder-of-dash": lambda to, it: write_all(to, {f"{n}/{dot(n)}": it[n] for n in it}),
    "dots-packed": lambda to, it: write_all(to, {f"{dot(n)}.gz": repack(it[n]) for n in it}),
    "torchvision": lambda to, it: write_all(to, {f"MNIST/raw/{n}": it[n] for n in it}),
    "torchvision-packed": lambda to, it: write_all(
        to, {f"MNIST/raw/{n}.gz": gzip.compress(it[n]) for n in it}
    ),
    "raw-folder": lambda to, it: write_all(to, {f"raw/{n}": it[n] for n in it}),
    "emnist-folder": lambda to, it: write_all(to, {f"gzip/{n}.gz": repack(it[n]) for n in it}),
    "kaggle-zip": lambda to, it: pack_all(to / "archive.zip", {dot(n): it[n] for n in it}),
    "kaggle-zip-nested": lambda to, it: pack_all(
        to / "archive.zip", {f"mnist/{dot(n)}/{dot(n)}": it[n] for n in it}
    ),
    "zip-of-gz": lambda to, it: pack_all(to / "mnist.zip", {f"{n}.gz": repack(it[n]) for n in it}),
    "mixed": lambda to, it: write_all(
        to,
        dict(zip((NAMES[0], dot(NAMES[1]), f"{NAMES[2]}.gz", f"raw/{NAMES[3]}"), it.values(),
                 strict=True)),
    ),
}  # fmt: skip
each_layout = pytest.mark.parametrize("arrange", LAYOUTS.values(), ids=LAYOUTS)


def read_tree(folder: Path) -> dict[str, str]:
    """Digest every file below a folder, by relative path; DVC passes over temporary ones."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".tmp"
    }


def assert_stored(contents: Contents) -> None:
    assert read_tree(RAW_DIR) == {n: sha256(raw).hexdigest() for n, raw in contents.items()}


@each_layout
def test_folder_of_any_layout_gives_the_same_files(
    arrange: Layout, contents: Contents, capsys: pytest.CaptureFixture[str]
) -> None:
    arrange(Path("brought"), contents)
    before = read_tree(Path("brought"))
    fetch.main()
    assert_stored(contents)
    assert read_tree(Path("brought")) == before
    said = capsys.readouterr()
    assert said.err == ""
    for name in NAMES:  # which of them was taken
        assert f"{name}: brought/" in said.out


@each_layout
def test_files_in_data_raw_need_no_mirror_and_are_not_lost(
    arrange: Layout, contents: Contents
) -> None:
    set_mirrors()
    arrange(RAW_DIR, contents)
    before = read_tree(RAW_DIR)
    fetch.main()
    assert_stored(contents)
    after = read_tree(Path("data"))
    assert set(before.values()) <= set(after.values())
    fetch.main()  # once more: nothing to do, nothing lost
    assert_stored(contents)
    assert read_tree(Path("data")) == after


def test_archive_is_a_mirror_and_home_is_expanded(
    contents: Contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    pack_all(tmp_path / "home/Downloads/archive.zip", {dot(n): contents[n] for n in NAMES})
    set_mirrors("~/Downloads/archive.zip")
    fetch.main()
    assert_stored(contents)


def test_wrong_content_under_a_right_name_is_passed_over(contents: Contents) -> None:
    other = {f"{name}.gz": gzip.compress(raw[::-1]) for name, raw in contents.items()}
    write_all(Path("brought"), other)
    write_all(Path("brought"), {dot(name): raw for name, raw in contents.items()})
    fetch.main()
    assert_stored(contents)


@pytest.mark.parametrize(
    "arrange",
    [
        pytest.param(lambda: write_all(RAW_DIR, {"mine.csv": b"1,2"}), id="another-file"),
        pytest.param(lambda: write_all(RAW_DIR, {NAMES[0]: b"my own digits"}), id="same-name"),
        pytest.param(lambda: write_all(RAW_DIR, {NAMES[1]: b""}), id="empty"),
        pytest.param(lambda: write_all(RAW_DIR, {f"{NAMES[2]}.gz": b"\x1f\x8b"}), id="cut"),
        pytest.param(lambda: write_all(RAW_DIR, {"notes/a/b.txt": b"x"}), id="folder"),
        pytest.param(lambda: pack_all(RAW_DIR / "a.zip", {"x": b"y"}), id="archive"),
    ],
)
@pytest.mark.parametrize("reachable", [True, False], ids=["mirror", "no-mirror"])
def test_what_nothing_else_has_is_left_alone(
    arrange: Callable[[], None], contents: Contents, *, reachable: bool
) -> None:
    arrange()
    before = read_tree(RAW_DIR)
    if reachable:
        write_all(Path("brought"), contents)
    with pytest.raises(ForeignFilesError, match="data/raw") as raised:
        fetch.main()
    assert raised.value.exit_status == 1  # not the status after which other data takes its place
    assert read_tree(RAW_DIR) == before
    assert not ORIGINALS_DIR.exists()
    if reachable:
        assert "which DVC's cache does not have: move it elsewhere" in str(raised.value)
        for path in list(RAW_DIR.iterdir()):  # the advice works
            path.rename(path.name)
        fetch.main()
        assert_stored(contents)


def test_three_of_four_files_survive(contents: Contents) -> None:
    write_all(RAW_DIR, {f"{name}.gz": gzip.compress(contents[name]) for name in NAMES[:3]})
    before = read_tree(RAW_DIR)
    with pytest.raises(ForeignFilesError, match=f"no mirror gave {NAMES[3]}"):
        fetch.main()
    assert read_tree(RAW_DIR) == before


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

    @contextmanager
    def at(self, number: int, *, is_final: bool) -> Iterator[None]:
        self.armed, self.is_final, self.left = True, is_final, number
        try:
            yield
        finally:
            self.armed = False


@pytest.fixture(scope="module")
def breaker() -> Breaker:
    return Breaker()


@pytest.mark.parametrize("is_final", [False, True], ids=["interrupted", "killed"])
@pytest.mark.parametrize("layout", ["published", "gunzipped", "kaggle-nested", "kaggle-zip"])
def test_broken_off_at_any_change_of_the_disk(
    layout: str, *, is_final: bool, contents: Contents, breaker: Breaker
) -> None:
    set_mirrors()
    LAYOUTS[layout](RAW_DIR, contents)
    shutil.copytree("data", "brought.tmp")
    before = set(read_tree(RAW_DIR).values())
    broken_off = True
    for number in range(1, 100):
        try:
            with breaker.at(number, is_final=is_final):
                fetch.main()
            broken_off = False
        except KeyboardInterrupt:
            pass
        assert before <= set(read_tree(Path("data")).values())
        fetch.main()
        assert_stored(contents)
        assert before <= set(read_tree(Path("data")).values())
        shutil.rmtree("data")
        shutil.copytree("brought.tmp", "data")
        if not broken_off:
            break
    assert number == 1 or layout != "gunzipped"  # there, nothing is to be done
    assert number > 10 or layout == "gunzipped"


def cache_all(folder: Path, files: dict[str, bytes]) -> None:
    """Keep contents as DVC does."""
    for data in files.values():
        name = md5(data, usedforsecurity=False).hexdigest()
        write_all(folder, {f"{name[:2]}/{name[2:]}": data})


def test_other_dataset_in_the_cache_makes_room(
    contents: Contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(kept, "find_cache_dir", lambda: cache)
    other = {"letters-images": b"i" * 50, "letters/labels": b"l", NAMES[0]: b"same name"}
    write_all(RAW_DIR, other)
    cache_all(cache, other)
    write_all(Path("brought"), contents)
    fetch.main()
    assert_stored(contents)


def test_cache_gives_back_what_another_run_has_left(
    contents: Contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(kept, "find_cache_dir", lambda: cache)
    cache_all(cache, contents | {"of the same size": contents[NAMES[1]][::-1]})
    fetch.main()
    assert_stored(contents)


def test_without_a_digest_another_run_s_files_are_not_taken(
    contents: Contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All datasets may use MNIST's names; their own folder says which files are meant."""
    monkeypatch.setattr(kept, "find_cache_dir", lambda: tmp_path / "cache")
    fields = ("train_images", "train_labels", "test_images", "test_labels")
    change_facts(**{field: {"name": name} for field, name in zip(fields, NAMES, strict=True)})
    others = {name: raw[:-1] + b"\1" for name, raw in contents.items()}
    write_all(RAW_DIR, others)
    cache_all(tmp_path / "cache", others)
    with pytest.raises(UnreachableError):
        fetch.main()
    write_all(Path("brought"), contents)
    fetch.main()
    assert_stored(contents)


def test_refusal_says_what_the_folder_holds() -> None:
    write_all(Path("brought"), {"mnist.npz": b"PK\x03\x04", "sub/x": b"", ".hidden": b""})
    with pytest.raises(UnreachableError, match=r"in this folder, which holds mnist\.npz, sub/\n"):
        fetch.main()
    shutil.rmtree("brought")
    Path("brought").mkdir()
    with pytest.raises(UnreachableError, match="in this folder, which is empty"):
        fetch.main()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda data: data[: len(data) // 2], "not a zip file"),
        (lambda data: data.replace(b"PK\x01\x02", b"PK\x01\x03"), "Bad magic number"),
        (lambda data: data[:200] + bytes(50) + data[250:], "archive.zip"),
    ],
    ids=["cut", "directory", "content"],
)
def test_damaged_archive_is_one_line(
    spoil: Callable[[bytes], bytes], reason: str, contents: Contents
) -> None:
    path = Path("brought/archive.zip")
    pack_all(path, contents)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UnreachableError, match=reason):
        fetch.main()


def test_bomb_in_an_archive_is_not_unpacked(contents: Contents) -> None:
    bomb = bytes(200_000_000)
    pack_all(Path("brought/archive.zip"), contents | {NAMES[0]: bomb})
    with pytest.raises(UnreachableError, match=r"bytes unpacked, at most .* received more"):
        fetch.main()


def test_names_are_those_of_any_dataset() -> None:
    names = list_names("emnist-letters-train-images-idx3-ubyte")
    assert names[0] == "emnist-letters-train-images-idx3-ubyte.gz"
    assert "emnist-letters-train-images.idx3-ubyte" in names
    assert len(set(list_names("letters.bin"))) == len(list_names("letters.bin"))


@pytest.mark.remotes
def test_debian_s_fashion_mnist_is_the_published_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The package has the same content under other gzip headers."""
    command = ["apt-get", "download", "-q", "dataset-fashion-mnist"]
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}")
    (package,) = tmp_path.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path / "debian"], check=True)
    folder = tmp_path / "debian/usr/share/datasets/fashion-mnist"
    facts = YAML(typ="safe").load(ROOT / "datasets/fashion-mnist.yaml") | {"mirrors": [str(folder)]}
    monkeypatch.setattr(datasets, "DATASETS_DIR", tmp_path / "datasets")
    (datasets.DATASETS_DIR / "fashion-mnist.yaml").write_text(json.dumps(facts))
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("mnist", "fashion-mnist"))
    fetch.main()
    digests = {file.name: file.raw_sha256 for file in load_dataset("fashion-mnist").files}
    assert read_tree(RAW_DIR) == digests
