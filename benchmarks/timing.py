"""Time rivals in turn in one process, and judge the ratios.

A neighbour on the machine slows whatever runs at the moment. Rivals that alternate share such
moments, and the ratio of two neighbouring laps feels them less than either lap does.
"""

import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Rival = Callable[[], object]


@dataclass(frozen=True)
class Lap:
    """What one run of a rival took; the CPU seconds are those of all threads of this process."""

    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Spread:
    """Some measurements of one quantity, the outer ones included."""

    median: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        median, low, high = (_round(value) for value in (self.median, self.low, self.high))
        return f"{median} ({low} to {high})"


def time_lap(rival: Rival) -> Lap:
    """Run once and time it."""
    cpu, wall = _read_cpu_seconds(), time.perf_counter()
    rival()
    return Lap(time.perf_counter() - wall, _read_cpu_seconds() - cpu)


def alternate(rivals: Mapping[str, Rival], round_count: int) -> dict[str, list[Lap]]:
    """Run every rival once a round, A B A B; a first round warms up and is left out."""
    laps: dict[str, list[Lap]] = {name: [] for name in rivals}
    for _ in range(1 + round_count):
        for name, rival in rivals.items():
            laps[name].append(time_lap(rival))
    return {name: taken[1:] for name, taken in laps.items()}


def summarize(values: Iterable[float]) -> Spread:
    """Take the median, and the lowest and the highest as its spread."""
    listed = list(values)
    return Spread(statistics.median(listed), min(listed), max(listed), len(listed))


def divide_wall(above: Sequence[Lap], below: Sequence[Lap], scale: float = 1) -> Spread:
    """Compare wall seconds by the ratio of each round's pair, times `scale`."""
    pairs = zip(above, below, strict=True)
    return summarize(scale * one.wall_seconds / other.wall_seconds for one, other in pairs)


def divide_cpu(above: Sequence[Lap], below: Sequence[Lap], scale: float = 1) -> Spread:
    """Compare CPU seconds by the ratio of each round's pair, times `scale`."""
    pairs = zip(above, below, strict=True)
    return summarize(scale * one.cpu_seconds / other.cpu_seconds for one, other in pairs)


def judge_at_least(measured: float, wanted: float) -> str:
    """Say whether a figure that should be high is met."""
    return f"at least {wanted:g}: {'PASS' if measured >= wanted else 'MISS'}"


def judge_at_most(measured: float, wanted: float) -> str:
    """Say whether a figure that should be low is met."""
    return f"at most {wanted:g}: {'PASS' if measured <= wanted else 'MISS'}"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print Markdown, ready for the README, as soon as it is known."""
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    print(f"### {title}\n\n{table}\n", flush=True)


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _read_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
