"""The corruptions that `evaluate` measures: those of `train`, and new ones.

A new one is a function here and a line in `EXTRA`; the benchmark's mean does not include it.
`train` does not depend on this file, so no model is trained again.
"""

from digits.evaluation.corruptions import KINDS, Kind

EXTRA: dict[str, Kind] = {}
EVALUATED = KINDS | EXTRA
