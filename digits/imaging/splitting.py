"""Is a piece of ink one digit or two? The reading that a classifier finds likelier decides.

Cuts along straight lines are tried: over-segmentation, as in LeCun, Bottou, Bengio and Haffner
1998, "Gradient-based learning applied to document recognition", section VI. How sure the classifier
is of the whole and of the halves, and how wide the whole is beside the height of its line, go into
a logistic regression. Its weights were fitted to 2,600 single digits and 500 touching pairs of
validation images 0 to 5,000, as `benchmarks/rendering.py` renders them; then the bias was lowered
by ln 3, since digits that touch are rarer than one in six.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import expit, logit

Judge = Callable[[np.ndarray], np.ndarray]  # float32 (n, 28, 28) to probabilities (n, k)

SLANTS = (-0.2, 0.1, 0.4)  # columns a row, to the right from below: handwriting leans that way
PLACES = 12  # of cuts at each slant
SHORTEST = 0.5  # of the whole's height: a half that is lower is none
WHOLE, HALVES, WIDTH, BIAS = -1.36, 1.03, 9.89, -18.8  # of the logistic regression
BEST = 3  # ways to cut whose mean counts
SUREST = 1e-5  # of 1: beyond this, probabilities say nothing more
CLEAR, SLIM = 6.9, 0.8  # log-odds and width of a whole that needs no trial


@dataclass(frozen=True)
class Part:
    """Ink that may be a digit: rows and columns that it takes, and bool, which of their pixels."""

    rows: slice
    columns: slice
    mask: np.ndarray

    @property
    def height(self) -> int:
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        return int(self.mask.shape[1])


def merge(one: Part, other: Part) -> Part:
    """Put two parts of a page together."""
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in ((one.rows, other.rows), (one.columns, other.columns))
    )
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    for part in (one, other):
        top, left = part.rows.start - rows.start, part.columns.start - columns.start
        mask[top : top + part.height, left : left + part.width] |= part.mask
    return Part(rows, columns, mask)


def choose_parts(
    line: Sequence[Part], normalize: Callable[[Part], np.ndarray], judge: Judge
) -> list[tuple[Part, float]]:
    """Cut the parts of a line that are two digits; return digits, and how likely each is one."""
    usual = float(np.median([part.height for part in line]))

    def split(part: Part, sure: float) -> list[tuple[Part, float]]:
        whole = logit(judge(normalize(part)[np.newaxis]).max().clip(SUREST, 1 - SUREST))
        width = part.width / max(part.height, usual)
        halves = list(_cut(part))
        if (width < SLIM and whole > CLEAR) or not halves:
            return [(part, sure)]
        inks = np.stack([normalize(half) for pair in halves for half in pair])
        each = logit(judge(inks).max(axis=1).clip(SUREST, 1 - SUREST))
        both = each.reshape(-1, 2).sum(axis=1)
        odds = BIAS + WHOLE * whole + HALVES * np.sort(both)[-BEST:].mean() + WIDTH * width
        sure *= float(expit(abs(odds))) * (1 - SUREST)
        if odds <= 0:
            return [(part, sure)]
        return [digit for half in halves[both.argmax()] for digit in split(half, sure)]

    return [digit for part in line for digit in split(part, 1.0)]


def _cut(part: Part) -> list[tuple[Part, Part]]:
    """Cut a part in two along straight lines, at several places and slants."""
    rows, columns = np.ogrid[: part.height, : part.width]
    halves = []
    places = np.linspace(0, part.width, PLACES + 2)[1:-1]
    for slant, place in product(SLANTS, places):
        right = columns >= place + slant * (part.height / 2 - rows)
        pair = [_trim(part, part.mask & side) for side in (~right, right)]
        if all(half.height >= SHORTEST * part.height for half in pair):
            halves.append((pair[0], pair[1]))
    return halves


def _trim(part: Part, mask: np.ndarray) -> Part:
    """Return what a mask leaves of a part, of no height if that is nothing."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return Part(slice(0, 0), slice(0, 0), np.empty((0, 0), bool))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return Part(
        slice(part.rows.start + int(top), part.rows.start + int(bottom)),
        slice(part.columns.start + int(left), part.columns.start + int(right)),
        mask[top:bottom, left:right],
    )
