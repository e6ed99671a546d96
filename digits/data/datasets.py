"""Facts of the datasets: file names, sizes, digests, classes. Standard library only."""

from dataclasses import dataclass
from typing import Literal

DatasetName = Literal["mnist", "fashion-mnist", "kmnist", "optdigits"]

IMAGE_SIDE = 28  # pixels
CLASS_COUNT = 10


@dataclass(frozen=True)
class RawFile:
    """One IDX file of a dataset, as published (gzip-compressed) and as it unpacks."""

    name: str
    raw_size: int  # bytes
    gzip_size: int | None  # bytes; None where we compress the file ourselves
    gzip_sha256: str | None
    raw_sha256: str | None

    @property
    def gzip_name(self) -> str:
        return f"{self.name}.gz"

    @property
    def largest_size(self) -> int:
        """Bytes to read at most: raw content under a `.gz` name is taken if its digest is known."""
        sizes = (self.gzip_size or 0, self.raw_size if self.raw_sha256 else 0)
        return max(sizes)


@dataclass(frozen=True)
class Dataset:
    """Four IDX files of 28x28 grey images and labels 0-9, and what the labels mean."""

    title: str
    class_names: tuple[str, ...]
    train_images: RawFile
    train_labels: RawFile
    test_images: RawFile
    test_labels: RawFile
    disputed: tuple[int, ...] = ()  # test images whose labels human reviewers found doubtful

    @property
    def files(self) -> tuple[RawFile, ...]:
        return (self.train_images, self.train_labels, self.test_images, self.test_labels)


def raw_image_size(count: int) -> int:
    """Bytes of an IDX file of `count` images: a 16-byte header, then a byte a pixel."""
    return 16 + count * IMAGE_SIDE**2


def raw_label_size(count: int) -> int:
    """Bytes of an IDX file of `count` labels: an 8-byte header, then a byte a label."""
    return 8 + count


DIGIT_NAMES = tuple("0123456789")

DATASETS: dict[DatasetName, Dataset] = {
    # LeCun, Cortes, Burges; CC BY-SA 3.0.
    "mnist": Dataset(
        title="MNIST",
        class_names=DIGIT_NAMES,
        train_images=RawFile(
            "train-images-idx3-ubyte",
            raw_image_size(60_000),
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        train_labels=RawFile(
            "train-labels-idx1-ubyte",
            raw_label_size(60_000),
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        test_images=RawFile(
            "t10k-images-idx3-ubyte",
            raw_image_size(10_000),
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        test_labels=RawFile(
            "t10k-labels-idx1-ubyte",
            raw_label_size(10_000),
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        # Northcutt et al. 2021, arXiv 2103.14749.
        disputed=(
            *(947, 1621, 1901, 2130, 2462, 2597, 2654, 3520),
            *(3558, 5937, 6651, 6783, 8527, 9679, 9729),
        ),
    ),
    # Xiao, Rasul, Vollgraf 2017 (arXiv 1708.07747); MIT.
    "fashion-mnist": Dataset(
        title="Fashion-MNIST",
        class_names=(
            "T-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        train_images=RawFile(
            "train-images-idx3-ubyte",
            raw_image_size(60_000),
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            None,
        ),
        train_labels=RawFile(
            "train-labels-idx1-ubyte",
            raw_label_size(60_000),
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            None,
        ),
        test_images=RawFile(
            "t10k-images-idx3-ubyte",
            raw_image_size(10_000),
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            None,
        ),
        test_labels=RawFile(
            "t10k-labels-idx1-ubyte",
            raw_label_size(10_000),
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            None,
        ),
    ),
    # Clanuwat et al. 2018 (arXiv 1812.01718); CC BY-SA 4.0.
    "kmnist": Dataset(
        title="Kuzushiji-MNIST",
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        train_images=RawFile(
            "train-images-idx3-ubyte",
            raw_image_size(60_000),
            18_165_135,
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            None,
        ),
        train_labels=RawFile(
            "train-labels-idx1-ubyte",
            raw_label_size(60_000),
            29_497,
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            None,
        ),
        test_images=RawFile(
            "t10k-images-idx3-ubyte",
            raw_image_size(10_000),
            3_041_136,
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            None,
        ),
        test_labels=RawFile(
            "t10k-labels-idx1-ubyte",
            raw_label_size(10_000),
            5_120,
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            None,
        ),
    ),
    # Alpaydin, Kaynak 1998 (UCI, CC BY 4.0): the 1,797 digits that scikit-learn carries, written as
    # IDX by digits/data/optdigits.py. Only the raw digests are fixed: gzip output varies with zlib.
    "optdigits": Dataset(
        title="Optdigits",
        class_names=DIGIT_NAMES,
        train_images=RawFile(
            "train-images-idx3-ubyte",
            raw_image_size(1_433),
            None,
            None,
            "e745230901eb2a82d64f486ebcc1d2915748abd6aa76822127f2f154b18b400e",
        ),
        train_labels=RawFile(
            "train-labels-idx1-ubyte",
            raw_label_size(1_433),
            None,
            None,
            "36cc5812f3c26d5daba7960ac9b689090fa3e619dac9dd92fed613470d251329",
        ),
        test_images=RawFile(
            "t10k-images-idx3-ubyte",
            raw_image_size(364),
            None,
            None,
            "dc3adc150fb4f0f521de1c574466546c568764c39c359a2c99cd4c0502353458",
        ),
        test_labels=RawFile(
            "t10k-labels-idx1-ubyte",
            raw_label_size(364),
            None,
            None,
            "871a9da5cb92498b133295949ce7610c9d1a4c8aa84de8c3eaedc3d438299624",
        ),
    ),
}
