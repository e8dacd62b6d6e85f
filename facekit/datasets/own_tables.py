"""Read a user's own csv of faces: refuse ambiguous files, leave out single bad rows.

An unknown column or label could change what a whole dataset means, so it is refused. A row with an
impossible age or box, or with a picture that is missing or empty, costs that row alone: it is left
out, and a warning counts such rows and names the first. So does a row that repeats another; two
rows that label one face in different ways are refused.
"""

from __future__ import annotations

import contextlib
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.csv_reading import normalize_text, read_strict_table
from facekit.datasets.groups import number_group
from facekit.datasets.manifest import BOX, COLUMNS, LABELS, NUMBERS, find_faults, make_manifest

NAMED = 3  # lines that a message names
SHOWN = 300  # letters of a path in a message: a picture may stand in the cell itself, as text
MISSING_WORDS = ("na", "n/a", "nan", "none", "null", "-", "?", "unknown")
NAMES = ("subject", "source", "group")  # columns of any text, which join rows of equal text
LEAVE_EMPTY = "Leave the cell empty if the value is unknown."


def read_own_table(path: Path) -> pd.DataFrame:
    r"""Read a csv of the user's own, whose header names `path` and any other of `COLUMNS`.

    Paths are relative to the folder of the csv; they may have backslashes. Labels may be written in
    capitals or small letters. An empty cell is an unknown value. `source` is the name of the csv
    where it is not given. Images with the same `group`, whatever its name, stay in one split.

    Args:
        path: The file, see `csv_reading.read_strict_table`.

    Returns:
        A manifest, sorted by path. Rows with an impossible number or box, without a path, or with
        an image that is missing or empty are left out, with a warning.

    Raises:
        FileNotFoundError: If there is no such file, or none of its images.
        ValueError: If the csv is ambiguous, a column or a label is unknown, two rows label one face
            in different ways, `group` is given for some rows only, or no row is left. The message
            names the line and the remedy.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (48, 48)).save(folder / "a.png")
        >>> _ = (folder / "mine.csv").write_text("path,gender,age\na.png,Female,31\n")
        >>> read_own_table(folder / "mine.csv")[["gender", "age", "source"]].to_numpy().tolist()
        [['female', 31.0, 'mine']]
    """
    path = Path(path)
    table = read_strict_table(path, ("path",))
    unknown = [column for column in map(str, table) if column not in COLUMNS]
    if unknown:
        raise ValueError(
            f"{path}: unknown column {', '.join(unknown)}; the known ones are {', '.join(COLUMNS)}."
            " Rename or remove it."
        )
    if table.empty:
        raise ValueError(f"{path}: there are no rows below the header.")
    for column, labels in LABELS.items():
        if column in table:
            table[column] = _match_labels(path, table[column], labels)
    for column in NAMES:
        if column in table:
            _refuse_missing_words(path, table[column])
    faults = dict(_find_bad_numbers(table))
    faults["a `path` is missing"] = table["path"].eq("")
    found = {name: _find_listed_file(path.parent, name) for name in table["path"].unique() if name}
    sizes = {name: _measure(file) for name, file in found.items()}
    if found and max(sizes.values()) < 0:
        raise FileNotFoundError(
            f"{path}: none of the {len(found)} images listed exists, such as"
            f" {str(next(iter(found.values())))[:SHOWN]}; correct the paths, which are relative to"
            f" {path.parent.resolve()}."
        )
    named = table["path"].ne("")
    faults["the image does not exist"] = named & table["path"].map(sizes).eq(-1)
    faults["the image file is empty"] = named & table["path"].map(sizes).eq(0)
    kept = _leave_out(path, table, faults)
    kept["path"] = [str(found[name]) for name in kept["path"]]
    kept = _leave_out_repeated(path, kept)
    if "group" in kept:
        kept["group"] = _number_groups(path, kept["group"])
    # A mix of text and numbers becomes `object`, so that empty cells can be `None`.
    cells = kept.astype(object).replace({"": None})
    return make_manifest(cells.to_dict("records"), path.stem)


def _find_listed_file(folder: Path, name: str) -> Path:
    """Return the file that a table lists, whichever way its name is written.

    macOS writes accents as letters of their own (NFD), other systems as one letter (NFC), and
    Windows writes backslashes. The name as given goes first.

    Args:
        folder: What the name is relative to.
        name: Path of the file, with slashes or backslashes.

    Returns:
        The file, or where none exists the path as given.
    """
    with contextlib.suppress(OSError):  # such as a name that is too long
        for form in (name, name.replace("\\", "/")):
            for accents in (
                form,
                unicodedata.normalize("NFC", form),
                unicodedata.normalize("NFD", form),
            ):
                if (file := folder / accents).is_file():
                    return file
            if mixed := _find_mixed(folder, form):
                return mixed
    return folder / name


def _find_mixed(folder: Path, name: str) -> Path | None:
    """Return a file below a folder whose parts differ from a name's in the form of accents only."""
    if name.isascii():
        return None
    place = Path(folder)
    for part in Path(name).parts:
        step = place / part
        if not step.exists():
            if not place.is_dir():
                return None
            wanted = normalize_text(part)
            alike = [each for each in place.iterdir() if normalize_text(each.name) == wanted]
            if len(alike) != 1:
                return None
            step = alike[0]
        place = step
    return place if place.is_file() else None


def _measure(file: Path) -> int:
    """Return the size of a file in bytes, or -1 where there is none."""
    with contextlib.suppress(OSError):  # such as a name that is too long
        return file.stat().st_size if file.is_file() else -1
    return -1


def _match_labels(path: Path, cells: pd.Series, labels: tuple[str, ...]) -> pd.Series:
    """Return a column's labels as `labels` writes them, whatever their case; empty cells stay."""
    matched = cells.str.casefold()
    unknown = cells[~matched.isin((*labels, ""))]
    if len(unknown):
        value = unknown.iloc[0]
        remedy = LEAVE_EMPTY if value.casefold() in MISSING_WORDS else f"Correct it. {LEAVE_EMPTY}"
        raise ValueError(
            f"{path}: {_name_lines(unknown)}: `{cells.name}` must be one of {', '.join(labels)};"
            f" got {value!r}. {remedy}"
        )
    return matched


def _refuse_missing_words(path: Path, cells: pd.Series) -> None:
    """Raise an error if a cell holds a word for `unknown`: all such rows would be one person."""
    missing = cells[cells.str.casefold().isin(MISSING_WORDS)]
    if len(missing):
        raise ValueError(
            f"{path}: {_name_lines(missing)}: `{cells.name}` is {missing.iloc[0]!r}. {LEAVE_EMPTY}"
        )


def _find_bad_numbers(table: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Yield each fault of ages and boxes, and which rows have it; turn the cells into numbers."""
    numbers = pd.DataFrame(np.nan, table.index, list(NUMBERS))
    for column in NUMBERS:
        if column in table:
            numbers[column] = pd.to_numeric(table[column].replace("", None), errors="coerce")
            bad = numbers[column].isna() & table[column].ne("")
            yield f"`{column}` is not a number", bad
            numbers.loc[bad, column] = 0  # named once; the row is left out
            table[column] = numbers[column]
    for column, valid, rule in find_faults(numbers):
        yield f"`{column}` is not {rule}", ~valid


def _leave_out_repeated(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Leave out rows that repeat an earlier one; refuse rows that label one face in two ways."""
    face = ["path", *(side for side in BOX if side in table)]
    differing = table.drop_duplicates()
    differing = differing[differing.duplicated(face, keep=False)].sort_values("path", kind="stable")
    if len(differing):
        same = differing[differing["path"] == differing["path"].iloc[0]]
        raise ValueError(
            f"{path}: {_name_lines(same)}: {same['path'].iloc[0]} is listed more than once, with"
            " different labels. Keep one row per face; if the picture shows several faces, give"
            " their boxes x1, y1, x2, y2."
        )
    return _leave_out(path, table, {"the face is that of an earlier row": table.duplicated()})


def _leave_out(path: Path, table: pd.DataFrame, faults: dict[str, pd.Series]) -> pd.DataFrame:
    """Return the rows without a fault, and warn of the others."""
    bad = pd.concat(faults.values(), axis=1).any(axis=1)
    if not bad.any():
        return table.copy()
    reasons = "; ".join(
        f"{rule} ({_name_lines(table[rows])})" for rule, rows in faults.items() if rows.any()
    )
    if bad.all():
        raise ValueError(f"{path}: no row can be used: {reasons}. Correct them.")
    warnings.warn(f"{path}: {bad.sum()} of {len(bad)} rows are left out: {reasons}.", stacklevel=3)
    return table[~bad].copy()


def _number_groups(path: Path, groups: pd.Series) -> pd.Series:
    empty = groups[groups == ""]
    if len(empty) == len(groups):
        return groups
    if len(empty):
        raise ValueError(
            f"{path}: {_name_lines(empty)}: `group` must be given in every row or in none."
        )
    return groups.map(number_group)


def _name_lines(rows: pd.Series | pd.DataFrame) -> str:
    """Name the lines of some rows of a strict table, such as `lines 3, 7, 8 and 12 more`."""
    lines = [str(line) for line in rows.index]
    more = f" and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    return f"line{'s' * (len(lines) > 1)} {', '.join(lines[:NAMED])}{more}"
