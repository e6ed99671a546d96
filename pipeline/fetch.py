"""Fetch the dataset's four IDX files, verified and unpacked, into `data/raw`."""

import hashlib
import sys
from collections.abc import Mapping

from pydantic import Field

from digits.config import Section, load_params
from digits.data import optdigits
from digits.data.datasets import DATASETS_DIR, Dataset, load_dataset
from digits.data.kept import (
    Cache,
    ForeignFilesError,
    clear,
    is_stored,
    list_unsaved,
)
from digits.data.mirrors import Mirrors, UnreachableError, find_files
from digits.files.artifacts import write_bytes
from digits.paths import RAW_DIR
from digits.stage import run

DAY_SECONDS = 86_400  # more is a mistake, and soon more than a timer can count


class FetchParams(Section):
    """How long to wait for a mirror."""

    timeout_seconds: float = Field(gt=0, le=DAY_SECONDS)
    deadline_seconds: float = Field(gt=0, le=DAY_SECONDS)


def warn_of_missing_digests(dataset: Dataset, files: Mapping[str, bytes]) -> None:
    """Warn about files without a checksum, and say which to write there."""
    for file in dataset.files:
        if not file.has_digest:
            raw = files[file.name]
            print(
                f"WARNING: {file.name}: no digest in {DATASETS_DIR}/ says what must be in it; "
                f"received raw_size: {len(raw)}, raw_sha256: {hashlib.sha256(raw).hexdigest()}",
                file=sys.stderr,
            )


def explain_ways_on(dataset: Dataset) -> str:
    """Say what a person can do when no mirror has the dataset."""
    names = ", ".join(file.name for file in dataset.files)
    return (
        f"Put its four files into {RAW_DIR} ({names}; as .gz, unpacked, in a .zip): they are\n"
        "recognized by their content. Or use the embedded dataset: "
        "dvc exp run -S dataset=optdigits -S train.recipe=cnn_optdigits"
    )


def fetch(name: str, dataset: Dataset, params: FetchParams, cache: Cache) -> dict[str, bytes]:
    """Return the dataset's files, or say what can be done where they are nowhere to be had.

    Raises:
        UnreachableError: as said.
        ForeignFilesError: so it is, and `data/raw` has files that nothing else has: other data
            must not take their place.
    """
    mirrors = Mirrors(dataset.mirrors, params.timeout_seconds, params.deadline_seconds)
    try:
        return find_files(dataset, mirrors, cache)
    except UnreachableError as error:
        message = f"{name}: {error}\n{explain_ways_on(dataset)}"
        if list_unsaved(cache):
            raise ForeignFilesError(
                f"{message}\n{RAW_DIR} holds {', '.join(map(str, list_unsaved(cache)))}, which "
                "are left as they are"
            ) from error
        raise UnreachableError(message) from error


def main() -> None:
    name = load_params("dataset", str)
    dataset, params, cache = load_dataset(name), load_params("fetch", FetchParams), Cache()
    if dataset.source == "scikit-learn":
        files = optdigits.read_optdigits(dataset)
    else:
        files = fetch(name, dataset, params, cache)
    clear(dataset, cache)
    for file_name, raw in files.items():
        if not is_stored(file_name, raw):
            write_bytes(RAW_DIR / file_name, raw)
    warn_of_missing_digests(dataset, files)
    print(f"{dataset.title}: {len(files)} verified files in {RAW_DIR}")


if __name__ == "__main__":
    run(main)
