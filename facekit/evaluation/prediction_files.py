"""Read the file of a table of predictions, and check its columns, for `predictions`.

A Parquet file is brought to the form of a CSV file: columns of numbers or of text. Each error names
the file, the column, the row and the remedy.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.csv_reading import normalize_text, read_strict_table


def read_table(path: Path) -> pd.DataFrame:
    """Return a file of predictions with columns of numbers or of text.

    Args:
        path: The file, `.csv` or `.parquet`.

    Returns:
        The table. The index of a CSV file is called `line` and holds the line of each row.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no rows, or has two columns of one name.
    """
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"{path}: {kind}; name a .csv or .parquet file of predictions.")
    if path.suffix.lower() == ".parquet":
        try:
            table = pd.read_parquet(path)
        except (ValueError, OSError) as error:  # the errors of pandas and pyarrow are ValueErrors
            reason = str(error).strip()
            raise ValueError(f"{path}: not a Parquet table ({reason}); save it again.") from None
        if not isinstance(table.index, pd.RangeIndex):
            table = table.reset_index(drop=table.index.names == [None])
        table = table.rename(columns=lambda name: normalize_text(str(name)))
        table = _make_plain_columns(path, table.reset_index(drop=True))
    else:
        table = read_strict_table(path)
    if table.empty:
        raise ValueError(
            f"{path}: holds no rows; save one per image, below a line with the column names."
        )
    return table


def _make_plain_columns(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Turn the columns of a Parquet file into numbers or text, as a CSV file has."""
    counts = Counter(str(name).casefold() for name in table)
    repeated = [name for name in table if counts[str(name).casefold()] > 1]
    if repeated:
        raise ValueError(
            f"{path}: the columns {', '.join(map(repr, repeated))} have the same name; "
            "rename or remove all but one."
        )
    for name in table:
        column = table[name]
        is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if not is_number:
            table[name] = make_text(column)
    return table


def make_text(column: pd.Series) -> pd.Series:
    """Return a column as text as a CSV file would hold it: missing values are empty."""

    def write(value: object) -> str:
        if isinstance(value, float | np.floating) and float(value).is_integer():
            value = int(value)  # a column of whole numbers with a gap holds 1.0 for 1
        return normalize_text(str(value))

    known = column.notna()
    return pd.Series(
        [write(value) if full else "" for value, full in zip(column, known, strict=True)],
        column.index,
        dtype=object,
    )


def list_columns(table: pd.DataFrame) -> str:
    """Return the names of the first columns, for an error."""
    return ", ".join(f"`{name}`" for name in table.columns[:12]) + ", ..." * (table.shape[1] > 12)


def require(
    path: Path, table: pd.DataFrame, column: str, valid: pd.Series | np.ndarray, rule: str
) -> None:
    """Raise an error that names the first row of a column that is not valid."""
    valid = np.asarray(valid, bool)
    if not valid.all():
        row = int(np.argmin(valid))
        value = table[column].iloc[row]
        shown = repr(value) if isinstance(value, str) else value
        raise ValueError(
            f"{path}: the column `{column}` must hold {rule}; "
            f"got {shown} in {name_row(table, row)}."
        )


def name_row(table: pd.DataFrame, row: int) -> str:
    """Return where a row stands: its line in a CSV file, else its number from 1."""
    return f"line {table.index[row]}" if table.index.name == "line" else f"row {row + 1}"


def require_numbers(
    path: Path, table: pd.DataFrame, column: str, high: float, rule: str
) -> pd.Series:
    """Return a column as numbers from 0 to `high`."""
    numbers = pd.to_numeric(table[column], errors="coerce").astype("float64")
    valid = numbers.between(0, high)
    if not valid.all():
        bad = table[column].iloc[int(np.argmin(valid.to_numpy()))]
        require(path, table, column, valid, rule + _suggest(str(bad), high))
    return numbers


def _suggest(text: str, high: float) -> str:
    """Return the remedy for a text that is not a number in range, as far as it shows one."""
    if re.fullmatch(r"[0-9]+,[0-9]+ *%?", text):
        return ", with a point for the decimal comma"
    if text.endswith("%") or (high == 1 and re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", text)):
        return " (percentages must be divided by 100)"
    return "" if text else " in every row; leave rows without one out"
