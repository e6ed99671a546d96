"""Model files loaded in a process that may take only so much more memory, and so much time."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from imports import ENVIRONMENT

MEMORY = 2**30  # bytes beyond those of a process that has loaded a model
SECONDS = 60  # for all the files of one process
WORKER = """
import gc, json, resource, sys
from pathlib import Path
from digits.files import ArtifactError
from digits.model.loading import load_model

whole, *others = map(Path, sys.stdin.read().splitlines())
load_model(whole, 10)  # TensorFlow takes its own memory
gc.freeze()  # Keras collects garbage after each refusal, and would look at all of TensorFlow
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = taken + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in others:
    try:
        load_model(path, 10)
        answer = "loaded"
    except ArtifactError as error:
        answer = str(error)
    except BaseException as error:
        answer = repr(error)
    print(json.dumps(answer), flush=True)
"""


def load_within(whole: Path, paths: Sequence[Path], seconds: float = SECONDS) -> list[str]:
    """Return what `load_model` says of each file, or `killed`; `whole` is one that it loads."""
    answers: list[str] = []
    while len(answers) < len(paths):
        command = [sys.executable, "-W", "ignore", "-c", WORKER, str(MEMORY)]
        names = "\n".join(map(str, [whole, *paths[len(answers) :]])).encode()
        try:
            output = subprocess.run(
                command,
                input=names,
                capture_output=True,
                cwd=whole.parent,
                env=ENVIRONMENT,
                timeout=seconds,
                check=False,
            ).stdout
        except subprocess.TimeoutExpired as error:
            output = error.stdout or b""
        answers += [json.loads(line) for line in output.splitlines() if line.endswith(b'"')]
        if len(answers) < len(paths):
            answers.append("killed")  # by the time or memory that it took
    return answers
