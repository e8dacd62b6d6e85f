"""Write rows of `faces.COLUMNS` as CSV, JSON lines or Parquet, and as text for a terminal.

Without pandas, which would double the time that the command takes to start; whoever wants a data
frame has `Analysis.to_frame()`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from facekit.faces import COLUMNS, INTEGER_COLUMNS, TEXT_COLUMNS

SHOWN = (
    "image",
    "frame",
    "face",
    "age_years",
    "age_range",
    "gender",
    "emotion",
    "ethnicity",
    "confidence_score",
)  # a terminal's width


def write_csv(rows: Iterable[dict], file: TextIO, header: bool = True) -> None:
    """Write rows as CSV, with a header unless they follow others; what is unknown is empty."""
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    if header:
        table.writeheader()
    table.writerows(rows)


def _save_csv(rows: list[dict], path: Path) -> None:
    with path.open(
        "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:  # a file name need not be text
        write_csv(rows, file)


def _save_jsonl(rows: list[dict], path: Path) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(lines, encoding="utf-8", errors="surrogateescape")


def _save_parquet(rows: list[dict], path: Path) -> None:
    # Built from text: pyarrow.array imports pandas, and the thread of Arrow's CSV reader sometimes
    # aborts Python as it exits (https://github.com/apache/arrow/issues/34314).
    import pyarrow
    from pyarrow import lib, parquet

    def build_column(name: str) -> pyarrow.Array:
        builder = lib.StringBuilder()
        builder.append_values(
            [None if row[name] is None else str(row[name]).encode(errors="replace") for row in rows]
        )
        kind = (
            pyarrow.string()
            if name in TEXT_COLUMNS
            else pyarrow.int64()
            if name in INTEGER_COLUMNS
            else pyarrow.float64()
        )
        return builder.finish().cast(kind)

    parquet.write_table(pyarrow.table({name: build_column(name) for name in COLUMNS}), path)


WRITERS = {".csv": _save_csv, ".parquet": _save_parquet, ".jsonl": _save_jsonl}


def save_rows(rows: list[dict], path: Path) -> None:
    """Write rows to a file in the form that its ending names.

    Raises:
        ValueError: If the ending is not a key of `WRITERS`.
    """
    if path.suffix.lower() not in WRITERS:
        raise ValueError(f"`path` must end in {', '.join(WRITERS)}; got {path}.")
    WRITERS[path.suffix.lower()](rows, path)


def format_rows(rows: list[dict]) -> str:
    """Return a table for the terminal, of the columns that have something to tell."""
    if not rows:
        return "No faces found."
    shown = [name for name in SHOWN if any(row[name] is not None for row in rows)]
    lines = [shown, *([_format_cell(row[name]) for name in shown] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(shown))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _format_cell(value) -> str:
    if value is None:
        return ""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
