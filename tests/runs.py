"""Runs of the leaderboard as a ledger has them, and published results, for tests."""

import hashlib
from typing import Any

from digits.commands.leaderboard.jobs import Published
from digits.evaluation.ledger import Run

IMAGE_COUNT = 100
MACHINE = {
    "processor": "Abacus",
    "cores": 2,
    "python": "3.11.7",
    "tensorflow": "2.21.0",
    "keras": "3.15.1",
    "numpy": "2.4.6",
}


def make_run(recipe: str = "big", seed: int = 0, wrong: int = 5, **changes: Any) -> Run:
    """Return a run that misreads the first images, so many; inputs and model are its name's.

    What no page shows is left out.
    """
    digest = hashlib.sha256(f"{recipe} {seed}".encode()).hexdigest()
    return {
        "recipe": recipe,
        "seed": seed,
        "inputs": digest,
        "model": digest[:32],
        "date": "2026-01-31",
        "precision": "float32",
        "machine": MACHINE,
        "training_cpu_seconds": 20.0,
        "parameter_count": 5000,
        "multiply_adds": 200,
        "images_seen": 600,
        "image_count": IMAGE_COUNT,
        "error_count": wrong,
        "accuracy": round(1 - wrong / IMAGE_COUNT, 6),
        "robustness": 0.5,
        "robustness_unseen": 0.25,
        "optdigits_accuracy": 0.875,
        "errors": list(range(wrong)),
        **changes,
    }


def make_published(**changes: Any) -> Published:
    known: dict[str, Any] = {
        "name": "theirs",
        "accuracy": 98.5,
        "deviation": 0.1,
        "runs": 3,
        "protocol": "Mean of the last epochs.",
        "source": "[page](https://example.org)",
        "multiply_adds": 1000,
        "images_seen": 6000,
    }
    return Published(**(known | changes))
