"""Time rivals alternately in one process, and judge the ratios.

Another program on the machine slows whatever runs at the moment. Rivals that alternate share such
moments, and the ratio of two neighbouring laps feels them less than either lap does.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from digits.evaluation.ledger import describe_machine

Rival = Callable[[], object]


@dataclass(frozen=True)
class Laps:
    """Seconds that a rival took, (rounds,); CPU seconds are those of all threads."""

    wall: np.ndarray
    cpu: np.ndarray


def alternate(rivals: Mapping[str, Rival], round_count: int) -> dict[str, Laps]:
    """Run every rival once a round, A B A B; a first round warms up and is left out."""
    seconds = np.empty((2, len(rivals), 1 + round_count))
    for lap in range(1 + round_count):
        for number, rival in enumerate(rivals.values()):
            wall, cpu = time.perf_counter(), time.process_time()
            rival()
            seconds[:, number, lap] = time.perf_counter() - wall, time.process_time() - cpu
    return {name: Laps(*seconds[:, number, 1:]) for number, name in enumerate(rivals)}


def summarize(values: Sequence[float] | np.ndarray) -> str:
    """Write the median of some measurements, the lowest and the highest."""
    median, low, high = (_round(take(values)) for take in (np.median, np.min, np.max))
    return f"{median} ({low}-{high})"


def judge_at_least(measured: float, wanted: float) -> str:
    """Say whether a figure that should be high is met."""
    return f"at least {wanted:g}: {'PASS' if measured >= wanted else 'MISS'}"


def judge_at_most(measured: float, wanted: float) -> str:
    """Say whether a figure that should be low is met."""
    return f"at most {wanted:g}: {'PASS' if measured <= wanted else 'MISS'}"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table at once."""
    table = tabulate(rows, header, tablefmt="github", disable_numparse=True)
    print(f"### {title}\n\n{table}\n", flush=True)


def print_machine() -> None:
    """Print on what machine and with which versions a benchmark runs, and how busy it is."""
    load = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    rows = [*describe_machine().items(), ("load over 1, 5 and 15 minutes", load)]
    print_table("Machine", ("", ""), rows)


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
