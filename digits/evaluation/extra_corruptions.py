"""The corruptions that `evaluate` measures: those that training is judged by, and any new one.

A new one is a function here and a line in `EXTRA`. It is apart from the benchmark's mean. `train`
does not depend on this file: the model stays as it is.
"""

from digits.evaluation.corruptions import KINDS, Kind

EXTRA: dict[str, Kind] = {}
EVALUATED = KINDS | EXTRA
