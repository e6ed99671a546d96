"""Fetch the dataset's four IDX files, verified, into `data/raw`."""

import os
import sys
from typing import Annotated

from pydantic import AfterValidator, Field

from digits.data import download, optdigits
from digits.data.datasets import DATASETS, Dataset, DatasetName, RawFile
from digits.data.raw import RawFileError, unpack
from digits.errors import DigitsError
from digits.files.artifacts import write_bytes
from digits.files.params import Params, load_params
from digits.paths import RAW_DIR
from digits.stage import run

DAY_SECONDS = 86_400  # more is a mistake, and soon more than a timer can count

Mirror = Annotated[str, AfterValidator(download.check_mirror)]


class FetchParams(Params):
    """Where to look, in order, and how long to wait."""

    mirrors: dict[DatasetName, list[Mirror]]
    timeout_seconds: float = Field(gt=0, le=DAY_SECONDS)
    deadline_seconds: float = Field(gt=0, le=DAY_SECONDS)


class UnreachableError(DigitsError):
    """No mirror gave a good file. The exit status lets `make repro` tell this from the rest."""

    exit_status = os.EX_UNAVAILABLE


def fetch_all(dataset: Dataset, mirrors: list[str], params: FetchParams) -> dict[RawFile, bytes]:
    """Return the dataset's files as published; those already in `data/raw` need no mirror.

    Raises:
        UnreachableError: no mirror gives one of them.
    """
    files = {}
    failures: dict[str, str] = {}
    for file in dataset.files:
        files[file] = read_kept(file)
        if not files[file]:
            # A mirror that failed before is asked last: its silence is not waited for again.
            mirrors = sorted(mirrors, key=failures.__contains__)
            files[file] = fetch_file(file, mirrors, params, failures)
    return files


def read_kept(file: RawFile) -> bytes:
    """Return the file in `data/raw` if it is the dataset's, else nothing."""
    path = RAW_DIR / file.gzip_name
    if not path.is_file():
        return b""
    try:
        packed = path.read_bytes()
        unpack(file, packed)
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
            unpack(file, packed)
        except (download.MirrorError, RawFileError) as error:
            failures[mirror] = str(error)
            if not isinstance(error, download.FolderAbsentError):
                print(f"WARNING: {mirror}: {error}", file=sys.stderr)
        else:
            print(f"{file.gzip_name}: {len(packed):,} bytes from {mirror}")
            return packed
    reasons = "\n".join(f"  {mirror}: {failures[mirror]}" for mirror in mirrors)
    raise UnreachableError(f"no mirror gave {file.gzip_name}\n{reasons or '  none is listed'}")


def explain_ways_on(name: DatasetName, mirrors: list[str]) -> str:
    """Say what a person can do when no mirror has the dataset."""
    folder = next((mirror for mirror in mirrors if "://" not in mirror), "a folder of your own")
    return (
        f"Put the four *-ubyte.gz files of {name} into {folder} (see fetch.mirrors in params.yaml),"
        "\nor use the embedded dataset: "
        "dvc exp run -S dataset=optdigits -S train.recipe=cnn_optdigits"
    )


def main() -> None:
    name: DatasetName = load_params("dataset", DatasetName)
    params = load_params("fetch", FetchParams)
    if name == "optdigits":
        files = optdigits.read_optdigits()
    else:
        mirrors = params.mirrors.get(name, [])
        try:
            fetched = fetch_all(DATASETS[name], mirrors, params)
        except UnreachableError as error:
            raise UnreachableError(f"{name}: {error}\n{explain_ways_on(name, mirrors)}") from error
        files = {file.gzip_name: packed for file, packed in fetched.items()}
    for file_name, packed in files.items():
        write_bytes(RAW_DIR / file_name, packed)
    print(f"{DATASETS[name].title}: {len(files)} verified files in {RAW_DIR}")


if __name__ == "__main__":
    run(main)
