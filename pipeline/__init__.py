"""The five stages; one that fails while its modules are still imported says so in one line, too."""

import sys

from digits.errors import answer_uncaught

if sys.argv[:1] == ["-m"]:  # so it is while `python -m` looks for a stage, and never in a library
    sys.excepthook = answer_uncaught
