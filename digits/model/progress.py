"""What a training prints: the network in a few lines, then a line an epoch."""

import sys
import textwrap
import time
from typing import Any

from digits.model.backend import keras

WIDTH = 100
# A column, and what Keras's logs call it: these losses are without penalties and label smoothing.
KERAS_NAMES = {
    "accuracy": "accuracy",
    "loss": "cross_entropy",
    "val_accuracy": "val_accuracy",
    "val_loss": "val_cross_entropy",
}


def describe_network(network: keras.Model) -> str:
    """List the layers with the shapes of their outputs, and count the network's own parameters."""
    layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    # Joined by spaces at which no line is broken.
    shapes = (f"{it.name}\xa0{'x'.join(map(str, it.output.shape[1:]))}" for it in layers)
    listed = textwrap.fill(", ".join(shapes), WIDTH, initial_indent="  ", subsequent_indent="  ")
    count = f"{network.count_params():,} parameters in {len(layers)} layers"
    return f"{network.name}: {count}\n{listed}".replace("\xa0", " ")


class Progress(keras.callbacks.Callback):
    """Print a line an epoch; a terminal also sees the steps of the epoch that runs.

    `loss` is the cross-entropy, as in plots/history.csv: without label smoothing and penalties.
    """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        del logs
        self.start = time.monotonic()
        self.head = f"{self.model.name}, epoch {epoch + 1} of {self.params['epochs']}"

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        del logs
        if sys.stdout.isatty():
            print(f"\r{self.head}: step {batch + 1} of {self.params['steps']}", end="", flush=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        del epoch
        scores = ", ".join(f"{name} {logs[key]:.4f}" for name, key in KERAS_NAMES.items())
        start = "\r" if sys.stdout.isatty() else ""
        seconds = time.monotonic() - self.start
        print(f"{start}{self.head}: {scores}, {seconds:.0f} s", flush=True)
