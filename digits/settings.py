"""What users have set for other programs, kept from breaking this one off."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper


def disregard_settings() -> None:
    """Print what the output's encoding lacks as `?`; take no warning for an error.

    For programs only: whoever imports the library decides on both.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if "error" in os.environ.get("PYTHONWARNINGS", ""):
        warnings.simplefilter("default")


@contextmanager
def without_mplbackend() -> Iterator[None]:
    """Import Matplotlib, or Keras, which imports it, whatever backend `MPLBACKEND` names.

    If there is none of that name, the import would end in a traceback; and no figure of ours needs
    one. Whoever works with them in a notebook keeps the notebook's.
    """
    chosen = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    yield
    if chosen:
        os.environ["MPLBACKEND"] = chosen
        if "matplotlib" in sys.modules:
            with suppress(ValueError):
                sys.modules["matplotlib"].rcParams["backend"] = chosen
