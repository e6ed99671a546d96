"""The datasets, a file of `datasets/` each: IDX files, their checksums, the classes."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from digits.config import PARAMS_PATH, Section, load_named

T = TypeVar("T")

DATASETS_DIR = Path("datasets")
# Invisible characters that control a terminal or reverse the order of letters.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
NAME = re.compile(r"[A-Za-z0-9][\w-]*")
LARGEST_SIZE = 1 << 30  # bytes that are read of a file whose size is unknown


def check_mirror(mirror: str) -> str:
    """Return the mirror if it is a local folder or a plain https address.

    Raises:
        ValueError: another scheme, credentials, a query or a fragment.
    """
    if is_local(mirror):
        return mirror
    parts = urlsplit(mirror)
    if re.search("[@?#]", mirror):
        raise ValueError("an https:// address without credentials, query or fragment")
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("a local folder or an https:// address")
    return mirror


def is_local(mirror: str) -> bool:
    """Tell a folder, or an archive, from an address; a slip such as `https:/host` is an address."""
    return not re.match(r"(https?|ftp|file):|.*://|//", mirror)


def _check_line(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError("one line without control characters")
    return text


def _check_unique(values: list[T]) -> list[T]:
    if len(set(values)) < len(values):
        raise ValueError("entries that differ")
    return values


Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # SHA-256
Label = Annotated[int, Field(ge=-(2**31), lt=2**31)]
LabelValues = Annotated[list[Label], AfterValidator(_check_unique)]
Line = Annotated[str, AfterValidator(_check_line)]  # comes onto pages, figures and terminals
ClassNames = Annotated[
    list[Annotated[Line, Field(min_length=1)]],
    Field(min_length=2, max_length=256),
    AfterValidator(_check_unique),
]


class RawFile(Section):
    """One IDX file of a dataset; its content is known by size and SHA-256 of the unpacked bytes."""

    name: str = Field(pattern=r"^[\w.-]+$")
    raw_size: int | None = Field(default=None, ge=0)  # bytes
    raw_sha256: Digest | None = None
    gzip_sha256: Digest | None = None  # of the published `.gz`, where nothing else is known

    @property
    def has_digest(self) -> bool:
        return bool(self.raw_sha256 or self.gzip_sha256)

    @property
    def largest_size(self) -> int:
        """Bytes to read at most, packed or not: gzip adds little to what it cannot compress."""
        if self.raw_size is None:
            return LARGEST_SIZE
        return self.raw_size + self.raw_size // 64 + 4096


class Part(Section):
    """One of the sets that are joined in a dataset: its images follow those of the part before."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    train: int = Field(ge=1)
    test: int = Field(ge=1)


class Dataset(Section):
    """Four IDX files of 28x28 grey images and their labels, and what the labels mean."""

    title: Line
    licence: Line
    class_names: ClassNames  # of the labels 0, 1, 2 ...
    source: Literal["mirrors", "scikit-learn"] = "mirrors"
    # Tried in order: local folders, which may be missing, and https addresses.
    mirrors: list[Annotated[str, AfterValidator(check_mirror)]] = Field(default=[])
    train_images: RawFile
    train_labels: RawFile
    test_images: RawFile
    test_labels: RawFile
    # The label of the first class, the others follow it; or one for each class.
    label_values: Label | LabelValues = 0
    label_column: int | None = Field(default=None, ge=0)  # of labels that have several: QMNIST
    transpose: bool = False  # rows and columns of the images are swapped: EMNIST
    # Test images whose labels human reviewers found doubtful.
    disputed: list[int] = Field(default=[])
    # Of a dataset that was joined: first the known one, then what was added to it.
    parts: list[Part] = Field(default=[])

    @model_validator(mode="after")
    def _check_label_values(self) -> Self:
        values, count = self.label_values, len(self.class_names)
        if isinstance(values, list) and len(values) != count:
            raise ValueError(f"as many label_values as class_names, {count}, not {len(values)}")
        return self

    @property
    def labels(self) -> list[int]:
        """The label of each class in the files."""
        if isinstance(self.label_values, list):
            return self.label_values
        return list(range(self.label_values, self.label_values + len(self.class_names)))

    def count_parts(self, split: str) -> dict[str, int]:
        """Count the images of each part in the file of `train` or `test`."""
        return {part.name: getattr(part, split) for part in self.parts}

    def pair(self, split: str) -> tuple[RawFile, RawFile]:
        """Return the files of images and of labels of `train` or `test`."""
        if split == "train":
            return self.train_images, self.train_labels
        return self.test_images, self.test_labels

    @property
    def files(self) -> tuple[RawFile, ...]:
        return (self.train_images, self.train_labels, self.test_images, self.test_labels)


def load_dataset(name: str, where: str = f"{PARAMS_PATH}: dataset") -> Dataset:
    """Load a dataset's file; `where` is the key that names it.

    Raises:
        ConfigError: there is no such file, or it does not describe a dataset.
    """
    return load_named(DATASETS_DIR, name, Dataset, where)
