"""Write a table as Markdown, for cards, for the command line and for lessons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd


def make_markdown(rows: pd.DataFrame | Sequence[Mapping] | Sequence[Sequence], columns=None) -> str:
    r"""Return a Markdown table whose cells are exactly the texts given.

    Args:
        rows: A table, without its index; or rows as dicts, or as sequences in the order of
            `columns`. Format numbers before: each cell is written by `str`. `None` and NaN become
            empty cells.
        columns: The header, (columns,). By default the names in `rows`.

    Example:
        >>> print(make_markdown([{"figure": "accuracy", "value": "80.0%"}]))
        | figure   | value   |
        |:---------|:--------|
        | accuracy | 80.0%   |
        >>> print(make_markdown([], columns=("figure", "value")))
        | figure   | value   |
        |----------|---------|
    """
    table = pd.DataFrame(rows, columns=None if columns is None else list(columns), dtype=object)
    table = table.where(table.notna(), "").map(_escape).rename(columns=_escape)
    # Without `disable_numparse` tabulate would rewrite texts that look like numbers.
    return table.to_markdown(index=False, tablefmt="pipe", disable_numparse=True)


def _escape(cell: object) -> str:
    """Keep a cell in its row and column."""
    return " ".join(str(cell).replace("|", "\\|").split())
