"""Fetch the dataset's four IDX files, verified, into `data/raw`."""

import hashlib
import os
import sys

from pydantic import Field

from digits.data import download, idx, optdigits
from digits.data.datasets import DATASETS_DIR, Dataset, RawFile, load_dataset
from digits.data.raw import RawFileError, unpack
from digits.errors import DigitsError
from digits.files.artifacts import write_bytes
from digits.files.params import Params, load_params
from digits.paths import RAW_DIR
from digits.stage import run

DAY_SECONDS = 86_400  # more is a mistake, and soon more than a timer can count


class FetchParams(Params):
    """How long to wait for a mirror."""

    timeout_seconds: float = Field(gt=0, le=DAY_SECONDS)
    deadline_seconds: float = Field(gt=0, le=DAY_SECONDS)


class UnreachableError(DigitsError):
    """No mirror gave a good file. The exit status lets `make repro` tell this from the rest."""

    exit_status = os.EX_UNAVAILABLE


def fetch_all(dataset: Dataset, params: FetchParams) -> dict[str, bytes]:
    """Return the dataset's files as published; those already in `data/raw` need no mirror.

    Raises:
        UnreachableError: no mirror gives one of them.
    """
    files = {}
    failures: dict[str, str] = {}
    for file in dataset.files:
        # A mirror that failed before is asked last: its silence is not waited for again.
        mirrors = sorted(dataset.mirrors, key=failures.__contains__)
        files[file.gzip_name] = read_kept(file) or fetch_file(file, mirrors, params, failures)
    return files


def read_kept(file: RawFile) -> bytes:
    """Return the file in `data/raw` if it is the dataset's, else nothing."""
    path = RAW_DIR / file.gzip_name
    if not path.is_file():
        return b""
    try:
        packed = path.read_bytes()
        check_file(file, packed)
    except RawFileError as error:
        print(f"WARNING: {path} is fetched again: {error}", file=sys.stderr)
        return b""
    print(f"{file.gzip_name}: already there")
    return packed


def fetch_file(
    file: RawFile, mirrors: list[str], params: FetchParams, failures: dict[str, str]
) -> bytes:
    """Return the file from the first mirror whose copy is the dataset's; note why others failed.

    Raises:
        UnreachableError: no mirror's copy is; the message gives each one's reason.
    """
    for mirror in mirrors:
        try:
            packed = download.read_mirror(
                mirror,
                file.gzip_name,
                file.largest_size,
                timeout_seconds=params.timeout_seconds,
                deadline_seconds=params.deadline_seconds,
            )
            check_file(file, packed)
        except (download.MirrorError, RawFileError) as error:
            failures[mirror] = str(error)
            if not isinstance(error, download.FolderAbsentError):
                print(f"WARNING: {mirror}: {error}", file=sys.stderr)
        else:
            print(f"{file.gzip_name}: {len(packed):,} bytes from {mirror}")
            return packed
    reasons = "\n".join(f"  {mirror}: {failures[mirror]}" for mirror in mirrors)
    raise UnreachableError(f"no mirror gave {file.gzip_name}\n{reasons or '  none is listed'}")


def check_file(file: RawFile, packed: bytes) -> None:
    """Refuse a file that is not the dataset's; without a digest, one that is not in IDX format.

    Raises:
        RawFileError: why it is refused.
    """
    raw = unpack(file, packed)
    if file.has_digest:
        return
    try:
        idx.decode(raw)
    except idx.IdxFormatError as error:
        raise RawFileError(f"{file.name}: {error}") from error
    print(
        f"WARNING: {file.name}: no digest in {DATASETS_DIR}/ says what must be in it; received "
        f"raw_size: {len(raw)}, raw_sha256: {hashlib.sha256(raw).hexdigest()}",
        file=sys.stderr,
    )


def explain_ways_on(name: str, mirrors: list[str]) -> str:
    """Say what a person can do when no mirror has the dataset."""
    folder = next((mirror for mirror in mirrors if "://" not in mirror), "a folder of your own")
    return (
        f"Put the four *-ubyte.gz files of {name} into {folder} "
        f"(see mirrors in {DATASETS_DIR}/{name}.yaml),"
        "\nor use the embedded dataset: "
        "dvc exp run -S dataset=optdigits -S train.recipe=cnn_optdigits"
    )


def main() -> None:
    name = load_params("dataset", str)
    dataset, params = load_dataset(name), load_params("fetch", FetchParams)
    if dataset.source == "scikit-learn":
        files = optdigits.read_optdigits(dataset)
    else:
        try:
            files = fetch_all(dataset, params)
        except UnreachableError as error:
            ways = explain_ways_on(name, dataset.mirrors)
            raise UnreachableError(f"{name}: {error}\n{ways}") from error
    for file_name, packed in files.items():
        write_bytes(RAW_DIR / file_name, packed)
    print(f"{dataset.title}: {len(files)} verified files in {RAW_DIR}")


if __name__ == "__main__":
    run(main)
