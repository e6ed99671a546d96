"""Predictions of trained models, and `.keras` archives with the same bytes for the same model."""

import io
import json
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from digits.data.splits import check_probabilities
from digits.files import write_bytes
from digits.model.backend import keras

SHARED = re.compile(r'("shared_object_id": )(\d+)')  # never inside a text: quotes are escaped
PREDICTED_AT_A_TIME = 20_000  # images
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip entry can have


def write_model(path: Path, model: keras.Model) -> None:
    """Save the model by Keras, then remove dates and addresses: equal models, equal bytes."""
    with tempfile.TemporaryDirectory() as folder:
        dated = Path(folder) / "model.keras"
        model.save(dated)
        write_bytes(path, _make_deterministic(dated))


def predict_probabilities(model: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Return float32 (n, k): each image's probability of each class.

    Raises:
        ArtifactError: the model gives anything else, NaN for example.
    """
    probabilities = predict_in_parts(model, images, batch_size)
    check_probabilities("model", probabilities)
    return probabilities.astype(np.float32)


def predict_in_parts(model: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Return a model's predictions (n, k), or (m, n, k) of a model with m outputs.

    Keras copies the images that it is given, so only some batches are given at a time.
    """
    step = batch_size * max(PREDICTED_AT_A_TIME // batch_size, 1)
    parts = (images[start : start + step] for start in range(0, len(images), step))
    given = [model.predict(part, batch_size=batch_size, verbose=0) for part in parts]
    return np.concatenate(given, axis=-2)


def _make_deterministic(archive_path: Path) -> bytes:
    """Remove the date from a `.keras` archive, and number the objects, whose ids are addresses."""
    numbers: dict[str, int] = {}
    rewritten = io.BytesIO()
    with zipfile.ZipFile(archive_path) as dated, zipfile.ZipFile(rewritten, "w") as dateless:
        for name in sorted(dated.namelist()):
            content: bytes | str = dated.read(name)
            if name == "metadata.json":
                metadata = json.loads(content)
                del metadata["date_saved"]
                content = json.dumps(metadata)
            if name == "config.json":
                content = SHARED.sub(
                    lambda found: f"{found[1]}{numbers.setdefault(found[2], len(numbers))}",
                    dated.read(name).decode(),
                )
            dateless.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)
    return rewritten.getvalue()
