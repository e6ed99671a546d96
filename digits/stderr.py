"""Standard error without lines that native code prints at any level of its log."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_lines(start: str) -> Iterator[None]:
    """Drop the lines of standard error that start with a pattern, those of native code included.

    A separate process filters: other lines still appear if native code aborts this one.
    """
    sys.stderr.flush()
    command = ["grep", "-avE", "--line-buffered", f"^({start})"]
    outlet, inlet = os.pipe()
    # A new session, so that Ctrl-C does not end the filter first.
    with subprocess.Popen(command, stdin=outlet, stdout=2, start_new_session=True):
        os.close(outlet)
        kept = os.dup(2)
        os.dup2(inlet, 2)
        os.close(inlet)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)  # closes the pipe: the filter ends
            os.close(kept)
