"""Show the numbers of a report, and keep them for its JSON.

A report's notebook calls `report_numbers` for its results and `report_inputs` for the files that it
read. Both show what they keep, so that the page and the JSON hold the same numbers.
"""

from __future__ import annotations

import hashlib
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facekit.files import hash_file

if TYPE_CHECKING:
    import nbformat
    import pandas as pd

NUMBERS_MIME = "application/vnd.facekit.numbers+json"
INPUTS = "inputs"  # the name of the table that `report_inputs` keeps
# Significant digits that are kept of a number: more than a report shows, and fewer than differ
# between machines.
DIGITS = 6


def report_numbers(
    name: str,
    numbers: pd.DataFrame | Mapping,
    shown: pd.DataFrame | None = None,
    caption: str = "",
) -> None:
    """Show numbers as a table, and keep them for the JSON of the report.

    Args:
        name: Name of these numbers in the JSON.
        numbers: A table, or a dict of plain values.
        shown: The table to show in place of `numbers`, such as one with formatted numbers.
        caption: Text above the table, such as "Table 1. Accuracy by dataset."

    Example:
        >>> report_numbers("figures", {"accuracy": 0.9})  # in a notebook: a table
        {'application/vnd.facekit.numbers+json': {'figures': {'accuracy': 0.9}}, ...}
    """
    import pandas as pd
    from IPython.display import display

    kept = {name: make_plain(numbers)}
    if shown is None:
        shown = (
            numbers
            if isinstance(numbers, pd.DataFrame)
            else pd.DataFrame({"": pd.Series(dict(numbers), dtype=object)})
        )
    index = not isinstance(shown.index, pd.RangeIndex)
    shown = shown.astype(object).where(shown.notna(), "")
    table = shown.to_html(border=0, index=index, justify="left")
    text = shown.to_string(index=index)
    if caption:
        table = table.replace(">", f"><caption>{html.escape(caption)}</caption>", 1)
        text = f"{caption}\n{text}"
    display({NUMBERS_MIME: kept, "text/html": table, "text/plain": text}, raw=True)


def report_inputs(inputs: Mapping[str, Path | str | Sequence[Path | str] | np.ndarray]) -> None:
    """Show and keep which inputs a report was made from: number of files and fingerprint of each.

    Args:
        inputs: For each name a file, several files, or an array of pixels that came from no file.

    Example:
        >>> report_inputs({"pixels": np.zeros((4, 4, 3), np.uint8)})  # in a notebook: a table
        {'application/vnd.facekit.numbers+json': {'inputs': [{'input': 'pixels', 'files': 1, ...}
    """
    import pandas as pd

    rows = [
        {
            "input": name,
            "files": len(source) if isinstance(source, list | tuple) else 1,
            "sha256": take_fingerprint(source),
        }
        for name, source in inputs.items()
    ]
    report_numbers(INPUTS, pd.DataFrame(rows, columns=["input", "files", "sha256"]))


def take_fingerprint(source: Path | str | Sequence[Path | str] | np.ndarray) -> str:
    """Return the SHA-256 of an input as hexadecimal text.

    Args:
        source: A file; an array, whose type and shape count too; or several files: the fingerprint
            is that of their names and hashes, sorted by name. A missing file counts as missing.

    Example:
        >>> take_fingerprint(np.zeros(2)) == take_fingerprint(np.zeros((1, 2)))
        False
    """
    if isinstance(source, str | Path):
        return hash_file(source)
    if isinstance(source, np.ndarray):
        form = f"{source.dtype} {source.shape}".encode()
        return hashlib.sha256(form + np.ascontiguousarray(source).tobytes()).hexdigest()
    lines = sorted(
        f"{Path(path).name} {hash_file(path) if Path(path).is_file() else 'missing'}\n"
        for path in source
    )
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def make_plain(value: Any) -> Any:
    """Return tables, arrays and NumPy numbers as lists, dicts and numbers that JSON can hold.

    Numbers are rounded to `DIGITS` significant digits. Missing values and infinity become `None`.

    Args:
        value: A table, a dict, a list, an array or a single value.

    Example:
        >>> make_plain({"share": np.float32(1 / 3), "missing": float("nan")})
        {'share': 0.333333, 'missing': None}
    """
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        flat = value if isinstance(value.index, pd.RangeIndex) else value.reset_index()
        return [make_plain(row) for row in flat.to_dict("records")]
    if isinstance(value, pd.Series):
        return make_plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(key): make_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [make_plain(each) for each in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return str(value)


def collect_numbers(notebook: nbformat.NotebookNode) -> dict:
    """Return the numbers that a notebook reported when it was run, by name.

    Args:
        notebook: A notebook with its outputs.

    Example:
        >>> from nbformat.v4 import new_code_cell, new_notebook, new_output
        >>> output = new_output("display_data", {NUMBERS_MIME: {"faces": 3}})
        >>> collect_numbers(new_notebook(cells=[new_code_cell(outputs=[output])]))
        {'faces': 3}
    """
    numbers: dict = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            numbers |= output.get("data", {}).get(NUMBERS_MIME, {})
    return numbers
