"""What a stage costs as the data grows: seconds and memory at 60 thousand to 2 million images.

The images are MNIST's, distorted by seeded draws, so that none is like another; a seventh of as
many again is the test. Each size is a project of its own, whose stages run one after another as
DVC would run them, for one epoch of `quick`. With `--memory BYTES` they run in a control group that
has no more (Linux, cgroup v1 or v2, as root).
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from tqdm import tqdm

from benchmarks.stages import STAGES, CommandError, copy_sources, load_yaml
from benchmarks.timing import print_table
from digits.data import idx
from digits.data.datasets import load_dataset
from digits.files.artifacts import replacing
from digits.model.augmentation import distort
from digits.model.backend import tf
from digits.model.recipes import Augmentation
from digits.paths import RAW_DIR
from digits.stage import run

SIZES = (60_000, 600_000, 2_000_000)
TEST_SHARE = 6  # training images to one test image, as in MNIST
LIMITS = Augmentation(shift=2.0, angle=10.0, scale=0.1, shear=0.1)
PART = 10_000  # images that are made at a time
SEED = 20261128
GROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
LIMIT_FILES = ("memory.limit_in_bytes", "memory.max")
WATCH_SECONDS = 0.05


@dataclass(frozen=True)
class Cost:
    """What a stage took: seconds by the wall, of all cores, and bytes of memory at most.

    `own_bytes` are those of its own, `all_bytes` with the pages of files that are mapped: the
    system takes these back when something else needs the memory.
    """

    seconds: float
    cpu_seconds: float
    own_bytes: int
    all_bytes: int


def make_split(name: str, count: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Write so many distorted images and their labels as IDX; return a dataset's words on them."""
    dataset = load_dataset("mnist")
    image_file, label_file = dataset.pair(name)
    images = idx.decode((RAW_DIR / image_file.name).read_bytes())
    labels = idx.decode((RAW_DIR / label_file.name).read_bytes())
    rows = np.arange(count) % len(labels)
    facts = {
        f"{name}_labels": write_idx(folder / label_file.name, (count,), iter([labels[rows]])),
    }
    parts = tqdm(np.array_split(rows, max(count // PART, 1)), leave=False, disable=None)
    distorted = (
        make_part(images[part], (SEED, part_number)) for part_number, part in enumerate(parts)
    )
    facts[f"{name}_images"] = write_idx(folder / image_file.name, (count, 28, 28), distorted)
    return facts


def make_part(images: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """Distort images uint8 (n, 28, 28) by a seed of their own."""
    scaled = tf.constant(images[..., np.newaxis], tf.float32)
    return np.rint(distort(scaled, tf.constant(seed), LIMITS))[..., 0].astype(np.uint8)


def write_idx(path: Path, shape: tuple[int, ...], parts: Iterator[np.ndarray]) -> dict[str, Any]:
    """Write an IDX file of uint8, part by part."""
    header = idx.encode(np.empty((0, *shape[1:]), np.uint8))
    header = header[:4] + shape[0].to_bytes(4, "big") + header[8:]
    digest = hashlib.sha256(header)
    with replacing(path) as file:
        file.write(header)
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
            file.write(np.ascontiguousarray(part).data)
    size = path.stat().st_size
    return {"name": path.name, "raw_size": size, "raw_sha256": digest.hexdigest()}


@contextmanager
def grown_project(count: int, place: Path | None) -> Iterator[Path]:
    """Make a project with a dataset of so many training images, in a folder that goes away."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        project, mirror = Path(folder) / "project", Path(folder) / "mirror"
        copy_sources(project)
        mirror.mkdir()
        facts = load_yaml(project / "datasets/mnist.yaml")
        facts["mirrors"] = ["../mirror"]
        facts.pop("disputed", None)
        for name, size in (("train", count), ("test", count // TEST_SHARE)):
            for key, file in make_split(name, size, mirror).items():
                facts[key] = file
        YAML().dump(facts, project / "datasets/grown.yaml")
        params = load_yaml(project / "params.yaml")
        params["dataset"] = "grown"
        YAML().dump(params, project / "params.yaml")
        recipe = project / f"recipes/{params['train']['recipe']}.yaml"
        YAML().dump({**load_yaml(recipe), "epochs": 1}, recipe)
        yield project


@contextmanager
def limited(limit: int | None) -> Iterator[list[str]]:
    """Give the command in front of which a process has so many bytes of memory and no more."""
    if limit is None:
        yield []
        return
    root, file = next(
        pair for pair in zip(GROUPS, LIMIT_FILES, strict=True) if list(pair[0].glob("memory*"))
    )
    group = root / f"digits-growth-{os.getpid()}"
    group.mkdir()
    try:
        (group / file).write_text(str(limit))
        yield ["/bin/sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        group.rmdir()


def run_stage(stage: str, project: Path, before: list[str]) -> Cost:
    """Run a stage; watch its memory, and count its seconds.

    Raises:
        CommandError: it failed.
    """
    start = time.perf_counter()
    command = [*before, sys.executable, "-m", f"pipeline.{stage}"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=project, stdout=said, stderr=said)
        peaks: dict[str, int] = {"RssAnon": 0, "VmRSS": 0}
        ended = threading.Event()
        watcher = threading.Thread(target=watch, args=(process.pid, peaks, ended))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        watcher.join()
        if process.returncode != 0:
            said.seek(0)
            raise CommandError(f"{stage}: exit status {process.returncode}\n{said.read().decode()}")
    seconds = time.perf_counter() - start
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peaks["RssAnon"], peaks["VmRSS"])


def watch(process_id: int, peaks: dict[str, int], ended: threading.Event) -> None:
    """Keep the largest numbers of bytes that Linux says of a process."""
    while not ended.wait(WATCH_SECONDS):
        try:
            lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
        except OSError:
            return
        for line in lines:
            key, _, value = line.partition(":")
            if key in peaks:
                peaks[key] = max(peaks[key], 1024 * int(value.split()[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the stages as the data grows.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="training images")
    parser.add_argument("--memory", type=int, help="bytes that a stage may have at most")
    parser.add_argument("--place", type=Path, help="a folder with 20 GB to spare")
    arguments = parser.parse_args()
    rows = []
    for count in arguments.sizes:
        with grown_project(count, arguments.place) as project, limited(arguments.memory) as before:
            for stage in STAGES:
                cost = run_stage(stage, project, before)
                rows.append(
                    (
                        f"{count:,}",
                        stage,
                        f"{cost.seconds:.1f}",
                        f"{cost.cpu_seconds:.1f}",
                        f"{1e6 * cost.cpu_seconds / count:.0f}",
                        f"{cost.own_bytes / 2**20:,.0f}",
                        f"{cost.all_bytes / 2**20:,.0f}",
                    )
                )
                print(*rows[-1], file=sys.stderr, flush=True)
    header = (
        *("images", "stage", "s", "CPU s", "CPU µs an image", "MiB of its own"),
        "MiB with mapped files",
    )
    limit = "" if arguments.memory is None else f", {arguments.memory / 2**30:g} GiB of memory"
    print_table(f"Growth{limit}", header, rows)


if __name__ == "__main__":
    run(main)
