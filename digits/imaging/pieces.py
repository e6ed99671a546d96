"""Pieces of ink that hang together, by their corners, too."""

from typing import NamedTuple

import cv2
import numpy as np


class Pieces(NamedTuple):
    """Numbers (height, width) of the piece that a pixel is of, 0 for paper; facts of each piece.

    `boxes` (n, 4) are left, top, width and height, `areas` (n,) pixels; row 0 is the paper's.
    """

    numbers: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray

    def keep(self, kept: np.ndarray) -> np.ndarray:
        """Return bool (height, width): the pixels of the pieces that `kept` (n,) tells."""
        return kept[self.numbers] & (self.numbers > 0)

    def measure_contacts(self, reach: int = 2) -> np.ndarray:
        """Return (n,): the share that a piece takes of a side, at most, so many pixels deep."""
        shares = np.zeros(len(self.areas))
        for numbers in (self.numbers, self.numbers.T):
            for strip in (numbers[:reach], numbers[-reach:]):
                taken = np.bincount(strip.max(axis=0), minlength=len(shares))
                shares = np.maximum(shares, taken / strip.shape[1])
        return shares


def find_pieces(written: np.ndarray) -> Pieces:
    """Number the pieces of bool (height, width)."""
    _, numbers, facts, _ = cv2.connectedComponentsWithStats(written.astype(np.uint8))
    return Pieces(numbers, facts[:, :4], facts[:, cv2.CC_STAT_AREA])
