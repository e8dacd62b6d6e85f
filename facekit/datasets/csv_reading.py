"""Read csv files strictly: every cell as text, nothing guessed, every refusal with its line.

`pandas.read_csv` guesses: it takes 0 and 1 for numbers and `NA` for a missing value, renames the
second of two columns of the same name, and moves columns when rows end with a comma. Here such
files are refused with a sentence that names the file, the line and the remedy. Which labels a
column may hold is left to the caller.

Text is UTF-8, with or without a byte order mark. Blanks around cells are removed, and letters with
accents have one form (Unicode NFC), so that equal looking labels are equal.
"""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

LINE = "line"  # name of the index of a strict table
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
LONGEST_CELL = 2**24  # characters; Python's own bound of 131,072 is below a large embedded list


def read_strict_table(path: str | Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    r"""Read a csv file as text.

    Args:
        path: The file, with commas between cells and one header line.
        columns: Columns that it must have.

    Returns:
        One row per line that is not blank. All columns hold `str`; an empty cell is `""`, and cells
        such as `NA`, `None`, `0` or `True` stay as they are. The index, named `line`, holds the
        line of the file in which each row begins: the header is line 1.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is empty, not UTF-8, or separated by something other than commas; if
            a column is missing, has no name or the name of another column; or if a row has more or
            fewer cells than the header, or damaged quotes.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "labels.csv")
        >>> _ = path.write_text("path, gender\na.jpg, NA\n")
        >>> read_strict_table(path, columns=("path",)).to_dict("index")
        {2: {'path': 'a.jpg', 'gender': 'NA'}}
    """
    rows = iterate_strict_rows(path, columns)
    _, names = next(rows)
    lines, cells = [], []
    for line, row in rows:
        lines.append(line)
        cells.append(row)
    # `object` keeps Python's own text, so that no cell is ever converted.
    table = pd.DataFrame(cells, columns=names, dtype=object)
    table.index = pd.Index(lines, dtype="int64", name=LINE)
    return table


def iterate_strict_rows(
    path: str | Path, columns: Sequence[str] = ()
) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the lines of a csv file as `read_strict_table` reads them, for files of any length.

    Args:
        path: The file.
        columns: Columns that it must have.

    Yields:
        The line in which a row begins, from 1, and its cells. The first row is the header.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As `read_strict_table`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "labels.csv")
        >>> _ = path.write_text("path,age\na.jpg,31\n")
        >>> list(iterate_strict_rows(path))
        [(1, ['path', 'age']), (2, ['a.jpg', '31'])]
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the spelling.")
    _refuse_other_encodings(path)
    line, names = 1, None
    bound = csv.field_size_limit(LONGEST_CELL)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if cells:  # a blank line has none
                    cells = [normalize_text(cell) for cell in cells]
                    if names is None:
                        names = cells
                        _check_header(path, line, names, columns)
                    elif len(cells) != len(names):
                        raise ValueError(_describe_ragged_row(path, line, cells, names))
                    yield line, cells
                line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}: line {line}: the cells cannot be read ({error}); a cell with commas or quotes"
            ' must stand in double quotes, and a quote inside it must be doubled: "".'
        ) from None
    finally:
        csv.field_size_limit(bound)
    if names is None:
        raise ValueError(f"{path}: the file is empty; it must have a header line.")


def normalize_text(text: str) -> str:
    """Return a text without blanks around it, and with one form for each accented letter (NFC).

    Example:
        >>> normalize_text(" Zoe\u0308 ") == "Zo\u00eb"
        True
    """
    return unicodedata.normalize("NFC", text).strip()


def _refuse_other_encodings(path: Path) -> None:
    """Raise an error that names the line, if a file is not UTF-8 text."""
    remedy = "save it as a csv file in UTF-8 (in Excel: `CSV UTF-8 (Comma delimited)`)."
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number == 1 and line.startswith(UTF_16_MARKS):
                raise ValueError(f"{path}: the file is UTF-16 text; {remedy}")
            if b"\0" in line:
                raise ValueError(f"{path}: line {number}: the file is not text; {remedy}")
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}: line {number}: byte 0x{line[error.start]:02X} is not UTF-8 text;"
                    f" {remedy}"
                ) from None


def _check_header(path: Path, line: int, names: list[str], columns: Sequence[str]) -> None:
    if len(names) == 1:
        for separator, described in OTHER_SEPARATORS.items():
            if separator in names[0]:
                raise ValueError(
                    f"{path}: line {line}: the columns are separated by {described};"
                    " save the file with commas."
                )
    if "" in names:
        raise ValueError(
            f"{path}: line {line}: column {names.index('') + 1} has no name; name it or remove it"
            " (a comma at the end of a line makes such a column, and so does the index that"
            " pandas writes without `index=False`)."
        )
    counts = Counter(name.casefold() for name in names)
    if repeated := [name for name in names if counts[name.casefold()] > 1]:
        raise ValueError(
            f"{path}: line {line}: the columns {', '.join(repeated)} have the same name;"
            " rename or remove all but one."
        )
    if missing := [column for column in columns if column not in names]:
        raise ValueError(
            f"{path}: line {line}: the column {', '.join(missing)} is missing;"
            f" the file has {', '.join(names)}."
        )


def _describe_ragged_row(path: Path, line: int, cells: list[str], names: list[str]) -> str:
    described = f"{path}: line {line} must have {len(names)} cells, as the header has; got"
    if len(cells) > len(names) and not any(cells[len(names) :]):
        return f"{described} {len(cells)}, the last of them empty; remove the commas at its end."
    return (
        f"{described} {len(cells)}; a cell with a comma in it must stand in double quotes,"
        " and an empty cell needs its comma."
    )
