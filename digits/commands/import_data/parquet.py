"""Parquet tables as Hugging Face has them: a picture and a label a row."""

from typing import IO

import numpy as np
import pandas as pd

from digits.commands.import_data.naming import LABEL_WORDS, SourceError, join_texts
from digits.commands.import_data.pixels import to_bytes
from digits.imaging.pictures import read_pictures
from digits.imaging.segmentation import find_digits


def read_parquet(name: str, file: IO[bytes], label: str | None) -> dict[str, np.ndarray]:
    """Read the digits on all pictures, uint8 (n, 28, 28), and their labels (n,).

    Raises:
        SourceError: pyarrow is not installed, or there are no such columns.
        PictureError: a picture is damaged.
    """
    try:
        table = pd.read_parquet(file, engine="pyarrow")
    except ImportError as error:
        raise SourceError(
            f"{name}: expected pyarrow to read a Parquet table, received none: "
            "python -m pip install pyarrow"
        ) from error
    names = [str(it) for it in table]
    known = [it for it in names if it == label or (not label and it.lower() in LABEL_WORDS)]
    pictures = [it for it in names if isinstance(table[it].iloc[0], dict | bytes)]
    if len(known) != 1 or len(pictures) != 1:
        raise SourceError(
            f"{name}: expected a column of pictures and one of labels, received "
            f"{join_texts(table)}: --label names it"
        )
    images, labels = [], []
    for cell, found in zip(table[pictures[0]], table[known[0]], strict=True):
        for page in read_pictures(cell["bytes"] if isinstance(cell, dict) else cell):
            digits = to_bytes(find_digits(page.pixels))
            images += digits
            labels += [found] * len(digits)
    return {"images": np.array(images), "labels": np.array(labels)}
