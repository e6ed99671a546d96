"""How others have a dataset's four files: packed, renamed, in folders and archives."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

from digits.data import datasets

STEMS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
NAMES = [f"{stem}-ubyte" for stem in STEMS]
FIELDS = ("train_images", "train_labels", "test_images", "test_labels")
# What the file of a dataset says, besides its classes.
FACTS: dict[str, Any] = {"title": "Runes", "licence": "none"}
FACTS |= {field: {"name": field} for field in FIELDS}
BROUGHT = Path("brought")
Contents = dict[str, bytes]  # by file name


def change_facts(**changes: object) -> None:
    """Change what the file of `dataset: mnist` says."""
    path = datasets.DATASETS_DIR / "mnist.yaml"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def drop_digests() -> None:
    """Leave only the names of the files in it."""
    change_facts(**{field: {"name": name} for field, name in zip(FIELDS, NAMES, strict=True)})


def unpack_all(folder: Path) -> Contents:
    return {path.stem: gzip.decompress(path.read_bytes()) for path in folder.glob("*.gz")}


def cache_all(folder: Path, files: Contents) -> None:
    """Keep contents as DVC does."""
    names = {md5(data, usedforsecurity=False).hexdigest(): data for data in files.values()}
    write({f"{name[:2]}/{name[2:]}": data for name, data in names.items()}, folder)


def write(files: Contents, folder: Path) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def pack(files: Contents) -> Contents:
    return {f"{name}.gz": gzip.compress(raw) for name, raw in files.items()}


def rename(files: Contents, way: Callable[[str], str]) -> Contents:
    return {way(name): data for name, data in files.items()}


def dot(name: str) -> str:
    return name.replace("-idx", ".idx")


def make_zip(files: Contents, name: str = "archive.zip") -> Contents:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return {name: stream.getvalue()}


def make_tar(files: Contents, name: str, mode: str = "w") -> Contents:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for member, data in files.items():
            header = tarfile.TarInfo(member)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return {name: stream.getvalue()}


def clutter(files: Contents) -> Contents:
    """Add what systems leave beside files; in `._NAME` lies what is no content at all."""
    beside = dict.fromkeys((".DS_Store", "Thumbs.db", "desktop.ini"), b"\0\0\0\1Bud1")
    forks = {f"._{name}": b"\0\5\x16\7" for name in files}
    return files | beside | forks | rename(forks, "__MACOSX/{}".format)


LAYOUTS: dict[str, Callable[[Contents], Contents]] = {
    "published": pack,
    "gunzipped": lambda files: files,
    "unpacked-by-a-browser": lambda files: rename(files, "{}.gz".format),
    "kaggle-nested": lambda files: rename(files, lambda name: f"{dot(name)}/{name}"),
    "torchvision": lambda files: rename(files | pack(files), "MNIST/raw/{}".format),
    "any-name": lambda files: rename(pack(files), lambda name: sha256(name.encode()).hexdigest()),
    "clutter": lambda files: clutter(pack(files)),
    "zip": lambda files: make_zip(rename(files, "mnist/{}".format)),
    "zip-of-gz-without-suffix": lambda files: make_zip(clutter(pack(files)), "download"),
    "zip-in-a-zip": lambda files: make_zip(make_zip(pack(files))),
    "tar": lambda files: make_tar(rename(files, "./{}".format), "mnist.tar"),
    "tar-gz": lambda files: make_tar(clutter(pack(files)), "mnist.tar.gz", "w:gz"),
    "tar-in-a-zip": lambda files: make_zip(make_tar(files, "mnist.tgz", "w:gz")),
    "zip-of-a-folder-above": lambda files: make_zip(rename(files, "../mnist/{}".format)),
    "mixed": lambda files: make_zip({name: files[name] for name in NAMES[:2]}) | pack(files),
}
