"""The two ways to train that are compared: the plain one and the pipeline's."""

from pathlib import Path

from benchmarks.timing import Rival
from digits.data.splits import Split, load_card, load_split
from digits.files.artifacts import ArtifactError
from digits.model.backend import keras, make_repeatable
from digits.model.networks import build_network, encode_labels
from digits.model.recipes import Precision, Recipe
from digits.model.training import train_epochs

DECODED_DIR = Path("data/decoded")
BATCH_SIZE = 500  # of evaluation; a matter of memory


def load_mnist() -> tuple[Split, Split, Split]:
    """Load train, validation and test as `decode` left them.

    Raises:
        ArtifactError: not there, or of another dataset, whose figures would mean something else.
    """
    path = DECODED_DIR / "dataset.json"
    name = load_card(path).name
    if name != "mnist":
        raise ArtifactError(f"{path}: expected mnist, received {name}")
    train, validation, test = (
        load_split(DECODED_DIR / part) for part in ("train", "validation", "test")
    )
    return train, validation, test


def make_plain(network: keras.Sequential, recipe: Recipe, train: Split) -> Rival:
    """Make the rival that trains an epoch as a notebook does: `fit` on NumPy arrays."""
    targets = encode_labels(train.labels, recipe.loss)
    return lambda: network.fit(train.images, targets, batch_size=recipe.batch_size, verbose=0)


def make_ours(network: keras.Sequential, recipe: Recipe, train: Split, seed: int) -> Rival:
    """Make the rival that trains the recipe's next epoch as the stage `train` does."""
    epochs = train_epochs(network, recipe, train, seed)
    return lambda: list(next(epochs))


def train_whole(
    name: str, recipe: Recipe, train: Split, seed: int, precision: Precision
) -> keras.Sequential:
    """Build a network and train all its epochs as the stage `train` does."""
    make_repeatable(seed, threads=0)
    network = build_network(name, recipe, precision)
    for progress in train_epochs(network, recipe, train, seed):
        list(progress)
    return network


def score_accuracy(network: keras.Sequential, recipe: Recipe, split: Split) -> float:
    """Return the accuracy on a split."""
    targets = encode_labels(split.labels, recipe.loss)
    _, accuracy = network.evaluate(split.images, targets, batch_size=BATCH_SIZE, verbose=0)
    return float(accuracy)
