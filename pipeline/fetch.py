"""Fetch the dataset's four IDX files, verified and unpacked, into `data/raw`."""

import hashlib
import sys
from collections.abc import Mapping

from pydantic import Field

from digits.config import Section, load_params
from digits.data.datasets import DATASETS_DIR, Dataset, load_dataset
from digits.data.finding import UnreachableError, find_files
from digits.data.raw_store import list_unsaved, store_files
from digits.errors import DigitsError
from digits.paths import RAW_DIR
from digits.stage import run

DAY_SECONDS = 86_400  # more must be a mistake


class FetchParams(Section):
    """How long to wait for a mirror."""

    timeout_seconds: float = Field(gt=0, le=DAY_SECONDS)
    deadline_seconds: float = Field(gt=0, le=DAY_SECONDS)


def warn_of_missing_digests(dataset: Dataset, files: Mapping[str, bytes]) -> None:
    """Warn about files without a checksum, and print the one to add."""
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
        f"Put its four files into {RAW_DIR} ({names}; as .gz, unpacked, in a .zip or .tar): they "
        "are\nrecognized by their content. Or use the embedded dataset: "
        "dvc exp run -S dataset=optdigits -S train.recipe=cnn_optdigits"
    )


def main() -> None:
    name = load_params("dataset", str)
    dataset, params = load_dataset(name), load_params("fetch", FetchParams)
    try:
        files = find_files(dataset, params.timeout_seconds, params.deadline_seconds)
    except UnreachableError as error:
        message = f"{name}: {error}\n{explain_ways_on(dataset)}"
        if own := ", ".join(map(str, list_unsaved())):
            # Not UnreachableError, after which `make repro` takes the embedded dataset.
            raise DigitsError(f"{message}\nLeft as they are: {own}") from error
        raise UnreachableError(message) from error
    store_files(files)
    warn_of_missing_digests(dataset, files)
    print(f"{dataset.title}: {len(files)} verified files in {RAW_DIR}")


if __name__ == "__main__":
    run(main)
