"""Write rows of `faces.COLUMNS` as CSV, JSON lines or Parquet, and as a table for a terminal.

Files are written row by row through `open_table`, so that a table of any length needs little
memory. Unknown values are empty cells (`null` in JSON). File names that are not UTF-8 are written
as `files.show_name` returns them.

pandas is not used: it takes a third of a second to import, as long as everything else that `facekit
analyze` does before it opens its first picture. For a data frame there is `Analysis.to_frame()`.
`format_rows` is written here because `tabulate` cannot align wide characters, such as those of
Japanese names, without one more package.
"""

from __future__ import annotations

import contextlib
import csv
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import numpy as np

from facekit.faces import COLUMNS, INTEGER_COLUMNS, TEXT_COLUMNS
from facekit.files import replace_file, show_name

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]

# The columns of a terminal's table: as many as fit into its width.
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
)
ROW_GROUP = 10_000  # rows that a Parquet file holds together, and that are in memory until then
SCREENFUL = 1000  # rows of a terminal's table whose columns are aligned with each other


class TableWriter(Protocol):
    """Takes rows until it is closed.

    Example:
        >>> import io
        >>> file = io.StringIO()
        >>> writer: TableWriter = CsvTable(file)
        >>> writer.write([dict.fromkeys(COLUMNS) | {"image": "a.jpg"}])
        >>> writer.close()
        >>> len(file.getvalue().splitlines())
        2
    """

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows, dicts with the keys of `faces.COLUMNS`."""

    def close(self) -> None:
        """Write what is still in memory."""


def _clean(row: Row) -> Row:
    """Return the row with a file name that is text; all other values are our own words."""
    return row | {"image": show_name(row["image"])} if row["image"] else row


def write_csv(rows: Iterable[Row], file: TextIO, header: bool = True) -> None:
    r"""Write rows as CSV.

    Args:
        rows: Dicts with the keys of `faces.COLUMNS`. `None` gives an empty cell.
        file: An open text file.
        header: Whether to write the names of the columns first.

    Example:
        >>> import io
        >>> file = io.StringIO()
        >>> write_csv([dict.fromkeys(COLUMNS) | {"image": "a.jpg", "face": 0}], file)
        >>> file.getvalue().splitlines()[1][:10]
        'a.jpg,,0,,'
    """
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    if header:
        table.writeheader()
    table.writerows(_clean(row) for row in rows)


class CsvTable:
    """Write rows as CSV to an open text file; the header comes before the first of them.

    Example:
        >>> import io
        >>> file = io.StringIO()
        >>> CsvTable(file).write([dict.fromkeys(COLUMNS) | {"image": "a.jpg", "face": 0}])
        >>> [line[:8] for line in file.getvalue().splitlines()]
        ['image,fr', 'a.jpg,,0']
    """

    def __init__(self, file: TextIO) -> None:
        self._file, self._has_header = file, False

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows; they reach the reader of a pipe at once."""
        write_csv(rows, self._file, header=not self._has_header)
        self._has_header = True
        self._file.flush()

    def flush(self) -> None:
        """Do nothing: rows are written at once."""

    def close(self) -> None:
        """Write the header if there were no rows. The file stays open."""
        if not self._has_header:
            self.write([])


class TerminalTable:
    """Print rows as aligned text, `SCREENFUL` rows at a time, to an open text file.

    Example:
        >>> import sys
        >>> table = TerminalTable(sys.stdout)
        >>> table.write([dict.fromkeys(COLUMNS) | {"image": "a.jpg", "gender": "female"}])
        >>> table.close()
        image  gender
        a.jpg  female
    """

    def __init__(self, file: TextIO) -> None:
        self._file, self._rows, self._printed = file, list[Row](), False

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        self._rows += rows
        if len(self._rows) >= SCREENFUL:
            self.flush()

    def flush(self) -> None:
        """Print the rows that are still in memory."""
        if self._rows:
            print(format_rows(self._rows), file=self._file, flush=True)
            self._rows, self._printed = [], True

    def close(self) -> None:
        """Print the last rows; if there were none at all, a sentence."""
        self.flush()
        if not self._printed:
            print(format_rows([]), file=self._file)


class _CsvFile(CsvTable):
    def __init__(self, path: Path) -> None:
        super().__init__(path.open("w", newline="", encoding="utf-8"))

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._file.close()


class _JsonLinesFile:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, rows: Sequence[Row]) -> None:
        self._file.writelines(json.dumps(_clean(row), ensure_ascii=False) + "\n" for row in rows)

    def close(self) -> None:
        self._file.close()


class _ParquetFile:
    def __init__(self, path: Path) -> None:
        import pyarrow
        from pyarrow import parquet

        kinds = {name: pyarrow.string() for name in TEXT_COLUMNS}
        kinds |= {name: pyarrow.int64() for name in INTEGER_COLUMNS}
        self._schema = pyarrow.schema(
            [(name, kinds.get(name, pyarrow.float64())) for name in COLUMNS]
        )
        self._rows: list[Row] = []
        self._writer = parquet.ParquetWriter(path, self._schema)

    def write(self, rows: Sequence[Row]) -> None:
        self._rows += rows
        if len(self._rows) >= ROW_GROUP:
            self._write_group()

    def close(self) -> None:
        try:
            if self._rows:
                self._write_group()
        finally:
            self._writer.close()

    def _write_group(self) -> None:
        import pyarrow

        rows, self._rows = [_clean(row) for row in self._rows], []
        columns = [
            _build_array([row[field.name] for row in rows], field.type) for field in self._schema
        ]
        self._writer.write_table(pyarrow.Table.from_arrays(columns, schema=self._schema))


def _build_array(values: list, kind: pyarrow.DataType) -> pyarrow.Array:
    """Build an Arrow column from its buffers.

    `pyarrow.array` would import pandas, and the thread of Arrow's CSV reader sometimes aborts
    Python as it exits (https://github.com/apache/arrow/issues/34314).
    """
    import pyarrow

    known = np.packbits([value is not None for value in values], bitorder="little")
    if kind == pyarrow.string():
        texts = [b"" if value is None else str(value).encode() for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        content = [ends, b"".join(texts)]
    else:
        filled = [0 if value is None else value for value in values]
        content = [np.array(filled, np.int64 if kind == pyarrow.int64() else np.float64)]
    buffers = [pyarrow.py_buffer(buffer) for buffer in (known, *content)]
    return pyarrow.Array.from_buffers(kind, len(values), buffers)


WRITERS: dict[str, Callable[[Path], TableWriter]] = {
    ".csv": _CsvFile,
    ".parquet": _ParquetFile,
    ".jsonl": _JsonLinesFile,
}


@contextlib.contextmanager
def open_table(path: str | Path) -> Iterator[TableWriter]:
    """Open a table to write rows to; the file is written whole or not at all.

    Args:
        path: The file to create or to replace, `.csv`, `.parquet` or `.jsonl`.

    Yields:
        A writer with `write(rows)`. The rows are dicts with the keys of `faces.COLUMNS`. `path`
        has its old content until the `with` block ends without an error.

    Raises:
        ValueError: If the ending is not a key of `WRITERS`.
        OSError: If the file cannot be written. The old file stays as it was.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "faces.csv")
        >>> with open_table(path) as table:
        ...     table.write([dict.fromkeys(COLUMNS) | {"image": "a.jpg", "face": 0}])
        >>> len(path.read_text().splitlines())
        2
    """
    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise ValueError(f"`path` must end in {', '.join(WRITERS)}; got {path}.")
    with (
        replace_file(path) as temporary,
        contextlib.closing(WRITERS[path.suffix.lower()](temporary)) as table,
    ):
        yield table


def save_rows(rows: Sequence[Row], path: str | Path) -> None:
    """Write rows to a file in the form that its ending names, whole or not at all.

    Args:
        rows: Dicts with the keys of `faces.COLUMNS`.
        path: The file to create or to replace.

    Raises:
        ValueError: If the ending is not a key of `WRITERS`.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "faces.jsonl")
        >>> save_rows([dict.fromkeys(COLUMNS) | {"image": "a.jpg"}], path)
        >>> json.loads(path.read_text())["image"]
        'a.jpg'
    """
    with open_table(path) as table:
        table.write(rows)


def is_facekit_table(path: Path) -> bool:
    """Return whether a file is empty, or a table with exactly the columns of `faces.COLUMNS`.

    Raises:
        OSError: If the file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "faces.csv")
        >>> save_rows([], path)
        >>> is_facekit_table(path)
        True
    """
    if path.stat().st_size == 0:
        return True
    if path.suffix.lower() == ".parquet":
        import pyarrow
        from pyarrow import parquet

        try:
            return tuple(parquet.read_schema(path).names) == COLUMNS
        except pyarrow.ArrowInvalid:
            return False
    if path.suffix.lower() == ".jsonl":
        try:
            return tuple(json.loads(read_first_line(path))) == COLUMNS
        except (ValueError, TypeError):
            return False
    return read_first_line(path) == ",".join(COLUMNS)


def read_first_line(path: Path) -> str:
    r"""Return the first line of a file that may be anything, at most 4096 bytes of it.

    Raises:
        OSError: If the file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "notes.txt")
        >>> _ = path.write_text("one\ntwo\n")
        >>> read_first_line(path)
        'one'
    """
    with path.open("rb") as file:
        return file.readline(4096).decode("utf-8-sig", "replace").rstrip("\r\n")


def format_rows(rows: Sequence[Row]) -> str:
    """Return a table for the terminal, of the columns in `SHOWN` that have a value in any row.

    Example:
        >>> row = dict.fromkeys(COLUMNS) | {"image": "a.jpg", "face": 0, "gender": "female"}
        >>> print(format_rows([row]))
        image  face  gender
        a.jpg  0     female
    """
    if not rows:
        return "No faces found."
    shown = [name for name in SHOWN if any(row[name] is not None for row in rows)]
    lines = [shown, *([_format_cell(row[name]) for name in shown] for row in rows)]
    widths = [max(_measure(line[column]) for line in lines) for column in range(len(shown))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _measure(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _format_cell(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    # A name may hold line breaks, and codes that move a terminal's cursor.
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode()
        for sign in show_name(str(value))
    )


def _measure(text: str) -> int:
    """Return how many columns of a terminal a text takes; Chinese characters take two."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )
