"""Time rivals alternately in one process, and judge the ratios.

Another program on the machine slows whatever runs at the moment. Rivals that alternate share such
moments, and the ratio of two neighbouring laps feels them less than either lap does.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from digits.evaluation.ledger import describe_machine

Rival = Callable[[], object]


@dataclass(frozen=True)
class Laps:
    """Seconds that a rival took in each round; CPU seconds are those of all threads."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Spread:
    """The median of some measurements, the lowest and the highest."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        median, low, high = (_round(value) for value in (self.median, self.low, self.high))
        return f"{median} ({low}-{high})"


def alternate(rivals: Mapping[str, Rival], round_count: int) -> dict[str, Laps]:
    """Run every rival once a round, A B A B; a first round warms up and is left out."""
    laps = {name: Laps() for name in rivals}
    for _ in range(1 + round_count):
        for name, rival in rivals.items():
            wall, cpu = time.perf_counter(), time.process_time()
            rival()
            laps[name].wall.append(time.perf_counter() - wall)
            laps[name].cpu.append(time.process_time() - cpu)
    return {name: Laps(taken.wall[1:], taken.cpu[1:]) for name, taken in laps.items()}


def summarize(values: Iterable[float], scale: float = 1) -> Spread:
    """Take the median, the lowest and the highest of the values, each times `scale`."""
    scaled = [scale * value for value in values]
    return Spread(statistics.median(scaled), min(scaled), max(scaled))


def divide(above: Sequence[float], below: Sequence[float], scale: float = 1) -> Spread:
    """Compare two rivals' seconds by the ratio of each round's pair, times `scale`."""
    return summarize((one / other for one, other in zip(above, below, strict=True)), scale)


def judge_at_least(measured: float, wanted: float) -> str:
    """Say whether a figure that should be high is met."""
    return f"at least {wanted:g}: {'PASS' if measured >= wanted else 'MISS'}"


def judge_at_most(measured: float, wanted: float) -> str:
    """Say whether a figure that should be low is met."""
    return f"at most {wanted:g}: {'PASS' if measured <= wanted else 'MISS'}"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table at once."""
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    print(f"### {title}\n\n{table}\n", flush=True)


def print_machine() -> None:
    """Print on what machine and with which versions a benchmark runs, and how busy it is."""
    load = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    rows = [*describe_machine().items(), ("load over 1, 5 and 15 minutes", load)]
    print_table("Machine", ("", ""), rows)


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
