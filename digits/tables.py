"""Tables as CSV that diffs well: rounded numbers, Unix line ends."""

from pathlib import Path

import pandas as pd

from digits.artifacts import DECIMALS, ArtifactError, write_text


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write the columns, not the index."""
    write_text(path, table.to_csv(index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n"))


def load_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Load a CSV that has these columns.

    Raises:
        ArtifactError: missing, unreadable, or other columns.
    """
    try:
        table = pd.read_csv(path)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: expected a file, received none: run `dvc repro`") from error
    except ValueError as error:  # pandas's parser and decoding errors
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{path}: expected CSV, received {reason}") from error
    if tuple(table.columns) != columns:
        raise ArtifactError(f"{path}: expected columns {columns}, received {tuple(table.columns)}")
    return table
