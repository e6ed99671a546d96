"""How many digits on photographs of paper are found and read, kind by kind.

Each kind has its row: single digits, rows on several papers, in shadow, in boxes, on a sheet that
lies on a table, touching each other; and empty sheets, on which there is nothing to find. The
digits are validation images that were not used while `digits/imaging/` was written: the test's are
opened by `evaluate` alone.
"""

from argparse import ArgumentParser, Namespace
from functools import partial

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.rendering import KINDS, Kind, photograph
from benchmarks.timing import judge_at_least
from digits.data.splits import load_card, load_split
from digits.deployment.classifier import load_classifier
from digits.evaluation.metrics import score_accuracy_interval
from digits.imaging.segmentation import find_digits, read_digits
from digits.paths import CARD_PATH, VALIDATION_DIR
from digits.stage import run

UNUSED = 5000  # validation images from here on were not used while the code was written
CONFIDENT, SURE = 0.9, 0.98  # probabilities


def read_kind(
    kind: Kind, images: np.ndarray, labels: np.ndarray, count: int, draws: np.random.Generator
) -> dict[str, str]:
    """Photograph so many pictures of a kind and read them; return the kind's row of the table."""
    classifier, results = load_classifier(), []
    for _ in tqdm(range(count), unit="picture", desc=kind.name, leave=False, disable=None):
        chosen = draws.choice(len(labels), kind.length, replace=False)
        picture = photograph(kind, [images[index, ..., 0] for index in chosen], draws)
        digits = find_digits(picture, classifier.judge)
        probabilities = read_digits(digits, classifier.predict) if digits else np.zeros((1, 1))
        likely, read = probabilities.max(axis=1), probabilities.argmax(axis=1)[: len(digits)]
        is_right = np.array_equal(read, labels[chosen])
        results.append((len(digits) == kind.length, is_right, likely.prod(), likely.min()))
    found, right, product, least = np.array(results).T
    low, high = score_accuracy_interval(int(right.sum()), count)
    sure = least >= SURE
    return {
        "photograph": kind.name,
        "number": f"{count:,}",
        "all found": f"{found.mean():.1%}",
        "all read right": f"{right.mean():.1%}",
        "95 % interval": f"{low:.1%} to {high:.1%}",
        "wrong, p > 0.9": f"{np.mean((right == 0) & (product > CONFIDENT)):.1%}",
        "right of p >= 0.98": f"{right[sure].mean():.1%} of {sure.mean():.0%}"
        if any(sure)
        else "-",
        "wanted": judge_at_least(right.mean(), kind.wanted),
    }


def main(arguments: Namespace) -> None:
    card = load_card(CARD_PATH)
    validation = load_split(VALIDATION_DIR, card.class_count)
    used = slice(UNUSED) if arguments.development else slice(UNUSED, None)
    rows = []
    for number, kind in enumerate(KINDS):
        if arguments.kind in kind.name:
            # Other draws for development: an empty sheet has no digit that the code has not seen.
            draws = np.random.default_rng([number, arguments.development])
            count = arguments.count or kind.count
            images, labels = validation.images[used], validation.labels[used]
            rows.append(read_kind(kind, images, labels, count, draws))
    print(pd.DataFrame(rows).to_markdown(index=False, tablefmt="github"))


if __name__ == "__main__":
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kind", default="", help="only kinds with this in their name")
    parser.add_argument("--count", type=int, metavar="N", help="pictures a kind [200 or 1,000]")
    parser.add_argument("--development", action="store_true", help="of images to write code with")
    run(partial(main, parser.parse_args()))
