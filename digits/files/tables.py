"""Tables as CSV that diffs well: rounded numbers, Unix line ends."""

import warnings
from pathlib import Path

import pandas as pd
from pandas.errors import ParserWarning

from digits.files.artifacts import DECIMALS, ArtifactError, write_text


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write the columns, not the index."""
    write_text(path, table.to_csv(index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n"))


def load_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Load a CSV that has these columns.

    Raises:
        ArtifactError: missing, unreadable, or other columns.
    """
    try:
        with warnings.catch_warnings(action="error", category=ParserWarning):
            # Cells beyond the header would pass for the rows' names, or be dropped with a warning.
            table = pd.read_csv(path, index_col=False)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: expected a file, received none: run `dvc repro`") from error
    except (ValueError, ParserWarning) as error:  # pandas's parser and decoding errors
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{path}: expected CSV, received {reason}") from error
    if tuple(table.columns) != columns:
        raise ArtifactError(f"{path}: expected columns {columns}, received {tuple(table.columns)}")
    return table
