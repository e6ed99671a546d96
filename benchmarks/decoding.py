"""The codec against `gzip.decompress` of the same 60,000 images: what checking everything costs."""

import gzip
from pathlib import Path

import numpy as np

from benchmarks.timing import (
    alternate,
    divide_cpu,
    divide_wall,
    judge_at_most,
    print_table,
    summarize,
)
from digits.data import idx
from digits.data.datasets import load_dataset
from digits.data.raw import unpack
from digits.files.artifacts import ArtifactError
from digits.paths import RAW_DIR
from digits.stage import run
from pipeline.decode import scale_pixels

ROUND_COUNT = 15
WANTED = 1.5


def load_raw(path: Path) -> bytes:
    """Load the file as published; `unpack` tells whether it is MNIST's."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: expected a file, received none: run make repro") from error


def main() -> None:
    file = load_dataset("mnist").train_images
    packed = gzip.compress(load_raw(RAW_DIR / file.name))

    def decode() -> np.ndarray:
        return idx.decode(unpack(file, packed))

    rivals = {
        "`gzip.decompress`": lambda: gzip.decompress(packed),
        "unpack and decode: gunzip, SHA-256, IDX": decode,
        "and scale to float32": lambda: scale_pixels(decode()),
    }
    laps = alternate(rivals, ROUND_COUNT)
    plain, ours, _ = laps.values()
    rows = []
    for name, taken in laps.items():
        wall = divide_wall(taken, plain)
        verdict = judge_at_most(wall.median, WANTED) if taken is ours else ""
        milliseconds = summarize(1000 * lap.wall_seconds for lap in taken)
        rows.append((name, milliseconds, wall, divide_cpu(taken, plain), wall.count, verdict))
    header = ("60,000 images", "ms", "times gzip, wall", "times gzip, CPU", "runs", "wanted")
    print_table("Decoding", header, rows)


if __name__ == "__main__":
    run(main)
