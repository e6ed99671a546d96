"""Is a piece of ink one digit or two? The reading that a classifier finds likelier decides.

Cuts along straight lines are tried, and so is joining adjacent pieces: over-segmentation, as in
LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document
recognition", section VI. How sure the classifier is of the whole and of the halves, and how wide
the whole is, go into a logistic regression. Its weights were fitted to 1,200 single digits and 400
touching pairs of validation images 0 to 5,000, as `benchmarks/photographs.py` renders them; then
the bias was lowered by ln 3, since digits that touch are rarer than one in four.
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
WHOLE, HALVES, WIDTH, BIAS = -1.24, 1.05, 7.39, -17.6  # of the logistic regression
BEST = 3  # ways to cut whose mean counts
SUREST = 1e-5  # of 1: beyond this, probabilities say nothing more
CLEAR, SLIM = 0.999, 0.8  # probability and width of a whole that need no trial
NEAR = 0.2  # of the height: pieces this near may be one digit
JOINED = -2.0  # log-odds of two, below which adjacent pieces are one


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
    lines: Sequence[Sequence[Part]], normalize: Callable[[Part], np.ndarray], judge: Judge
) -> list[tuple[Part, float]]:
    """Join and cut the parts of each line; return digits, and how likely each is one."""

    def weigh(part: Part, halves: Sequence[tuple[Part, Part]]) -> tuple[int, float]:
        """Return which halves are likeliest, and the log-odds that a part is two digits."""
        inks = [normalize(part), *(normalize(half) for pair in halves for half in pair)]
        sure = logit(judge(np.stack(inks)).max(axis=1).clip(SUREST, 1 - SUREST))
        both = sure[1:].reshape(-1, 2).sum(axis=1)
        odds = BIAS + WHOLE * sure[0] + WIDTH * part.width / part.height
        return int(both.argmax()), odds + HALVES * float(np.sort(both)[-BEST:].mean())

    def join(line: Sequence[Part]) -> list[tuple[Part, float]]:
        joined: list[tuple[Part, float]] = []
        for part in line:
            if joined and _may_be_one(joined[-1][0], part):
                before, sure = joined[-1]
                whole = merge(before, part)
                _, odds = weigh(whole, [(before, part)])
                if odds < JOINED:
                    joined[-1] = (whole, sure * float(expit(-odds)))
                    continue
            joined.append((part, 1.0))
        return joined

    def split(part: Part, sure: float) -> list[tuple[Part, float]]:
        slim = part.width < SLIM * part.height
        if slim and judge(normalize(part)[np.newaxis]).max() > CLEAR:
            return [(part, sure)]
        halves = list(_cut(part))
        if not halves:
            return [(part, sure)]
        best, odds = weigh(part, halves)
        sure *= float(expit(abs(odds)))
        if odds <= 0:
            return [(part, sure)]
        return [digit for half in halves[best] for digit in split(half, sure)]

    return [digit for line in lines for part, sure in join(line) for digit in split(part, sure)]


def _may_be_one(left: Part, right: Part) -> bool:
    whole = merge(left, right)
    near = right.columns.start - left.columns.stop < NEAR * whole.height
    return near and whole.width <= whole.height


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
