"""The library of the stages, and the commands around them."""

import sys

from digits.errors import answer_uncaught

# A stage or a command that fails while its modules are still imported ends in one line, too. In a
# program of others, exceptions are theirs.
_program = getattr(sys.modules["__main__"], "__spec__", None)
if _program and _program.name.startswith(("pipeline.", "digits.")):
    sys.excepthook = answer_uncaught
