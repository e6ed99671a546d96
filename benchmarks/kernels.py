"""Where a step of `quick` goes: the time of each kind of TensorFlow's kernels, by its profiler.

A kernel's time is from its start to its end, on however many threads: kernels that run beside each
other, as the next batch's distortion beside the step, are counted each.
"""

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.rivals import SEED, load_mnist, load_recipe, make_ours, make_plan
from benchmarks.timing import Rival, print_table
from digits.data.splits import Split
from digits.model.backend import make_repeatable, tf
from digits.model.batches import count_steps
from digits.model.networks import STEPS_PER_EXECUTION
from digits.stage import run

BATCHES = 2 * STEPS_PER_EXECUTION
ROW_COUNT = 14
KERNEL = re.compile(r"[^:]+:(?:_Mkl(?:Native)?)?(\w+)")  # name in the graph:operation
CALLS = ("PartitionedCall", "StatefulPartitionedCall", "While")  # they hold others
KINDS = {
    "Conv2DBackpropFilter": "gradients of the convolutions' kernels",
    "Conv2DBackpropInput": "gradients of the convolutions' inputs",
    "Conv2D": "convolutions",
    "FusedBatchNormGradV3": "gradients of the batch normalization",
    "FusedBatchNormV3": "batch normalization",
    "FusedBatchNormEx": "batch normalization",
    "ReluGrad": "gradients of ReLU",
    "MaxPool": "pooling",
    "MaxPoolGrad": "gradients of pooling",
    "ImageProjectiveTransformV3": "moving the next batch's images",
}


def list_kernels(folder: Path) -> Iterator[tuple[str, float]]:
    """List the operations of a profile, each time with its milliseconds."""
    # Not above: TensorFlow is imported without its start-up noise first.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # noqa: PLC0415

    (path,) = folder.rglob("*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                found = KERNEL.fullmatch(plane.event_metadata[event.metadata_id].name)
                if found and found[1] not in CALLS:
                    yield found[1], event.duration_ps / 1e9


def profile(rival: Rival) -> dict[str, float]:
    """Run once and return the milliseconds of each kind of kernel."""
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        rival()
        tf.profiler.experimental.stop()
        times: dict[str, float] = defaultdict(float)
        for operation, milliseconds in list_kernels(Path(folder)):
            times[KINDS.get(operation, f"`{operation}`")] += milliseconds
    return times


def print_kernels(precision: str, times: Mapping[str, float], step_count: int) -> None:
    """Print the dearest kinds and the rest, milliseconds a step and shares of all."""
    total = sum(times.values())
    dearest = sorted(times.items(), key=lambda pair: -pair[1])[:ROW_COUNT]
    rest = total - sum(time for _, time in dearest)
    rows = [
        (kind, f"{time / step_count:.2f}", f"{time / total:.0%}")
        for kind, time in [*dearest, ("all others", rest)]
    ]
    print_table(f"A step of `quick`, {precision}", ("kernels", "ms", "share"), rows)


def main() -> None:
    recipe = load_recipe("quick")
    train, validation = load_mnist()
    plan = make_plan("quick", recipe, (train, validation), SEED)
    few = BATCHES * recipe.batch_size
    part = Split(train.images[:few], train.labels[:few])
    make_repeatable(SEED, threads=0)
    rival = make_ours("quick", plan.recipe, part)
    rival()  # traced
    step_count = count_steps(len(part.labels), recipe.batch_size)
    print_kernels(plan.recipe.precision, profile(rival), step_count)


if __name__ == "__main__":
    run(main)
