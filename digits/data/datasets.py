"""The datasets, a file of `datasets/` each: IDX files, what vouches for them, the classes."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from digits.files.params import PARAMS_PATH, Params, ParamsError, did_you_mean, load_params

DATASETS_DIR = Path("datasets")
NAME = re.compile(r"[A-Za-z0-9][\w-]*")
IMAGE_SIDE = 28  # pixels
LARGEST_SIZE = 1 << 30  # bytes that are read of a file whose size nothing says


def check_mirror(mirror: str) -> str:
    """Return the mirror if it is a local folder or a plain https address.

    Raises:
        ValueError: another scheme, credentials, a query or a fragment.
    """
    parts = urlsplit(mirror)
    if "://" not in mirror:
        return mirror
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("a local folder or an https:// address")
    # Looked for in the text: an empty query has no value, yet it would swallow the file name.
    if "@" in parts.netloc or "?" in mirror or "#" in mirror:
        raise ValueError("an https:// address without credentials, query or fragment")
    return mirror


def _check_unique(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("names that differ")
    return names


Size = Annotated[int, Field(ge=0, le=LARGEST_SIZE)]  # bytes
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # SHA-256
ClassNames = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    Field(min_length=2, max_length=256),
    AfterValidator(_check_unique),
]


class RawFile(Params):
    """One IDX file of a dataset: as it unpacks, and as it is published, gzip-compressed."""

    name: str = Field(pattern=r"^[\w.-]+$")
    raw_size: Size | None = None
    raw_sha256: Digest | None = None
    gzip_size: Size | None = None
    gzip_sha256: Digest | None = None

    @property
    def gzip_name(self) -> str:
        return f"{self.name}.gz"

    @property
    def has_digest(self) -> bool:
        return bool(self.raw_sha256 or self.gzip_sha256)

    @property
    def largest_size(self) -> int:
        """Bytes to read at most: raw content under a `.gz` name is taken unless it is gzip's."""
        known = (self.gzip_size, self.raw_size if self.raw_sha256 or not self.gzip_sha256 else None)
        return max((size for size in known if size is not None), default=LARGEST_SIZE)


class Dataset(Params):
    """Four IDX files of 28x28 grey images and their labels, and what the labels mean."""

    title: str
    licence: str
    class_names: ClassNames  # of the labels 0, 1, 2 ...
    source: Literal["mirrors", "scikit-learn"] = "mirrors"
    # Tried in order: local folders, of which any may be absent, and https addresses.
    mirrors: list[Annotated[str, AfterValidator(check_mirror)]] = Field(default=[])
    train_images: RawFile
    train_labels: RawFile
    test_images: RawFile
    test_labels: RawFile
    disputed: list[int] = Field(
        default=[]
    )  # test images whose labels human reviewers found doubtful

    @property
    def files(self) -> tuple[RawFile, ...]:
        return (self.train_images, self.train_labels, self.test_images, self.test_labels)


def load_dataset(name: str) -> Dataset:
    """Load what is known of a dataset.

    Raises:
        ParamsError: there is no such file, or it does not describe a dataset.
    """
    path = DATASETS_DIR / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        known = sorted(found.stem for found in DATASETS_DIR.glob("*.yaml"))
        raise ParamsError(
            f"{PARAMS_PATH}: dataset: expected a file of {DATASETS_DIR}/, one of "
            f"{', '.join(known) or 'none'}, received {name!r}{did_you_mean(name, known)}"
        )
    return load_params("", Dataset, path)
