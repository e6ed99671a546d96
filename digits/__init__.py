"""The library of the stages, and the commands around them."""

import os
import sys

# A process that a notebook starts inherits its Matplotlib backend, which may be missing here, and
# figures are only written to files. In the notebook itself the backend stays.
if "IPython" not in sys.modules:
    os.environ.pop("MPLBACKEND", None)
