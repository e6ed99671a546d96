"""The library of the stages, and the commands around them."""

import os
import sys

# A backend of Matplotlib that was set for others, as a notebook sets it for what it starts, may be
# missing here, and no figure of ours is shown on a screen. In the notebook itself it stays.
if "IPython" not in sys.modules:
    os.environ.pop("MPLBACKEND", None)
